"""The maps of sparse files in a tar: which pieces of a file are stored, the rest is zeros."""

from __future__ import annotations

from collections.abc import Mapping

from ngc.errors import Failed
from ngc.extract.tape import BLOCK, SPECIAL, Tape, number

Pieces = tuple[tuple[int, int], ...]  # (position, bytes), ascending


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
        block = tape.take(BLOCK)
        if len(block) < BLOCK or len(pieces) * 24 > SPECIAL:
            raise Failed(f"{tape.name} has a sparse file whose map does not end; refused")
        fields, more = block[:504], block[504]


def new_map(tape: Tape, extra: Mapping[bytes, bytes], stored: int) -> Pieces:
    """The map of a PAX sparse file: in its header (0.1), or before its content (1.0)."""
    if b"GNU.sparse.map" in extra:
        words = extra[b"GNU.sparse.map"].split(b",")
    else:  # version 1.0: lines before the content, padded to whole blocks
        lines, wanted = b"", 1
        while lines.count(b"\n") < wanted:
            if len(lines) >= min(SPECIAL, stored):
                raise Failed(f"{tape.name} has a sparse file whose map does not end; refused")
            lines += tape.take(BLOCK)
            first = lines.partition(b"\n")[0]
            wanted = 1 + 2 * int(first) if first.isdigit() else SPECIAL
        words = lines.split(b"\n")[1:wanted]
    if not all(word.isdigit() for word in words) or len(words) % 2:
        raise Failed(f"{tape.name} has a sparse file whose map cannot be read; the image is damaged")
    return tuple((int(words[at]), int(words[at + 1])) for at in range(0, len(words), 2))


def check(pieces: Pieces, size: int, stored: int, tape: Tape) -> None:
    """Raise Failed for a map that does not fit the file."""
    position = 0
    for start, length in pieces:
        if start < position:
            raise Failed(f"{tape.name} has a sparse file whose pieces overlap; refused")
        position = start + length
    if position > size or sum(length for _, length in pieces) != stored:
        raise Failed(f"{tape.name} has a sparse file whose map does not fit its size; refused")
