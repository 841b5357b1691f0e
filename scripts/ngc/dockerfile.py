"""What a Dockerfile says that we need before building it: its arguments, and what it takes from the build context."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ngc.errors import Wrong

_INSTRUCTIONS = frozenset(
    [
        "ADD",
        "ARG",
        "CMD",
        "COPY",
        "ENTRYPOINT",
        "ENV",
        "EXPOSE",
        "FROM",
        "HEALTHCHECK",
        "LABEL",
        "MAINTAINER",
        "ONBUILD",
        "RUN",
        "SHELL",
        "STOPSIGNAL",
        "USER",
        "VOLUME",
        "WORKDIR",
    ]
)
_PLATFORM = re.compile(r"(TARGET|BUILD)(PLATFORM|OS|ARCH|VARIANT)")
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})")


@dataclass(frozen=True)
class Dockerfile:
    """A Dockerfile as read: the ARGs before the first FROM with their defaults, and the instructions after.

    Instructions are (line, NAME, value) with continuation lines joined.
    """

    path: Path
    text: bytes
    arguments: Mapping[str, str | None]
    instructions: tuple[tuple[int, str, str], ...]


def read(path: Path) -> Dockerfile:
    """Parse the file. Raises Wrong with file and line for what is not a Dockerfile."""
    return _parsed(path, path.read_bytes())


@lru_cache(maxsize=64)
def _parsed(path: Path, text: bytes) -> Dockerfile:
    from dockerfile_parse import DockerfileParser

    structure = DockerfileParser(fileobj=io.BytesIO(text)).structure
    instructions: list[tuple[int, str, str]] = []
    arguments: dict[str, str | None] = {}
    for entry in structure:
        name, value, line = entry["instruction"].upper(), entry["value"], entry["startline"] + 1
        if name == "COMMENT":
            continue
        if name not in _INSTRUCTIONS:
            raise Wrong(
                f"{path}:{line}: '{entry['instruction']}' is not a Dockerfile instruction; mend the line, or the line before it lacks a backslash"
            )
        if name == "ARG" and not any(kind == "FROM" for _, kind, _ in instructions):
            key, has_default, default = value.partition("=")
            arguments[key.strip()] = default.strip("\"'") if has_default else None
        instructions.append((line, name, value))
    if not any(name == "FROM" for _, name, _ in instructions):
        raise Wrong(f"{path}: there is no FROM; a Dockerfile starts with one (ARG may come before)")
    return Dockerfile(path, text, arguments, tuple(instructions))


def context_sources(file: Dockerfile, given: Mapping[str, str]) -> list[str]:
    """The patterns of the build context that COPY, ADD and bind mounts take, in order; `given` are the build arguments."""
    values: dict[str, str] = {}
    sources: list[str] = []
    for line, name, value in file.instructions:
        if name in ("ARG", "ENV"):
            values.update(_assigned(name, value, given, file.arguments, values))
        elif name in ("COPY", "ADD"):
            sources += _copied(file.path, line, expand(value, values))
        elif name == "RUN":
            sources += _bound(expand(value, values))
    return sources


def expand(text: str, values: Mapping[str, str]) -> str:
    """Replace $NAME, ${NAME}, ${NAME:-word} and ${NAME:+word} as BuildKit does; BuildKit's platform arguments become `*`."""

    def replaced(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        value = values.get(name)
        if match[3] == "-":
            return value or str(match[4])
        if match[3] == "+":
            return str(match[4]) if value else ""
        if value is None and _PLATFORM.fullmatch(name):
            return "*"  # all platforms' files count as inputs, so that none is missed
        return value or ""

    return _VARIABLE.sub(replaced, text)


def _assigned(
    name: str, value: str, given: Mapping[str, str], before_from: Mapping[str, str | None], values: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    words = list(_split(value))
    if name == "ENV" and words and "=" not in words[0]:
        words = [f"{words[0]}={' '.join(words[1:])}"]
    for word in words:
        key, _, default = word.partition("=")
        default = expand(default, values)
        yield key, (given.get(key) or default or before_from.get(key) or "") if name == "ARG" else default


def _copied(path: Path, line: int, value: str) -> list[str]:
    words = _words(value)
    if any(word.startswith("--from=") for word in words):
        return []
    sources = [word for word in words if not word.startswith("--")][:-1]
    if not sources:
        raise Wrong(f"{path}:{line}: COPY and ADD need a source and a destination; write both")
    return [source for source in sources if "://" not in source]


def _words(value: str) -> list[str]:
    flags, rest = re.fullmatch(r"((?:--\S+\s+)*)(.*)", value, re.DOTALL).groups()  # type: ignore[union-attr]  # matches anything
    if rest.startswith("["):
        return [*flags.split(), *(word.strip(" \"'") for word in rest.strip("[] ").split(","))]
    return [*flags.split(), *_split(rest)]


@lru_cache(maxsize=4096)
def _split(value: str) -> tuple[str, ...]:
    """A value's words; kept, because a Dockerfile of many images is gone through once for each."""
    return tuple(shlex.split(value))


def _bound(value: str) -> list[str]:
    sources = []
    for mount in re.findall(r"--mount=(\S+)", value):
        options = dict(pair.partition("=")[::2] for pair in mount.split(","))
        if options.get("type", "bind") == "bind" and "from" not in options:
            sources.append(options.get("source") or options.get("src") or ".")
    return sources
