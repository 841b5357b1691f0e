"""The members of a layer: a tar reader of our own, forward only, for ustar, star, GNU and PAX headers and sparse files.

The standard library's stream mode copies every byte it passes over; this one looks at headers only. What counts as a
valid header is what Docker's reader (Go's archive/tar) accepts. Nothing here writes; a header that lies ends in Failed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ngc.errors import Failed
from ngc.extract import sparse
from ngc.extract.tape import BLOCK, MOST, SPECIAL, Tape, decimal, number, record, shortened, text

FILE, FOLDER, SYMLINK, HARD_LINK, FIFO, OTHER = "f", "d", "l", "h", "p", "o"
LONGEST_NAME = 4096  # bytes; PATH_MAX
LONGEST_PART = 255  # NAME_MAX: no file system here takes more between two slashes
MOST_ID = (1 << 32) - 2  # of a user or group; the number after it means "as it is"
_KINDS = {b"0": FILE, b"\0": FILE, b"7": FILE, b"S": FILE, b"1": HARD_LINK, b"2": SYMLINK, b"5": FOLDER, b"6": FIFO}
_WITHOUT_CONTENT = frozenset(b"123456")  # their size says nothing (POSIX, and Go)
_NAMES = frozenset((b"path", b"linkpath", b"GNU.sparse.name", b"uname", b"gname"))
_LENGTH = len(str(SPECIAL)) + 1  # bytes of a PAX record's length, with the space behind it
_HEADER = struct.Struct("100s8s8s8s12s12s8s1s100s6s2s32s32s8s8s155s12s")


class Entry(NamedTuple):
    """A member. `mtime` in nanoseconds since 1970, `size` in bytes of the file as read, `offset` of its header in the unpacked layer.

    `pieces` None for an ordinary file; else the (position, bytes) of a sparse file that are stored, the rest is zeros.
    """

    name: bytes  # clean and relative: no leading slash, no dots; empty is the root
    kind: str
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    offset: int
    link: bytes
    pieces: tuple[tuple[int, int], ...] | None = None


def members(tape: Tape) -> Iterator[Entry]:
    """Every member in order. Content may be read with `content` before asking for the next one. Raises Failed."""
    extra: dict[bytes, bytes] = {}
    long_name = long_link = None
    while True:
        start = tape.offset
        block = tape.take(BLOCK)
        if not block:
            return
        if len(block) < BLOCK:
            raise Failed(f"{tape.name} ends in the middle of a header; the image is damaged")
        if not block[0] and not any(block):
            if any(tape.take(BLOCK)):
                raise Failed(f"{tape.name} has members after its end, which other tar readers do not agree on; refused")
            return
        fields = _HEADER.unpack(block)
        _check(block, fields[6], tape)
        kind, size = fields[7], number(fields[4], tape)
        if kind in b"xLKg":
            special = _special(tape, size)
            if kind == b"x":
                extra = _records(special, tape)
            elif kind == b"L":
                long_name = special.split(b"\0", 1)[0]
            elif kind == b"K":
                long_link = special.split(b"\0", 1)[0]
            continue
        entry, stored = _entry(tape, start, fields, block, size, extra, long_name, long_link)
        extra, long_name, long_link = {}, None, None
        end = tape.offset + (stored + BLOCK - 1) // BLOCK * BLOCK
        yield entry
        tape.hand_over(end - tape.offset, None)


def content(tape: Tape, entry: Entry, data: Callable[[memoryview], object], hole: Callable[[int], object]) -> None:
    """Give a file's content to `data`, and to `hole` the lengths of zeros that a sparse file does not store."""
    if entry.pieces is None:
        tape.hand_over(entry.size, data)
        return
    position = 0
    for start, length in entry.pieces:
        if start > position:
            hole(start - position)
        tape.hand_over(length, data)
        position = start + length
    if entry.size > position:
        hole(entry.size - position)


def clean(raw: bytes, tape: Tape) -> bytes:
    """A member's name relative to the root, by Docker's rules: absolute names are below the root. Raises Failed for one that leaves it."""
    name = raw.strip(b"/")
    if len(name) > LONGEST_PART:
        _check_length(name, tape)
    if b"/." not in name and b"//" not in name and name[:1] != b".":
        return name
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise Failed(f"{tape.name} has a member that leaves the image's root, {text(raw)}; refused")
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return b"/".join(parts)


def _check_length(name: bytes, tape: Tape) -> None:
    if len(name) > LONGEST_NAME or max(map(len, name.split(b"/"))) > LONGEST_PART:
        raise Failed(
            f"{tape.name} has a name of {len(name)} bytes, {shortened(name)}, which no file system takes; refused"
        )


