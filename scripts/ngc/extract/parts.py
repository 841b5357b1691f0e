"""What to take: components, which image.yaml names with their paths, or any absolute path; the image's config fills in variables."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ngc.catalog import ABSENT, Base, Framework
from ngc.errors import Failed, Wrong

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


@dataclass(frozen=True)
class Component:
    """A part of an image. All `paths` that exist are taken, one at least must.

    `version_file` and `version` say where the version stands: a pattern of paths, and an expression with one group that
    is searched in such a file, or without a file in the paths themselves.
    """

    name: str
    paths: tuple[str, ...]
    version_file: str | None = None
    version: str | None = None

    def located(self, environment: Mapping[str, str]) -> tuple[bytes, ...]:
        """The paths in an image with these variables, relative to its root; one whose variable is not set is none. Raises Failed."""
        found = []
        for path in self.paths:
            if all((match[1] or match[2]) in environment for match in _VARIABLE.finditer(path)):
                full = _VARIABLE.sub(lambda match: environment[match[1] or match[2]], path)
                if not full.startswith("/"):
                    raise Failed(
                        f"{path} is '{full}' in this image, which is not absolute; name a path with --component"
                    )
                found.append(posixpath.normpath(full).strip("/").encode(errors="surrogateescape"))
        return tuple(dict.fromkeys(found))


def choose(framework: Framework | None, entry: Base | None, asked: Sequence[str]) -> tuple[Component, ...]:
    """The components asked for by name or absolute path; all that the framework names and the base has, where none is.

    Raises Wrong with the choices.
    """
    known: dict[str, Any] = {**(framework.extract if framework else {}), **(entry.extract if entry else {})}
    absent = {name for name, value in known.items() if value == ABSENT or (entry is not None and entry.lacks(name))}
    if not asked:
        chosen = [name for name in known if name not in absent]
        if not chosen:
            where = framework.folder / "image.yaml" if framework else "nothing"
            raise Wrong(f"{where} names nothing to extract; add --component with an absolute path")
        return tuple(_component(name, known[name]) for name in chosen)
    return tuple(_one(name, known, absent, entry) for name in dict.fromkeys(asked))


def _one(name: str, known: Mapping[str, Any], absent: set[str], entry: Base | None) -> Component:
    if name.startswith(("/", "$")):
        if ".." in name.split("/") or "\0" in name:
            raise Wrong(f"--component is '{name}'; write an absolute path without '..'")
        return Component(name, (name,))
    if name not in known:
        raise Wrong(
            f"unknown component '{name}'; choose from: {', '.join(sorted(known)) or 'none is named here'}, or an absolute path"
        )
    if name in absent:
        raise Wrong(
            f"{entry.reference if entry else 'this base'} has no {name}, says image.yaml; choose from: "
            f"{', '.join(sorted(set(known) - absent))}, or an absolute path"
        )
    return _component(name, known[name])


def _component(name: str, value: Any) -> Component:
    if isinstance(value, list):
        return Component(name, tuple(value))
    version = value.get("version") or {}
    return Component(name, tuple(value["paths"]), version.get("file"), version.get("pattern"))
