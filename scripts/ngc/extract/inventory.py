"""inventory.json: what was taken, from which image, and whether a folder still matches it."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from ngc.errors import Failed
from ngc.extract.layers import FIFO, FILE, FOLDER, SYMLINK
from ngc.extract.overlay import Node
from ngc.extract.parts import Component
from ngc.extract.placing import WITH_OWNER
from ngc.extract.rooted import Root

NAME = "inventory.json"
_FORMAT = 1
_TYPES = {FILE: "file", FOLDER: "folder", SYMLINK: "symlink", FIFO: "fifo"}
_ARE = {"file": stat.S_ISREG, "folder": stat.S_ISDIR, "symlink": stat.S_ISLNK, "fifo": stat.S_ISFIFO}
_LONGEST_TEXT = 1 << 20  # bytes of a file that a version is read from


class Entry(NamedTuple):
    """What was taken under one name. `mode` of the image, octal; `mtime` in nanoseconds since 1970; `size` in bytes.

    None: its type has no such thing. `same_as`: the first name of a hard link.
    """

    type: str
    uid: int
    gid: int
    mtime: int
    mode: str | None = None
    size: int | None = None
    sha256: str | None = None
    link: str | None = None
    same_as: str | None = None

    def set(self, owners: bool) -> int | None:
        """The mode that was set on the disk."""
        return None if self.mode is None else int(self.mode, 8) & (-1 if owners else ~WITH_OWNER)


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

    `spec` is what was asked for, as image.yaml or the user wrote it. `entries` by path.
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
    entries: Mapping[str, Entry]
    format: int = field(default=_FORMAT)


def spec(components: Iterable[Component]) -> dict[str, Any]:
    """Components as JSON keeps them."""
    found: dict[str, Any] = json.loads(json.dumps({part.name: asdict(part) for part in components}))
    return found


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def entries(picked: Mapping[bytes, Node], sha256: Callable[[Node], str]) -> dict[str, Entry]:
    """Entries of the picked tree; what no disk here can hold (devices) is not among them."""
    first: dict[Node, str] = {}
    found: dict[str, Entry] = {}
    for raw in sorted(picked):
        node = picked[raw]
        if node.kind not in _TYPES or not raw:
            continue
        name = os.fsdecode(raw)
        is_file, is_link = node.kind == FILE, node.kind == SYMLINK
        found[name] = Entry(
            _TYPES[node.kind], node.uid, node.gid, node.mtime,
            mode=None if is_link else f"{node.mode:04o}",
            size=node.size if is_file else None,
            sha256=sha256(node) if is_file else None,
            link=os.fsdecode(node.link) if is_link else None,
            same_as=first.get(node),
        )  # fmt: skip
        if node.shared:
            first.setdefault(node, name)
    return found


def version(component: Component, names: Sequence[str], folder: Path) -> str | None:
    """The version of a component that was placed in a folder, None where none can be read."""
    if component.version is None:
        return None
    pattern = re.compile(component.version, re.MULTILINE)
    if component.version_file is None:
        match = pattern.search("\n".join(names))
        return match[1] if match else None
    with Root(folder) as root:
        for name in fnmatch.filter(names, component.version_file.lstrip("/")):
            text = b"".join(root.read(os.fsencode(name), _LONGEST_TEXT)).decode(errors="replace")
            if match := pattern.search(text):
                return match[1]
    return None


def write(inventory: Inventory, folder: Path) -> None:
    """Write it into a folder, an entry a line."""
    parts = {name: asdict(part) for name, part in inventory.components.items()}
    top = json.dumps({**vars(inventory), "components": parts, "entries": None}, indent=1)
    before, _, after = top.rpartition(' "entries": null')
    with (folder / NAME).open("x") as file:
        file.write(before + ' "entries": {')
        for number, (name, entry) in enumerate(inventory.entries.items()):
            held = {key: value for key, value in zip(entry._fields, entry, strict=True) if value is not None}
            file.write(f"{',' if number else ''}\n  {json.dumps(name)}: {json.dumps(held)}")
        file.write(f"\n }}{after}\n")


def read(folder: Path) -> Inventory | None:
    """The inventory of a folder, None if it has none that this version wrote."""
    try:
        with Root(folder) as root:
            data = json.loads(b"".join(root.read(NAME.encode())), object_hook=_as_entry)
        taken = {name: Taken(tuple(part.pop("paths")), **part) for name, part in data["components"].items()}
        made = Inventory(**{**data, "components": taken})
        sound = made.format == _FORMAT and all(isinstance(entry, Entry) for entry in made.entries.values())
        return made if sound else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _as_entry(found: dict[str, Any]) -> dict[str, Any] | Entry:
    """An object of the file as an Entry, if it is one; 200,000 dicts would take hundreds of megabytes. Raises as `read` expects."""
    if "uid" not in found or found.get("type") not in _ARE:
        return found
    entry = Entry(**found)
    numbers = (entry.uid, entry.gid, entry.mtime, *([entry.size] if entry.type == "file" else []))
    if not all(isinstance(number, int) for number in numbers):
        raise TypeError
    entry.set(True)
    return entry._replace(type=sys.intern(entry.type), mode=sys.intern(entry.mode) if entry.mode else None)


def differences(inventory: Inventory, folder: Path, content: bool) -> Iterator[str]:
    """What in a folder is not as the inventory says, a line each. `content`: read the files too, not only their size and time."""
    inodes: dict[str, int] = {}
    firsts = {entry.same_as for entry in inventory.entries.values() if entry.same_as}
    try:
        opened = Root(folder)
    except OSError as error:
        yield f"{folder} cannot be read ({error.strerror})"
        return
    with opened as root:
        for name, entry in inventory.entries.items():
            raw = os.fsencode(name)
            try:
                found = root.lstat(raw)
                problem = _differs(found, entry, inventory.owners)
                if name in firsts:
                    inodes[name] = found.st_ino
                if not problem and entry.same_as and inodes.get(entry.same_as) != found.st_ino:
                    problem = f"is no longer the same file as /{entry.same_as}"
                if not problem and entry.type == "symlink" and os.fsdecode(root.readlink(raw)) != entry.link:
                    problem = "leads elsewhere"
                if not problem and content and entry.type == "file" and not entry.same_as:
                    problem = None if _sha256(root.read(raw)) == entry.sha256 else "has another content"
            except (FileNotFoundError, NotADirectoryError):
                problem = "is missing"
            except OSError as error:
                problem = f"cannot be read ({error.strerror})"
            if problem:
                yield f"/{name} {problem}"
        for raw in root.walk():
            name = os.fsdecode(raw)
            if name not in inventory.entries and name != NAME:
                yield f"/{name} was added"


def _differs(found: os.stat_result, entry: Entry, owners: bool) -> str | None:
    mode = entry.set(owners)
    if not _ARE[entry.type](found.st_mode):
        return f"is no {entry.type}"
    if mode is not None and stat.S_IMODE(found.st_mode) != mode:
        return f"has mode {stat.S_IMODE(found.st_mode):04o}, not {mode:04o}"
    if entry.type == "file" and found.st_size != entry.size:
        return f"has {found.st_size} bytes, not {entry.size}"
    if found.st_mtime_ns // 10**9 != entry.mtime // 10**9:  # some file systems keep no fractions
        return "was changed"
    if owners and (found.st_uid, found.st_gid) != (entry.uid, entry.gid):
        return f"belongs to {found.st_uid}:{found.st_gid}, not {entry.uid}:{entry.gid}"
    return None


def _sha256(content: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in content:
        digest.update(piece)
    return digest.hexdigest()


def refuse_to_replace(folder: Path) -> None:
    """Raise Failed if something is in the way that extraction did not make."""
    try:
        while (found := _state(folder)) is not None:
            if not stat.S_ISDIR(found.st_mode):
                raise Failed(f"{folder} is in the way and no folder; remove it, or choose another --out")
            with suppress(FileNotFoundError):
                if not any(folder.iterdir()) or read(folder) is not None:
                    return
            now = _state(folder)  # another run may have exchanged it while it was looked at
            if now is not None and (now.st_ino, now.st_ctime_ns) == (found.st_ino, found.st_ctime_ns):
                raise Failed(
                    f"{folder} is in the way and was not made by extract-from-ngc; remove it, or choose another --out"
                )
    except OSError as error:
        raise Failed(f"{str(folder)[:200]} cannot be read ({error.strerror}); choose another --out") from None


def _state(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
