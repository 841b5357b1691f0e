"""What a layer holds, a line per member, kept between runs so that only blobs with wanted files are asked for.

Such a file is believed only line by line: what `layers.members` could not have given makes it damaged.

A file in the cache folder was made by a pass that read its blob to the end and checked the blob's sha256. Of files that
were taken in that pass, or in a later checked one, it knows the sha256: by that a blob that is cut short can be trusted.
"""

from __future__ import annotations

import gzip
import os
import re
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ngc import files
from ngc.extract.layers import LONGEST_NAME, MOST_ID, Entry
from ngc.extract.tape import MOST

_FIRST = b"ngc-layer 1 "
_ODD = re.compile(rb"[\t\n\\]")
_ESCAPES = {b"\\": b"\\\\", b"\t": b"\\t", b"\n": b"\\n"}
_UNESCAPES = {value: key for key, value in _ESCAPES.items()}
_PIECE = 1 << 16
_OURS = re.compile(r"[0-9a-f]{64}\.gz")
_KEPT, _STAGED = 90 * 86400, 60  # seconds without use; of what a killed run left half-written, which takes milliseconds
_LONGEST_LINE = 4 * LONGEST_NAME + 1024  # bytes: a name and a link, each byte escaped


def _up_to(most: int) -> str:
    """An expression for the numbers from 0 to `most`; nearly all match its first branch."""
    digits, last = str(most), len(str(most)) - 1
    shorter = rf"[0-{int(digits[0]) - 1}]?\d{{1,{last}}}"
    same = [
        rf"{digits[:at]}[0-{int(digits[at]) - 1}]\d{{{last - at}}}" for at in range(1, last + 1) if digits[at] != "0"
    ]
    return f"(?:{'|'.join((shorter, *same, digits))})"


_PLAIN, _ESCAPED = r"[^\0\t\n\\/]*", r"\\[\\tn]"
_TEXT = rf"{_PLAIN}(?:{_ESCAPED}{_PLAIN})*"
_PART = rf"(?!\.?\.?[/\t\n]){_TEXT}"
_NAME = rf"(?:{_PART}(?:/{_PART})*)?"
_NUMBERS = rf"\t[0-7]{{1,4}}\t{_up_to(MOST_ID)}\t{_up_to(MOST_ID)}\t{_up_to(MOST)}\t{_up_to(MOST)}\t{_up_to(MOST)}\ts?(?:[0-9a-f]{{64}})?\t"
_LINE = re.compile(
    rf"{_NAME}\t(?:[fdpo]{_NUMBERS}|h{_NUMBERS}{_NAME}|l{_NUMBERS}(?!\n){_TEXT}(?:/{_TEXT})*)\n".encode(), re.ASCII
)


class Member(NamedTuple):
    """An entry, and the sha256 of its content as bytes: empty where no checked pass took it."""

    entry: Entry
    sha256: bytes


def place(digest: str) -> Path | None:
    """The cache file of a blob, None where nothing is kept between runs."""
    kept = files.cache("layers")
    return kept / f"{digest.removeprefix('sha256:')}.gz" if kept else None


class Writer:
    """Writes an index while its layer is read; `path` is a staged file."""

    def __init__(self, path: Path, digest: str) -> None:
        self._file = path.open("wb")
        self._pack = zlib.compressobj(1, wbits=31)
        self._lines = [_FIRST + digest.encode() + b"\n"]
        self._size = 0

    def add(self, entry: Entry, sha256: str = "") -> None:
        name, kind, mode, uid, gid, mtime, size, offset, link, pieces = entry
        if _ODD.search(name) or _ODD.search(link):
            name, link = escaped(name), escaped(link)
        numbers = f"\t{kind}\t{mode:o}\t{uid}\t{gid}\t{mtime}\t{size}\t{offset}\t{'s' if pieces else ''}{sha256}\t"
        line = name + numbers.encode() + link + b"\n"
        self._lines.append(line)
        self._size += len(line)
        if self._size > _PIECE:
            self._flush()

    def _flush(self) -> None:
        self._file.write(self._pack.compress(b"".join(self._lines)))
        self._lines, self._size = [], 0

    def close(self) -> None:
        self._flush()
        self._file.write(self._pack.flush())
        self._file.close()


