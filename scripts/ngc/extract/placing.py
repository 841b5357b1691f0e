"""The picked part of the tree on disk: made below a folder of our own, so that no name can lead out of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from ngc.extract.layers import FIFO, FILE, FOLDER, SYMLINK
from ngc.extract.overlay import Node
from ngc.extract.tape import text


def place(picked: Mapping[bytes, Node], content: Callable[[Node], Path], root: Path, owners: bool) -> list[str]:
    """Make the tree in the empty folder `root`; staged content is moved there. Returns the names that were left out: devices.

    Every folder comes before what is in it, and every name's parent is a folder of the tree, never a symlink.
    """
    left_out: list[str] = []
    first: dict[Node, Path] = {}
    folders: list[tuple[Path, Node]] = []
    for name, node in sorted(picked.items()):
        path = root / os.fsdecode(name)
        if node.kind == FOLDER:
            if name:
                path.mkdir(0o700)
            folders.append((path, node))
            continue
        if node in first:
            os.link(first[node], path, follow_symlinks=False)
            continue
        if node.kind == FILE:
            content(node).rename(path)
        elif node.kind == SYMLINK:
            path.symlink_to(os.fsdecode(node.link))
        elif node.kind == FIFO:
            os.mkfifo(path, 0o600)
        else:
            left_out.append("/" + text(name))
            continue
        first[node] = path
        _describe(path, node, owners)
    for path, node in reversed(folders):
        _describe(path, node, owners)
    return left_out


def _describe(path: Path, node: Node, owners: bool) -> None:
    if owners:
        os.chown(path, node.uid, node.gid, follow_symlinks=False)
    if node.kind != SYMLINK:
        path.chmod(node.mode)
    os.utime(path, ns=(node.mtime, node.mtime), follow_symlinks=False)


def remove(folder: Path) -> None:
    """Remove a folder with everything in it, read-only folders too."""
    if folder.is_symlink() or not folder.is_dir():
        return
    if os.geteuid() != 0:
        todo = [folder]
        while todo:
            here = todo.pop()
            here.chmod(0o700)
            with os.scandir(here) as entries:
                todo += [Path(entry) for entry in entries if entry.is_dir(follow_symlinks=False)]
    shutil.rmtree(folder)
