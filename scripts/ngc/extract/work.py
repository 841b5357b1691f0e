"""Extraction: find the image, plan, read what is not known, lay the layers on each other, take what is wanted, put it in place."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ngc.errors import Failed
from ngc.extract import index, inventory, overlay, parts, placing, staging
from ngc.extract.asking import Order, entry_of, environment
from ngc.extract.inventory import Entry, Inventory, Taken
from ngc.extract.layers import FILE
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
    with staging.stage(order.out) as stage:
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
        staging.swap(stage, order.out)
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
    """A tree of each layer with what lies at, below and on the way to the wanted paths, and what hard links there share."""
    around = {name for path in wanted for name in overlay.names_around(path)}
    for level, blob in enumerate(blobs):
        exact: set[bytes] = set()
        while True:
            lost: dict[bytes, bytes] = {}
            members = index.find(reader.indexes[blob], around | exact, wanted)
            tree = overlay.tree_of(level, members, blob.name, lost)
            if lost.keys() <= exact:
                break
            exact |= lost.keys()
        for target, name in lost.items():
            raise Failed(
                f"{blob.name} has a hard link {text(name)} to {text(target)}, which is no file before it; refused"
            )
        yield tree


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


def _taken(part: Component, paths: Sequence[bytes], listed: Mapping[str, Entry], root: Path) -> Taken:
    tops = tuple(dict.fromkeys(os.fsdecode(path) for path in paths))
    below = tuple(top + "/" if top else "" for top in tops)
    names = [name for name in listed if name in tops or name.startswith(below)]
    files = [listed[name] for name in names if listed[name].type != "folder"]
    size = sum(entry.size or 0 for entry in files if not entry.same_as)
    return Taken(tuple("/" + top for top in tops), len(files), size, inventory.version(part, names, root))


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