def usable(path: Path, digest: str) -> bool:
    """True if the file is a whole index of that blob; a damaged or forged one is removed, to be made anew."""
    try:
        with gzip.open(path) as file:
            good = file.readline(len(_FIRST) + 100) == _FIRST + digest.encode() + b"\n" and _sound(file)
        os.utime(path)  # it is in use
    except FileNotFoundError:
        return False
    except (OSError, EOFError, zlib.error):
        good = False
    if not good:
        with suppress(OSError):
            path.unlink()
    return good


def _sound(file: gzip.GzipFile) -> bool:
    """Whether all lines are such as a layer's members make; reads to the end, where the file's checksum stands."""
    rest = b""
    while piece := file.read(1 << 20):
        lines = rest + piece
        at = 0
        while match := _LINE.match(lines, at):
            at = match.end()
        rest = lines[at:]
        if len(rest) > _LONGEST_LINE or b"\n" in rest:
            return False
    return not rest


def find(path: Path, exact: Iterable[bytes], below: Iterable[bytes]) -> Iterator[Member]:
    """The members of an index with exactly these names, or below these folders, in their order."""
    names = frozenset(escaped(name) for name in exact)
    everything = b"" in below
    prefixes = tuple(escaped(name) + b"/" for name in below if name)
    with gzip.open(path) as file:
        file.readline()
        for line in _lines(file):
            name = line[: line.index(b"\t")]
            if everything or name in names or name.startswith(prefixes):
                yield _parse(line)


def rewritten(source: Path, target: Path, sha256: Mapping[int, str]) -> None:
    """Copy an index, adding the sha256 of files by their offsets."""
    with gzip.open(source) as old, gzip.open(target, "wb", compresslevel=1) as new:
        new.write(old.readline())
        for line in _lines(old):
            fields = line.split(b"\t")
            known = sha256.get(int(fields[7]))
            if known and len(fields[8]) < 64:
                fields[8] += known.encode()
            new.write(b"\t".join(fields) + b"\n")


def publish(staged: Path, digest: str) -> Path:
    """Put a finished index where later runs find it; where that cannot be written it stays staged. Returns where it is."""
    target = place(digest)
    if target is None:
        return staged
    try:
        files.write(target, staged.read_bytes())
        for old in target.parent.iterdir():
            kept = _KEPT if _OURS.fullmatch(old.name) else _STAGED if files.is_staged(old.name) else None
            if kept is not None and old.lstat().st_mtime < time.time() - kept:
                old.unlink(missing_ok=True)
    except OSError:
        return staged
    return target


def escaped(name: bytes) -> bytes:
    """A name without the characters that the index uses itself."""
    return _ODD.sub(lambda match: _ESCAPES[match[0]], name)


def _lines(file: gzip.GzipFile) -> Iterator[bytes]:
    rest = b""
    while piece := file.read(1 << 20):
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines


def _parse(line: bytes) -> Member:
    name, kind, mode, uid, gid, mtime, size, offset, sha256, link = line.split(b"\t")
    if b"\\" in name or b"\\" in link:
        name, link = _plain(name), _plain(link)
    sparse = sha256.startswith(b"s")
    entry = Entry(
        name, kind.decode(), int(mode, 8), int(uid), int(gid), int(mtime), int(size), int(offset), link,
        () if sparse else None,
    )  # fmt: skip
    return Member(entry, sha256[1:] if sparse else sha256)


def _plain(name: bytes) -> bytes:
    return re.sub(rb"\\[\\tn]", lambda match: _UNESCAPES[match[0]], name)
