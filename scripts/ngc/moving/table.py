"""What stands in the table about a base: the Dockerfile's ARG BASE_IMAGE, and the entries of image.yaml."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ngc.catalog import Base, Framework
from ngc.moving.source import Text, get, last, pairs
from ngc.reference import Reference
from ngc.registry import Remote
from ngc.releases import Releases, Tag

_ARGUMENT = re.compile(r"^(?P<start>[ \t]*ARG[ \t]+BASE_IMAGE=)(?P<value>\S+)", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True)
class Edited:
    """A file's new text, what was done to it, and what a person must do."""

    text: str
    done: tuple[str, ...] = ()
    look: tuple[str, ...] = ()


def dockerfile(text: str, image: Reference) -> Edited:
    """The Dockerfile with another base, tag and digest on its one line."""
    found = _ARGUMENT.search(text)
    if found is None or found["value"].strip("\"'") == str(image):
        return Edited(text)
    return Edited(text[: found.start("value")] + str(image) + text[found.end("value") :], (f"stands on {image}",))


def image_yaml(
    path: Path, text: str, framework: Framework, known: Releases, image: Reference, to: Tag, remote: Remote | None
) -> Edited:  # fmt: skip
    """image.yaml with an entry for the base, and the stand-in of the newest layout that is not newer than it."""
    source, done, look = Text(path, text), [], []
    (document,) = source.documents()
    entry = framework.known(image)
    if entry is None:
        key, lines = _entry(framework, image, to, remote)
        bases = get(document, "bases")
        source.insert(source.line_end(last(bases)), "\n" + "\n".join(lines))
        done.append(f"an entry {key}, with what the registry says of it")
    stand_in = _stand_in(framework, known, image, to)
    now = framework.stand_in
    if now and stand_in and stand_in.layout != now.layout:
        node = next(value for name, value in pairs(document) if name.value == "stand-in")
        source.replace(node, stand_in.key)
        done.append(f"stand-in {now.key} -> {stand_in.key}")
    elif now and (entry is None or entry.layout is None):
        look.append(f"the stand-in stays at {now.key}: ngc-builds/stand-in has no layout for {to.name}, so --base=stand-in builds on the old one")  # fmt: skip
    return Edited(source.result(), tuple(done), tuple(look))


def _entry(framework: Framework, image: Reference, to: Tag, remote: Remote | None) -> tuple[str, list[str]]:
    """A key that is free, and the lines of a new entry."""
    key = to.name
    if any(base.key == key for base in framework.bases):
        key = f"{image.repository.rpartition('/')[2]}-{to.name}"
    lines = ["  # Added by `invoke bump`: what the registry says of it. Say more where it was checked.", f"  {key}:"]
    lines.append(f"    reference: {Reference(image.registry, image.repository, image.tag, None)}")
    if remote:
        lines.append(f"    user: {json.dumps(remote.user)}")
        lines += [f"    platforms: [{', '.join(remote.platforms)}]"] * bool(remote.platforms)
    return key, [*lines, "    checked: not at all"]


def _stand_in(framework: Framework, known: Releases, image: Reference, to: Tag) -> Base | None:
    """The first entry with the newest layout of this image that is not newer than the release; None where there is none."""
    rows: list[tuple[Any, Base]] = []
    for base in framework.bases:
        tag = known.tag(base.reference.tag)
        if tag and base.layout and base.reference.repository == image.repository and tag.version <= to.version:
            rows.append((tag.version, base))
    newest = max(rows, key=lambda row: row[0], default=(None, None))[1]
    return next((base for _, base in rows if newest and base.layout == newest.layout), None)