def _entry(
    tape: Tape, start: int, fields: tuple[bytes, ...], block: bytes, size: int, extra: Mapping[bytes, bytes],
    long_name: bytes | None, long_link: bytes | None,
) -> tuple[Entry, int]:  # fmt: skip
    """The member of a header, and how many bytes of content are stored after it. An old sparse map is read on the way."""
    raw = long_name if long_name is not None else _name(fields, block)
    link = long_link if long_link is not None else fields[8].split(b"\0", 1)[0]
    mode, uid, gid = (number(fields[place], tape) for place in (1, 2, 3))
    mtime = number(fields[5], tape) * 10**9
    kind = _KINDS.get(fields[7], OTHER)
    pieces, real = None, None
    if extra:
        raw, link = extra.get(b"path", raw), extra.get(b"linkpath", link)
        size, uid, gid = (
            record(extra, key, otherwise, tape) for key, otherwise in ((b"size", size), (b"uid", uid), (b"gid", gid))
        )
        mtime = _nanoseconds(extra[b"mtime"], tape) if b"mtime" in extra else mtime
    if kind == FILE and fields[7] == b"\0" and raw.endswith(b"/"):
        kind = FOLDER  # so wrote tar before POSIX
    stored = 0 if fields[7][0] in _WITHOUT_CONTENT else size
    if stored < 0:
        raise Failed(f"{tape.name} says that {shortened(raw)} has {stored} bytes; refused")
    if not (0 <= uid <= MOST_ID and 0 <= gid <= MOST_ID):
        raise Failed(
            f"{tape.name} says that {shortened(raw)} belongs to {uid}:{gid}, which no file system keeps; refused"
        )
    if fields[7] == b"S":
        real, pieces = number(block[483:495], tape), sparse.old_map(tape, block)
        sparse.check(pieces, real, stored, tape)
    elif kind == FILE and extra and sparse.is_new(extra):
        raw = extra.get(b"GNU.sparse.name", raw)
        real = record(extra, b"GNU.sparse.size", record(extra, b"GNU.sparse.realsize", size, tape), tape)
        before = tape.offset
        pieces = sparse.new_map(tape, extra, stored)
        stored -= tape.offset - before
        sparse.check(pieces, real, stored, tape)
    entry = Entry(
        clean(raw, tape), kind, mode & 0o7777, uid, gid,
        mtime if 0 <= mtime <= MOST else 0,  # as Docker does
        (size if real is None else real) if kind == FILE else 0, start, _link(kind, link, tape), pieces,
    )  # fmt: skip
    return entry, stored


def _link(kind: str, link: bytes, tape: Tape) -> bytes:
    if kind == HARD_LINK:
        return clean(link, tape)
    if kind == SYMLINK and not 0 < len(link) < LONGEST_NAME:
        raise Failed(f"{tape.name} has a symlink to a path of {len(link)} bytes, which no file system takes; refused")
    return link if kind == SYMLINK else b""


def _name(fields: tuple[bytes, ...], block: bytes) -> bytes:
    name: bytes = fields[0].split(b"\0", 1)[0]
    if fields[9] == b"ustar\0":  # GNU keeps times where POSIX has the name's first part; star has less room for it
        prefix = fields[15][:131] if block[508:512] == b"tar\0" else fields[15]
        if head := prefix.split(b"\0", 1)[0]:
            return head + b"/" + name
    return name


def _check(block: bytes, field: bytes, tape: Tape) -> None:
    said = number(field, tape)
    total = sum(block) - sum(block[148:156]) + 8 * 32
    if said != total and said != total - 256 * sum(1 for byte in block if byte > 127):
        raise Failed(f"{tape.name} has a damaged header at {tape.offset - BLOCK}; the image is damaged")


def _special(tape: Tape, size: int) -> bytes:
    if size > SPECIAL:
        raise Failed(f"{tape.name} has a header of {size} bytes; refused, as by other tar readers")
    if size < 0:
        raise Failed(f"{tape.name} has a header of {size} bytes; refused")
    data = tape.whole(size)
    tape.hand_over(-size % BLOCK, None)
    return data


def _records(data: bytes, tape: Tape) -> dict[bytes, bytes]:
    """PAX records, `LENGTH KEY=VALUE\\n`; the old sparse form repeats keys, and becomes the one with a map."""
    found: dict[bytes, bytes] = {}
    pairs: list[bytes] = []
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + _LENGTH)
        length = data[at:space] if space > 0 else b""
        end = at + int(length) if length.isdigit() else 0
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if not space + 1 < end <= len(data) or data[end - 1 : end] != b"\n" or not equals or not _keeps(key, value):
            raise Failed(f"{tape.name} has a PAX header that cannot be read; the image is damaged")
        at = end
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            pairs.append(value)
        elif value:
            found[key] = value
        else:
            found.pop(key, None)
    if pairs:
        found[sparse.MAP] = b",".join(pairs)
    return found


def _keeps(key: bytes, value: bytes) -> bool:
    """Whether a record may be: a name with NUL is cut by the kernel, and then leads elsewhere."""
    return bool(key) and b"\0" not in (key + value if key in _NAMES else key)


def _nanoseconds(value: bytes, tape: Tape) -> int:
    seconds, _, fraction = value.partition(b".")
    if fraction and not fraction.isdigit():
        raise Failed(f"{tape.name} has a PAX header with the time {shortened(value)}; the image is damaged")
    parts = int(fraction[:9].ljust(9, b"0")) if fraction else 0
    return decimal(seconds, b"mtime", tape) * 10**9 + (-parts if seconds.startswith(b"-") else parts)
