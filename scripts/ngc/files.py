"""Files of ours: below their folder, written whole or not at all, in folders that nobody else can write to."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path, PurePosixPath

from ngc.errors import Failed, Wrong

_STAGED = ".staged-"  # between the name of a file and the random end of its staged one's
_HOIST = 2048  # bytes of a name in a tree above which a folder is moved up to be removed; PATH_MAX is 4096


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
    write_all({path: data}, lambda _: mode)


def write_all(contents: Mapping[Path, str | bytes], mode: Callable[[Path], int] | None = None) -> None:
    """As `write`, of files that belong together: none is renamed before all are written.

    `mode` None: a file that is there already keeps its own. Raises OSError.
    """
    staged: dict[Path, Path] = {}
    try:
        for path, data in contents.items():
            staged[path] = path.with_name(f".{path.name[:200]}{_STAGED}{secrets.token_hex(8)}")
            wanted = mode(path) if mode else 0o666
            handle = os.open(staged[path], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, wanted)
            with os.fdopen(handle, "wb") as file:
                file.write(data.encode() if isinstance(data, str) else data)
            if mode is None and path.exists():
                shutil.copymode(path, staged[path])
        for path in list(staged):
            staged.pop(path).replace(path)
    finally:
        for left in staged.values():
            with suppress(OSError):
                left.unlink()


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
    try:
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except PermissionError:
        folder.chmod(0o700)
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return
        raise
    try:
        os.fchmod(top, 0o700)
        _empty(top)
    finally:
        os.close(top)
    folder.rmdir()


def _empty(top: int) -> None:
    """Remove all that is in an open folder."""
    todo, number = [*_folders_after_files(top, ".")], 0
    while todo:
        here = todo[-1]
        inner = [f"{here}/{name}" for name in _folders_after_files(top, here)]
        if not inner:
            os.rmdir(todo.pop(), dir_fd=top)  # a Path knows no dir_fd
        for path in inner:
            if len(os.fsencode(path)) > _HOIST:
                number += 1
                moved = f".moved-{number}-{secrets.token_hex(8)}"
                os.chmod(path, 0o700, dir_fd=top)  # its `..` changes
                os.rename(path, moved, src_dir_fd=top, dst_dir_fd=top)
                todo.insert(0, moved)
            else:
                todo.append(path)


def _folders_after_files(top: int, name: str) -> list[str]:
    """Remove the files of a folder, and give its folders."""
    if os.geteuid() != 0 and name != ".":
        os.chmod(name, 0o700, dir_fd=top)
    handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
    try:
        with os.scandir(handle) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for inner, is_folder in found:
            if not is_folder:
                os.unlink(inner, dir_fd=handle)
    finally:
        os.close(handle)
    return [inner for inner, is_folder in found if is_folder]


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
