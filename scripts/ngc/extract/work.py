"""Extraction: find the image, plan, read what is not known, lay the layers on each other, take what is wanted, put it in place."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ngc import files
from ngc.errors import Failed
from ngc.extract import index, inventory, overlay, parts, placing
from ngc.extract.asking import Order, entry_of, environment
from ngc.extract.inventory import Inventory, Taken
from ngc.extract.layers import FILE, HARD_LINK
from ngc.extract.overlay import Node
from ngc.extract.parts import Component
from ngc.extract.reading import Listener, Reader
from ngc.extract.sources import Blob, Source
from ngc.extract.tape import text


def unchanged(order: Order) -> Inventory | None:
    """The inventory of the folder, if it holds just what would be extracted; reads no blob and no file."""
    old = inventory.read(order.out)
    if old is None or old.digest != order.source.digest or old.owners != order.owners:
        return None
    entry = next((b for b in order.framework.bases if b.key == old.base), None) if order.framework else None
    if old.spec != inventory.spec(parts.choose(order.framework, entry, order.asked)):
        return None
    return old if next(inventory.differences(old, order.out, content=False), None) is None else None


def run(order: Order, listen: Listener) -> Inventory:
    """Do it. Raises Failed; then, and on Ctrl-C, the folder is what it was before."""
    inventory.refuse_to_replace(order.out)
    entry = entry_of(order)
    components = parts.choose(order.framework, entry, order.asked)
    located = {part.name: part.located(environment(order)) for part in components}
    with _stage(order.out) as stage:
        reader = Reader(order.source, stage, listen)
        try:
            picked, blobs, found = _gather(order.source, reader, components, located)
        finally:
            order.source.close()
        root = stage / "root"
        content = _Content(reader, blobs)
        listed = inventory.entries(picked, content.sha256)
        if inventory.NAME in listed:
            raise Failed(
                f"the image has a file /{inventory.NAME}, and that name is taken here; name other paths with --component"
            )
        left_out = placing.place(picked, content.path, root, order.owners)
        taken = {part.name: _taken(part, found[part.name], listed, root) for part in components}
        source = order.source
        made = Inventory(
            source.name, source.digest, source.platform, inventory.now(), entry.key if entry else None, order.owners,
            inventory.spec(components), taken, left_out, listed,
        )  # fmt: skip
        inventory.write(made, root)
        _swap(root, order.out, stage)
    return made


@dataclass(frozen=True)
class _Content:
    """Where the content of picked files is staged."""

    reader: Reader
    blobs: Sequence[Blob]

    def _staged(self, node: Node) -> tuple[Path, str]:
        staged = self.reader.content(self.blobs[node.layer], node.offset)
        assert staged is not None  # _gather has fetched all
        return staged

    def path(self, node: Node) -> Path:
        return self._staged(node)[0]

    def sha256(self, node: Node) -> str:
        return self._staged(node)[1]


def _gather(
    source: Source, reader: Reader, components: Sequence[Component], located: Mapping[str, Sequence[bytes]]
) -> tuple[dict[bytes, Node], Sequence[Blob], dict[str, list[bytes]]]:
    """(picked tree, layers, paths found by component), with all content staged. Symlinks are followed until nothing new is wanted."""
    wanted = list(dict.fromkeys(path for paths in located.values() for path in paths))
    while True:
        blobs = source.blobs(wanted)
        reader.scan(blobs, wanted)
        root = overlay.merged(trees(reader, blobs, wanted))
        picked, found, more = _pick(root, located, wanted)
        if not more:
            break
        wanted += more
    missing = [part for part in components if not found[part.name]]
    if missing:
        looked = "; ".join(f"{part.name}: {', '.join(part.paths)}" for part in missing)
        raise Failed(
            f"{source.name} has no {' and no '.join(part.name for part in missing)}, looked for {looked}; name a path with --component"
        )
    reader.fetch(needs(reader, blobs, picked))
    return picked, blobs, found


def trees(reader: Reader, blobs: Sequence[Blob], wanted: Sequence[bytes]) -> Iterator[Node]:
    """A tree of each layer with what lies at, below and on the way to the wanted paths."""
    around = {name for path in wanted for name in overlay.names_around(path)}
    for level, blob in enumerate(blobs):
        known = {m.entry.offset: m for m in index.find(reader.indexes[blob], around, wanted)}
        names = {member.entry.name for member in known.values()}
        while targets := {m.entry.link for m in known.values() if m.entry.kind == HARD_LINK} - names:
            known |= {m.entry.offset: m for m in index.find(reader.indexes[blob], targets, ())}
            names |= targets
        yield overlay.tree_of(level, (known[offset] for offset in sorted(known)), blob.name)


def needs(reader: Reader, blobs: Sequence[Blob], picked: Mapping[bytes, Node]) -> dict[Blob, dict[int, str]]:
    """The files whose content is not staged, by blob and offset, with the sha256 that is known of them."""
    found: dict[Blob, dict[int, str]] = {}
    for node in picked.values():
        if node.kind == FILE and reader.content(blobs[node.layer], node.offset) is None:
            found.setdefault(blobs[node.layer], {})[node.offset] = node.sha256.decode()
    return found


def _pick(
    root: Node, located: Mapping[str, Sequence[bytes]], wanted: Sequence[bytes]
) -> tuple[dict[bytes, Node], dict[str, list[bytes]], list[bytes]]:
    picked: dict[bytes, Node] = {}
    found: dict[str, list[bytes]] = {}
    more: list[bytes] = []
    for component, paths in located.items():
        found[component] = []
        for path in paths:
            way = overlay.way_to(root, path)
            if way.also is not None and way.also not in [*wanted, *more]:
                more.append(way.also)
            if not way.there:
                continue
            picked |= dict(way.steps)
            found[component].append(path)
            if way.end is not None:
                found[component].append(way.end[0])
                picked |= _below(*way.end)
    return picked, found, more


def _below(name: bytes, node: Node) -> Iterator[tuple[bytes, Node]]:
    todo = [(name, node)]
    while todo:
        name, node = todo.pop()
        yield name, node
        todo += [(name + b"/" + part if name else part, below) for part, below in node.children.items()]


def _taken(part: Component, paths: Sequence[bytes], listed: Mapping[str, Mapping[str, Any]], root: Path) -> Taken:
    tops = tuple(dict.fromkeys(os.fsdecode(path) for path in paths))
    below = tuple(top + "/" if top else "" for top in tops)
    names = [name for name in listed if name in tops or name.startswith(below)]
    files = [listed[name] for name in names if listed[name]["type"] != "folder"]
    size = sum(entry["size"] for entry in files if entry["type"] == "file" and "same_as" not in entry)
    return Taken(tuple("/" + top for top in tops), len(files), size, inventory.version(part, names, root))


@contextmanager
def _stage(out: Path) -> Iterator[Path]:
    """A folder beside the result, always removed; what runs that were killed left there goes first."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        for left in out.parent.glob(f".{out.name}.extract-*"):
            with files.locked(left) as alone:
                if alone and any(left.iterdir()):  # an empty one may be just made
                    placing.remove(left)
        stage = Path(tempfile.mkdtemp(prefix=f".{out.name}.extract-", dir=out.parent))
    except OSError as error:
        raise Failed(f"{out.parent} cannot be written ({error.strerror}); choose another --out") from None
    with files.locked(stage):
        for name in ("root", "content", "index"):
            (stage / name).mkdir()
        try:
            yield stage
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Failed(f"the disk of {out.parent} is full; free some, or choose another --out") from None
            raise Failed(
                f"{error.filename or out}: {error.strerror}; choose another --out, or other paths with --component"
            ) from None
        finally:
            placing.remove(stage)


