"""inventory.json: what was taken, from which image, and whether a folder still matches it."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ngc.errors import Failed
from ngc.extract.layers import FIFO, FILE, FOLDER, SYMLINK
from ngc.extract.overlay import Node
from ngc.extract.parts import Component

NAME = "inventory.json"
_FORMAT = 1
_TYPES = {FILE: "file", FOLDER: "folder", SYMLINK: "symlink", FIFO: "fifo"}
_LONGEST_TEXT = 1 << 20  # bytes of a file that a version is read from


@dataclass(frozen=True)
class Taken:
    """A component as it was found. `files` counts everything but folders, `bytes` file content, each inode once."""

    paths: tuple[str, ...]
    files: int
    bytes: int
    version: str | None


@dataclass(frozen=True)
class Inventory:
    """The content of inventory.json.

    `spec` is what was asked for, as image.yaml or the user wrote it. `entries`, by path: type, mode, uid, gid, mtime
    (nanoseconds since 1970) and for files size (bytes), sha256 and `same_as`, the first name of a hard link.
    Names that are not UTF-8 are written with surrogate escapes, as Python's os.fsdecode does.
    """

    image: str
    digest: str
    platform: str
    date: str
    base: str | None  # the key in image.yaml's `bases:`
    owners: bool
    spec: Mapping[str, Any]
    components: Mapping[str, Taken]
    left_out: Sequence[str]
    entries: Mapping[str, Mapping[str, Any]]
    format: int = field(default=_FORMAT)


def spec(components: Iterable[Component]) -> dict[str, Any]:
    """Components as JSON keeps them."""
    found: dict[str, Any] = json.loads(json.dumps({part.name: asdict(part) for part in components}))
    return found


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def entries(picked: Mapping[bytes, Node], sha256: Callable[[Node], str]) -> dict[str, dict[str, Any]]:
    """Entries of the picked tree; what no disk here can hold (devices) is not among them."""
    first: dict[Node, str] = {}
    found: dict[str, dict[str, Any]] = {}
    for raw, node in sorted(picked.items()):
        if node.kind not in _TYPES or not raw:
            continue
        name = os.fsdecode(raw)
        entry: dict[str, Any] = {"type": _TYPES[node.kind]}
        if node.kind != SYMLINK:
            entry["mode"] = f"{node.mode:04o}"
        entry |= {"uid": node.uid, "gid": node.gid, "mtime": node.mtime}
        if node.kind == FILE:
            entry |= {"size": node.size, "sha256": sha256(node)}
        elif node.kind == SYMLINK:
            entry["link"] = os.fsdecode(node.link)
        if node.kind != FOLDER and first.setdefault(node, name) != name:
            entry["same_as"] = first[node]
        found[name] = entry
    return found


def version(component: Component, names: Sequence[str], root: Path) -> str | None:
    """The version of a component that was placed in `root`, None where none can be read."""
    if component.version is None:
        return None
    pattern = re.compile(component.version, re.MULTILINE)
    if component.version_file is None:
        match = pattern.search("\n".join(names))
        return match[1] if match else None
    for name in fnmatch.filter(names, component.version_file.lstrip("/")):
        file = root / name
        if file.is_file() and not file.is_symlink() and file.stat().st_size <= _LONGEST_TEXT:
            match = pattern.search(file.read_text(errors="replace"))
            if match:
                return match[1]
    return None


def write(inventory: Inventory, folder: Path) -> None:
    parts = {name: asdict(part) for name, part in inventory.components.items()}
    with (folder / NAME).open("w") as file:
        json.dump({**vars(inventory), "components": parts}, file, indent=1)
        file.write("\n")


def read(folder: Path) -> Inventory | None:
    """The inventory of a folder, None if it has none that this version wrote."""
    try:
        data = json.loads((folder / NAME).read_text())
        taken = {name: Taken(tuple(part.pop("paths")), **part) for name, part in data["components"].items()}
        return Inventory(**{**data, "components": taken}) if data["format"] == _FORMAT else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def differences(inventory: Inventory, folder: Path, content: bool) -> Iterator[str]:
    """What in a folder is not as the inventory says, a line each. `content`: read the files too, not only their size and time."""
    groups: dict[str, int] = {}
    for name, entry in inventory.entries.items():
        try:
            found = os.lstat(os.fsencode(folder / name))
        except (FileNotFoundError, NotADirectoryError):
            yield f"/{name} is missing"
            continue
        problem = _differs(found, entry, inventory.owners) or _links_differ(found, name, entry, groups)
        if not problem and entry["type"] == "symlink":
            target = os.readlink(folder / name)  # noqa: PTH115  # a Path would drop dots and slashes
            problem = None if target == entry["link"] else "leads elsewhere"
        if not problem and content and entry["type"] == "file" and "same_as" not in entry:
            problem = None if _sha256(folder / name) == entry["sha256"] else "has another content"
        if problem:
            yield f"/{name} {problem}"
    yield from _extra(inventory, folder)


def _differs(found: os.stat_result, entry: Mapping[str, Any], owners: bool) -> str | None:
    kinds = {"file": stat.S_ISREG, "folder": stat.S_ISDIR, "symlink": stat.S_ISLNK, "fifo": stat.S_ISFIFO}
    if not kinds[entry["type"]](found.st_mode):
        return f"is no {entry['type']}"
    if "mode" in entry and stat.S_IMODE(found.st_mode) != int(entry["mode"], 8):
        return f"has mode {stat.S_IMODE(found.st_mode):04o}, not {entry['mode']}"
    if entry["type"] == "file" and found.st_size != entry["size"]:
        return f"has {found.st_size} bytes, not {entry['size']}"
    if found.st_mtime_ns // 10**9 != entry["mtime"] // 10**9:  # some file systems keep no fractions
        return "was changed"
    if owners and (found.st_uid, found.st_gid) != (entry["uid"], entry["gid"]):
        return f"belongs to {found.st_uid}:{found.st_gid}, not {entry['uid']}:{entry['gid']}"
    return None


def _links_differ(found: os.stat_result, name: str, entry: Mapping[str, Any], groups: dict[str, int]) -> str | None:
    groups[name] = found.st_ino
    other = entry.get("same_as")
    return f"is no longer the same file as /{other}" if other and groups.get(other) != found.st_ino else None


def _extra(inventory: Inventory, folder: Path) -> Iterator[str]:
    for path, folders, files in os.walk(folder):
        inside = os.path.relpath(path, folder)
        for name in [*folders, *files]:
            full = name if inside == "." else f"{inside}/{name}"
            if full not in inventory.entries and full != NAME:
                yield f"/{full} was added"


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as data:
        while piece := data.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def refuse_to_replace(folder: Path) -> None:
    """Raise Failed if something is in the way that extraction did not make."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise Failed(f"{folder} is in the way and no folder; remove it, or choose another --out")
    if folder.is_dir() and any(folder.iterdir()) and read(folder) is None:
        raise Failed(f"{folder} is in the way and was not made by extract-from-ngc; remove it, or choose another --out")
