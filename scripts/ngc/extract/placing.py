"""The picked part of the tree on disk: made below a folder of our own, so that no name can lead out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ngc.extract.layers import FIFO, FILE, FOLDER, SYMLINK
from ngc.extract.overlay import Node
from ngc.extract.rooted import Root
from ngc.extract.tape import text

WITH_OWNER = 0o6000  # setuid, setgid: they lend the owner's rights, and go where another owner comes, as with tar


def place(picked: Mapping[bytes, Node], content: Callable[[Node], Path], folder: Path, owners: bool) -> list[str]:
    """Make the tree in an empty folder; staged content is moved there. Returns the names that were left out: devices.

    Every folder comes before what is in it, and every name's parent is a folder of the tree, never a symlink.
    """
    left_out: list[str] = []
    first: dict[Node, bytes] = {}
    folders: list[bytes] = []
    with Root(folder) as root:

        def describe(name: bytes, node: Node) -> None:
            mode = node.mode if owners else node.mode & ~WITH_OWNER
            owner = (node.uid, node.gid) if owners else None
            root.describe(name, None if node.kind == SYMLINK else mode, node.mtime, owner)

        for name in sorted(picked):
            node = picked[name]
            if node.kind == FOLDER:
                if name:
                    root.mkdir(name, 0o700)
                folders.append(name)
                continue
            if node in first:
                root.link(first[node], name)
                continue
            if node.kind == FILE:
                root.take(content(node), name)
            elif node.kind == SYMLINK:
                root.symlink(node.link, name)
            elif node.kind == FIFO:
                root.mkfifo(name, 0o600)
            else:
                left_out.append("/" + text(name))
                continue
            if node.shared:
                first[node] = name
            describe(name, node)
        for name in reversed(folders):
            describe(name, picked[name])
    return left_out