def _swap(root: Path, out: Path, stage: Path) -> None:
    """Put the finished tree in its place; what was there goes with the stage."""
    inventory.refuse_to_replace(out)
    mode = root.stat().st_mode
    root.chmod(mode | 0o700)  # to be moved, where it is the image's own root and we are not root
    if out.exists():
        out.rename(stage / "old")
    root.rename(out)
    out.chmod(mode & 0o7777)


def planned(order: Order, located: Mapping[str, Sequence[bytes]]) -> list[dict[str, Any]]:
    """The layers that a run would ask for, as far as indexes of earlier runs tell, and why."""
    wanted = list(dict.fromkeys(path for paths in located.values() for path in paths))
    if not order.source.kept:
        return [
            {"layer": f"{order.source.name}:/{text(path)}", "size": None, "why": "from the engine"} for path in wanted
        ]
    blobs = order.source.blobs(wanted)
    reader = Reader(order.source, order.out, lambda *_: None)
    unknown = reader.know(blobs)
    wanting: dict[Blob, dict[int, str]] = {}
    if not unknown:
        picked, _, _ = _pick(overlay.merged(trees(reader, blobs, wanted)), located, wanted)
        wanting = needs(reader, blobs, picked)
    rows = []
    for blob in dict.fromkeys(blobs):
        if blob in unknown:
            why = "to its end: what it holds is not known"
        elif unknown:
            why = "if a wanted file is in it, to that"
        elif blob not in wanting:
            continue
        else:
            why = (
                "to the last wanted file"
                if all(wanting[blob].values())
                else "to its end: wanted files have no known sha256"
            )
        rows.append({"layer": blob.name, "size": blob.size, "why": why})
    return rows
