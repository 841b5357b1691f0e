"""The maps of sparse files in a tar: which pieces of a file are stored, the rest is zeros."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ngc.errors import Failed
from ngc.extract.tape import BLOCK, SPECIAL, Tape, decimal, number

Pieces = tuple[tuple[int, int], ...]  # (position, bytes), ascending
MAP, _MAJOR, _MINOR = b"GNU.sparse.map", b"GNU.sparse.major", b"GNU.sparse.minor"


def old_map(tape: Tape, block: bytes) -> Pieces:
    """The map of GNU's own type S: in the header, and in blocks after it."""
    pieces: list[tuple[int, int]] = []
    fields, more = block[386:482], block[482]
    while True:
        for at in range(0, len(fields) - 23, 24):
            if fields[at]:
                pieces.append((number(fields[at : at + 12], tape), number(fields[at + 12 : at + 24], tape)))
        if not more:
            return tuple(pieces)
        if len(pieces) * 24 > SPECIAL:
            raise _endless(tape)
        block = tape.whole(BLOCK)
        fields, more = block[:504], block[504]


def is_new(extra: Mapping[bytes, bytes]) -> bool:
    """True if PAX records make a file a sparse one. An unknown version is an ordinary file, as in Go."""
    version = extra.get(_MAJOR, b""), extra.get(_MINOR, b"")
    return version in ((b"0", b"0"), (b"0", b"1"), (b"1", b"0")) or (version == (b"", b"") and MAP in extra)


def new_map(tape: Tape, extra: Mapping[bytes, bytes], stored: int) -> Pieces:
    """The map of a PAX sparse file: in its header (0.1), or before its content (1.0)."""
    header = [word for word in extra.get(MAP, b"").split(b",") if word]
    words = _leading(tape, stored) if extra.get(_MAJOR) == b"1" else header
    numbers = [decimal(word, b"a sparse map", tape) for word in words]
    if len(numbers) % 2:
        raise Failed(f"{tape.name} has a sparse file whose map cannot be read; the image is damaged")
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _leading(tape: Tape, stored: int) -> Sequence[bytes]:
    """The map that stands before the content, in lines padded to whole blocks: how many pairs there are, and the pairs."""
    data, lines, wanted = bytearray(), 0, 1
    while lines < wanted:
        if len(data) + BLOCK > min(SPECIAL, stored):
            raise _endless(tape)
        block = tape.whole(BLOCK)
        data += block
        lines += block.count(b"\n")
        if wanted == 1 and lines:
            wanted += 2 * decimal(bytes(data.partition(b"\n")[0]), b"the length of a sparse map", tape)
            if wanted < 1:
                raise Failed(f"{tape.name} has a sparse file whose map has a length below 0; refused")
    return bytes(data).split(b"\n")[1:wanted]


def check(pieces: Pieces, size: int, stored: int, tape: Tape) -> None:
    """Raise Failed for a map that does not fit the file."""
    position = 0
    for start, length in pieces:
        if start < position or length < 0:
            raise Failed(f"{tape.name} has a sparse file whose pieces overlap; refused")
        position = start + length
    if position > size or sum(length for _, length in pieces) != stored:
        raise Failed(f"{tape.name} has a sparse file whose map does not fit its size; refused")


def _endless(tape: Tape) -> Failed:
    return Failed(f"{tape.name} has a sparse file whose map does not end; refused")
