"""What an image is made of, as one line that its label keeps: equal lines mean that a build would change nothing.

Inputs are what BuildKit would send: the Dockerfile, the files that COPY, ADD and bind mounts take (contents, modes,
link targets; .dockerignore applied), build arguments, labels, and the parent's image id.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ngc import dockerfile
from ngc.errors import Wrong

if TYPE_CHECKING:
    from pathspec import PathSpec

# Context hashes by Dockerfile and sources, for as long as one plan is made: files may change after it.
Memo = dict[tuple[Path, tuple[str, ...]], str]

LABEL = "ngc-dynamo.inputs"
# Shown as the reason for a rebuild.
REASONS = {
    "dockerfile": "its Dockerfile changed",
    "context": "files that it copies or mounts changed",
    "arguments": "its build arguments or labels changed",
    "parent": "its parent or base is another image",
}


def line(
    path: Path,
    context: Path,
    arguments: Mapping[str, str],
    labels: Mapping[str, str],
    parent: str,
    memo: Memo | None = None,
) -> str:
    """The inputs of a build as `dockerfile=<hash> context=<hash> arguments=<hash> parent=<hash>`.

    `parent` is the image id of what the Dockerfile starts FROM. Raises Wrong for a source that matches nothing.
    """
    parts = {
        "dockerfile": _hash([dockerfile.read(path).text]),
        "context": context_hash(path, context, arguments, memo),
        "arguments": _hash(
            f"{key}={value}".encode()
            for key, value in sorted({**arguments, **{f"label {k}": v for k, v in labels.items()}}.items())
        ),
        "parent": _hash([parent.encode()]),
    }
    return " ".join(f"{name}={digest[:20]}" for name, digest in parts.items())


def script_line(script: Path, argument: str) -> str:
    """The inputs of an image that a script makes from nothing, in the same form."""
    return f"dockerfile={_hash([script.read_bytes()])[:20]} arguments={_hash([argument.encode()])[:20]}"


def reason(wanted: str, found: str | None) -> str | None:
    """Why an image whose label says `found` must be built anew; None when it is up to date."""
    if found is None:
        return "it carries no record of its inputs"
    have = dict(part.partition("=")[::2] for part in found.split())
    changed = [name for name, digest in (part.split("=") for part in wanted.split()) if have.get(name) != digest]
    return " and ".join(REASONS[name] for name in changed) or None


def context_hash(path: Path, context: Path, arguments: Mapping[str, str], memo: Memo | None = None) -> str:
    """sha256 over the files of the build context that the Dockerfile uses."""
    sources = tuple(dockerfile.context_sources(dockerfile.read(path), arguments))
    memo = {} if memo is None else memo
    if (path, sources) not in memo:
        memo[path, sources] = _context_hash(path, context, sources)
    return memo[path, sources]


def _context_hash(path: Path, context: Path, sources: Iterable[str]) -> str:
    ignored = _ignore(path, context)
    entries: dict[str, bytes] = {}
    for source in sources:
        matched = False
        for found in _matching(context, source):
            matched = True
            name = found.relative_to(context).as_posix()
            entries.update({below: _describe(entry) for below, entry in _below(found, name, context, ignored)})
        if not matched:
            raise Wrong(
                f"{path}: '{source}' matches nothing in {context}; mend the COPY, ADD or mount, or add the file"
            )
    return _hash(name.encode(errors="surrogateescape") + b"\0" + what for name, what in sorted(entries.items()))


def _matching(context: Path, source: str) -> Iterator[Path]:
    pattern = os.path.normpath(source.lstrip("/") or ".")
    if not re.search(r"[*?\[]", pattern):
        path = context / pattern
        if os.path.lexists(path):
            yield path
        return
    yield from sorted(context.glob(pattern.replace("[^", "[!")))  # Go negates a class with ^


def _below(path: Path, name: str, context: Path, ignored: PathSpec[Any] | None) -> Iterator[tuple[str, str]]:
    """(name in the context, path) of the path and all below it that is sent; a link given by name brings its target as well."""
    if path.is_symlink():
        target, root = path.resolve(), context.resolve()
        if not _out(name, ignored):
            yield name, str(path)
            if root in target.parents and target.exists():
                inside = target.relative_to(root).as_posix()
                yield from _below(context / inside, inside, context, ignored)
    elif path.is_dir():
        yield from _folder(str(path), name, ignored)
    elif not _out(name, ignored):
        yield name, str(path)


def _folder(path: str, name: str, ignored: PathSpec[Any] | None) -> Iterator[tuple[str, str]]:
    """A folder and what is in it, in any order; links there are sent as links. Plain texts: this is most of a run with nothing to do."""
    children: list[tuple[str, str]] = []
    for entry in os.scandir(path):
        below = entry.name if name == "." else f"{name}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            children += _folder(entry.path, below, ignored)
        elif not _out(below, ignored):
            children.append((below, entry.path))
    if children or not _out(name, ignored):
        yield name, path
    yield from children


def _out(name: str, ignored: PathSpec[Any] | None) -> bool:
    return ignored is not None and name != "." and bool(ignored.match_file(name))


def _describe(path: str) -> bytes:
    info = os.lstat(path)
    mode = f"{stat.S_IFMT(info.st_mode):o} {stat.S_IMODE(info.st_mode):o} ".encode()
    if stat.S_ISLNK(info.st_mode):
        return mode + os.fsencode(Path(path).readlink())
    if stat.S_ISREG(info.st_mode):
        return mode + _content(path, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
    return mode


@lru_cache(maxsize=4096)
def _content(path: str, *identity: int) -> bytes:  # noqa: ARG001  # the key of the cache
    """sha256 of a file; `identity` is there so that a changed file is read again."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.digest()


def _ignore(path: Path, context: Path) -> PathSpec[Any] | None:
    """The ignore file that BuildKit uses: <Dockerfile>.dockerignore, else .dockerignore of the context."""
    own = path.with_name(path.name + ".dockerignore")
    file = own if own.exists() else context / ".dockerignore"
    if not file.exists():
        return None
    from pathspec import PathSpec

    return PathSpec.from_lines("gitignore", filter(None, map(_rooted, file.read_text().splitlines())))


def _rooted(pattern: str) -> str | None:
    """A .dockerignore line as .gitignore says it: every pattern is relative to the context, a blank after `!` is dropped."""
    text = pattern.strip()
    if not text or text.startswith("#"):
        return None
    negated = text.startswith("!")
    return ("!" if negated else "") + "/" + os.path.normpath(text.lstrip("!").strip().lstrip("/"))


def _hash(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
