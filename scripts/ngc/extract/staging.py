"""A result is made in a stage beside its place and then exchanged with what is there: at no moment is there half of one or none.

A stage is locked while its process lives. What a killed process has left is told by that, and by what only a stage
holds; anything else that has such a name is not touched.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ngc import files
from ngc.errors import Failed
from ngc.extract import inventory

_HOLDS = ("root", "content", "index")
_OLD = "old"  # the result before, between two renames
_LONGEST = 200  # bytes of the result's name in the stage's; NAME_MAX is 255
_EXCHANGE, _AT_FDCWD = 2, -100  # linux/fs.h, linux/fcntl.h
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST)
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)  # an old kernel, or a file system that does not exchange


@contextmanager
def stage(out: Path) -> Iterator[Path]:
    """A folder beside the result with room for its root, content and indexes, always removed. Raises Failed."""
    with ExitStack() as stack:
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            remove_left(out)
            made = _locked(out.parent, _prefix(out), stack)
        except OSError as error:
            raise Failed(f"{out.parent} cannot be written ({error.strerror}); choose another --out") from None
        try:
            for name in _HOLDS:
                (made / name).mkdir()
            yield made
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Failed(f"the disk of {out.parent} is full; free some, or choose another --out") from None
            raise Failed(
                f"{_named(error, out)}: {error.strerror}; choose another --out, or other paths with --component"
            ) from None
        finally:
            try:
                _discard(made, out)
            except KeyboardInterrupt:  # a signal while it is removed: the rest goes all the same
                _discard(made, out)
                raise


def remove_left(out: Path) -> None:
    """Remove what killed runs have left beside a result. Raises OSError."""
    for left in _left(out.parent, _prefix(out)):
        with suppress(FileNotFoundError), files.locked(left) as alone:
            if alone:
                _discard(left, out)


def _named(error: OSError, out: Path) -> str:
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(out)
    return name if len(name) < 200 else name[:200] + "..."


def _prefix(out: Path) -> str:
    name = out.name if len(os.fsencode(out.name)) <= _LONGEST else hashlib.sha256(os.fsencode(out.name)).hexdigest()
    return f".{name}.extract-"


def _locked(folder: Path, prefix: str, stack: ExitStack) -> Path:
    """A new stage that is ours. Another run may take it for one that was left, until it is locked: then there is a next one."""
    while True:
        made = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
        with suppress(FileNotFoundError):
            if stack.enter_context(files.locked(made)) and made.is_dir():
                return made


def _left(folder: Path, prefix: str) -> list[Path]:
    """Stages of this user that lie in a folder: by their names as mkdtemp makes them, and by what they hold."""
    ours = re.compile(re.escape(prefix) + "[a-z0-9_]{8}")
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not ours.fullmatch(entry.name) or not entry.is_dir(follow_symlinks=False):
                continue
            with suppress(OSError):
                holds = {inner.name for inner in Path(entry).iterdir()}
                if entry.stat(follow_symlinks=False).st_uid == os.geteuid() and holds <= {*_HOLDS, _OLD}:
                    found.append(Path(entry))
    return found


def _discard(stage: Path, out: Path) -> None:
    """Remove a stage. Where the run was ended between two renames, the result before goes back first."""
    old = stage / _OLD
    if old.is_dir() and not os.path.lexists(out):
        with suppress(OSError):  # another run was faster
            old.rename(out)
    files.remove_tree(stage)


def swap(stage: Path, out: Path) -> None:
    """Put the finished root of a stage in its place; what was there stays in the stage."""
    root = stage / "root"
    mode = root.stat().st_mode
    root.chmod(mode | 0o700)  # to be moved, where it is the image's own root and we are not root
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        while not _placed(root, out, stage):
            pass  # another run was faster, and has put its own result there or taken one away
        os.fchmod(handle, mode & 0o7777)  # ours, whatever lies there by now
    finally:
        os.close(handle)


def _placed(root: Path, out: Path, stage: Path) -> bool:
    """Try once; False where what is there was changed meanwhile. Raises OSError, and Failed for what is not ours to replace."""
    inventory.refuse_to_replace(out)
    try:
        root.rename(out)  # where there is nothing, or an empty folder
        return True
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
    with suppress(FileNotFoundError):
        if not os.access(out, os.W_OK):
            out.chmod(0o700)  # to be moved, as above; it goes
        if _exchange(root, out):
            return True
        files.remove_tree(stage / _OLD)
        out.rename(stage / _OLD)
    return False


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where that cannot be done here. Raises OSError."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # glibc has it since 2.28
    if call is None:
        return False
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), str(other))
