"""A folder and the names beneath it, whatever their length: all that is placed and checked goes through here.

A name is never followed out of the folder, and may be longer than PATH_MAX together with the folder's own path: it is
walked in steps, each from an open folder, and no step follows a symlink at its end.
"""

from __future__ import annotations

import os
import stat
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

from ngc.errors import Failed

_STEP = 2000  # bytes of a name in one system call; PATH_MAX is 4096
_MOST_OPEN = 8  # steps kept open: names come in order, so the next one mostly begins with the same


class Root:
    """An open folder. Names are bytes, relative and without dots; they raise OSError as the calls of `os` do."""

    def __init__(self, folder: Path) -> None:
        self._top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        self._steps: OrderedDict[bytes, int] = OrderedDict()

    def __enter__(self) -> Root:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in (*self._steps.values(), self._top):
            os.close(handle)

    def _at(self, name: bytes) -> tuple[int, bytes]:
        """(an open folder, the rest of the name from there)."""
        if name[:1] == b"/" or b"\0" in name or (b".." in name and b".." in name.split(b"/")):
            raise Failed(f"{name!r} is no name below a folder; refused")
        handle, start = self._top, 0
        while len(name) - start > _STEP:
            end = name.rfind(b"/", start, start + _STEP)
            if end <= start:
                break  # one part of more than 2000 bytes: the system says what it thinks of it
            handle = self._step(handle, name[start:end], name[:end])
            start = end + 1
        return handle, name[start:] or b"."

    def _step(self, above: int, part: bytes, whole: bytes) -> int:
        handle = self._steps.get(whole)
        if handle is None:
            handle = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
            if len(self._steps) == _MOST_OPEN:
                os.close(self._steps.popitem(last=False)[1])
            self._steps[whole] = handle
        self._steps.move_to_end(whole)
        return handle

    def lstat(self, name: bytes) -> os.stat_result:
        above, rest = self._at(name)
        return os.stat(rest, dir_fd=above, follow_symlinks=False)

    def readlink(self, name: bytes) -> bytes:
        above, rest = self._at(name)
        return os.readlink(rest, dir_fd=above)

    def read(self, name: bytes, most: int | None = None) -> Iterator[bytes]:
        """The content of a file, piece by piece; nothing of what is no file or has more than `most` bytes."""
        above, rest = self._at(name)
        # A FIFO must not make us wait, nor a symlink lead us away.
        with open(os.open(rest, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=above), "rb", buffering=0) as file:  # noqa: PTH123
            found = os.fstat(file.fileno())
            if stat.S_ISREG(found.st_mode) and (most is None or found.st_size <= most):
                while piece := file.read(1 << 20):
                    yield piece

    def walk(self) -> Iterator[bytes]:
        """Every name below the folder but those below a folder that may not be read, or is gone meanwhile; no order."""
        todo = [b""]
        while todo:
            name = todo.pop()
            above, rest = self._at(name)
            try:
                handle = os.open(rest, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=above)
            except (PermissionError, FileNotFoundError, NotADirectoryError):
                continue
            try:
                with os.scandir(handle) as entries:
                    for entry in entries:
                        full = b"/".join((name, os.fsencode(entry.name))) if name else os.fsencode(entry.name)
                        if entry.is_dir(follow_symlinks=False):
                            todo.append(full)
                        yield full
            finally:
                os.close(handle)

    def mkdir(self, name: bytes, mode: int) -> None:
        above, rest = self._at(name)
        os.mkdir(rest, mode, dir_fd=above)

    def mkfifo(self, name: bytes, mode: int) -> None:
        above, rest = self._at(name)
        os.mkfifo(rest, mode, dir_fd=above)

    def symlink(self, to: bytes, name: bytes) -> None:
        above, rest = self._at(name)
        os.symlink(to, rest, dir_fd=above)

    def link(self, first: bytes, name: bytes) -> None:
        """A hard link; of a symlink it is one to the symlink itself."""
        source, old = self._at(first)
        above, rest = self._at(name)
        os.link(old, rest, src_dir_fd=source, dst_dir_fd=above, follow_symlinks=False)

    def take(self, file: Path, name: bytes) -> None:
        """Move a file from elsewhere on this disk to a name."""
        above, rest = self._at(name)
        os.rename(file, rest, dst_dir_fd=above)

    def describe(self, name: bytes, mode: int | None, mtime: int, owner: tuple[int, int] | None) -> None:
        """Set owner, mode and time (nanoseconds since 1970), in this order: giving a file away takes bits from its mode."""
        above, rest = self._at(name)
        if owner is not None:
            os.chown(rest, *owner, dir_fd=above, follow_symlinks=False)
        if mode is not None:  # a symlink has none
            os.chmod(rest, mode, dir_fd=above)
        os.utime(rest, ns=(mtime, mtime), dir_fd=above, follow_symlinks=False)
