"""Files of ours: below their folder, written whole or not at all, in folders that nobody else can write to."""

from __future__ import annotations

import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path, PurePosixPath

from ngc.errors import Failed, Wrong

_STAGED = ".staged-"  # between the name of a file and the random end of its staged one's
_HOIST = 2048  # bytes of a path below which folders are removed where they lie; PATH_MAX is 4096


def below(folder: Path, name: str) -> Path:
    """The path of a name from a config, an image, an index or an inventory below a folder. Raises Wrong for one that leaves it.

    The name is only read; that no symlink lies on the way is for whoever made the folder.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\0" in name:
        raise Wrong(f"'{name}' is no name of a file below {folder}; write one without a leading / and without ..")
    return folder.joinpath(*parts)


def write(path: Path, data: str | bytes, mode: int = 0o666) -> None:
    """Write a file whole or not at all: into a staged one that nobody could have put there before, which is then renamed.

    The folder must be there; `mode` is before the umask. Raises OSError.
    """
    staged = path.with_name(f".{path.name[:200]}{_STAGED}{secrets.token_hex(8)}")
    handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
        staged.replace(path)
    except BaseException:
        with suppress(OSError):
            staged.unlink()
        raise


def is_staged(name: str) -> bool:
    """True for the name of a file that `write` had begun."""
    return name.startswith(".") and _STAGED in name


def cache(name: str) -> Path | None:
    """A folder of ours for what can be made again at any time (XDG Base Directory Specification), made if there is none.

    None where it cannot be had, or could be written by somebody else: nothing is read from there or kept then.
    """
    return _cache(_top("XDG_CACHE_HOME", ".cache"), name)


@lru_cache(maxsize=16)
def _cache(top: Path, name: str) -> Path | None:
    try:
        return _private(top, name)
    except Failed as error:
        print(f"nothing is kept between runs: {error}", file=sys.stderr)
        return None
    except OSError:
        return None  # read-only, or full: the work is only slower


def state(name: str) -> Path:
    """A folder of ours for what must outlive a run but is no setting, such as which stack is up; made if there is none.

    Raises Failed where somebody else could write to it.
    """
    return _private(_top("XDG_STATE_HOME", ".local/state"), name)


def _top(variable: str, otherwise: str) -> Path:
    return Path(os.environ.get(variable) or os.path.expanduser(f"~/{otherwise}")) / "ngc-dynamo"  # noqa: PTH111  # ~ stays, if there is no home


def _private(top: Path, name: str) -> Path:
    """Make `top/name` with mode 0700, and hold both folders to it. Raises Failed and OSError."""
    top.parent.mkdir(parents=True, exist_ok=True)
    for folder in (top, top / name):
        with suppress(FileExistsError):
            folder.mkdir(0o700)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise Failed(f"{folder} is no folder; remove it")
        if found.st_uid != os.geteuid():
            raise Failed(f"{folder} belongs to user {found.st_uid}, who could change what is in it; remove it")
        if found.st_mode & 0o022:
            raise Failed(f"{folder} can be written by others; run `chmod go-w {folder}` if you trust what is in it")
    return top / name


def remove_tree(folder: Path) -> None:
    """Remove a folder with everything in it: read-only folders too, and trees deeper than a path or the stack may be.

    What lies too deep is moved up first. A link or a file is left alone. Raises OSError.
    """
    if folder.is_symlink() or not folder.is_dir():
        return
    limit, todo, number = len(os.fsencode(folder)) + _HOIST, [os.fsencode(folder)], 0
    while todo:
        here = todo[-1]
        if os.geteuid() != 0:
            os.chmod(here, 0o700)  # noqa: PTH101  # bytes: names need not be texts
        inner = list(_folders_after_files(here))
        if not inner:
            os.rmdir(todo.pop())  # noqa: PTH106
        for path in inner:
            if len(path) > limit - 256:
                number += 1
                moved = os.fsencode(folder) + b"/.moved-%d-%s" % (number, secrets.token_hex(8).encode())
                if os.geteuid() != 0:
                    os.chmod(path, 0o700)  # noqa: PTH101  # its `..` changes
                os.rename(path, moved)  # noqa: PTH104
                todo.insert(1, moved)
            else:
                todo.append(path)


def _folders_after_files(folder: bytes) -> Iterator[bytes]:
    """Remove the files of a folder, and give its folders."""
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                yield entry.path
            else:
                os.unlink(entry.path)  # noqa: PTH108


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Whether a folder is ours alone meanwhile; the lock goes with the process that holds it. Raises OSError for a link."""
    import fcntl

    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)
