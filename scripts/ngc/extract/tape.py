"""The unpacked bytes of a layer as a tape, and the numbers of tar headers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from ngc import output
from ngc.errors import Failed

BLOCK = 512
SPECIAL = 1 << 20  # bytes of a long name, a PAX header or a sparse map; Go's limit is the same
MOST = (1 << 63) - 1  # of any number: Go's int64, and the kernel's loff_t
_DECIMAL = re.compile(rb"[+-]?[0-9]{1,19}")  # int() alone takes spaces and underscores, and limits nothing


class Tape:
    """The unpacked bytes of a layer, in their order, once. `name` is for messages."""

    def __init__(self, chunks: Iterator[bytes], name: str) -> None:
        self.name, self.offset = name, 0
        self._chunks, self._now, self._at = chunks, b"", 0

    def take(self, count: int) -> bytes:
        """The next bytes; fewer only at the end."""
        at = self._at
        if len(self._now) - at >= count:
            self._at, self.offset = at + count, self.offset + count
            return self._now[at : at + count]
        parts: list[bytes] = []
        self.hand_over(count, lambda part: parts.append(bytes(part)), short=True)
        return b"".join(parts)

    def whole(self, count: int) -> bytes:
        """The next bytes of a header. Raises Failed if there are fewer."""
        data = self.take(count)
        if len(data) < count:
            raise Failed(f"{self.name} ends in the middle of a header; the image is damaged")
        return data

    def hand_over(self, count: int, to: Callable[[memoryview], object] | None, short: bool = False) -> None:
        """Give the next bytes to a function piece by piece, or pass over them. Raises Failed if there are fewer, unless `short`."""
        while count > 0:
            here = len(self._now) - self._at
            if not here:
                self._now, self._at = next(self._chunks, b""), 0
                if not self._now:
                    if short:
                        return
                    raise Failed(f"{self.name} ends in the middle of a member; the image is damaged")
                continue
            part = min(count, here)
            if to is not None:
                to(memoryview(self._now)[self._at : self._at + part])
            self._at, self.offset, count = self._at + part, self.offset + part, count - part

    def drain(self) -> None:
        """Read to the end."""
        self._now, self._at = b"", 0
        for _ in self._chunks:
            pass


def number(field: bytes, tape: Tape) -> int:
    """A number of a header, as Go reads it: octal text, or base 256 where the first bit is set. Raises Failed beyond int64."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (len(field) * 8 - 1)) - 1)
        if field[0] & 0x40:
            value -= 1 << (len(field) * 8 - 1)
        if not -MOST - 1 <= value <= MOST:
            raise Failed(f"{tape.name} has a header with a number of more than 63 bits; refused")
        return value
    octal = field.strip(b" \0").split(b"\0", 1)[0]
    try:
        if octal.isdigit():  # int() alone takes signs, spaces, underscores and 0o
            return int(octal, 8)
    except ValueError:  # an 8 or a 9
        pass
    if octal:
        raise Failed(f"{tape.name} has a header with the number {text(octal)}; the image is damaged")
    return 0


def decimal(value: bytes, what: bytes, tape: Tape) -> int:
    """A number in decimal digits, as Go reads it. Raises Failed for anything else, and beyond int64."""
    found = int(value) if _DECIMAL.fullmatch(value) else MOST + 1
    if not -MOST - 1 <= found <= MOST:
        raise Failed(f"{tape.name} has {text(what)}={shortened(value)} in a PAX header; refused")
    return found


def record(extra: Mapping[bytes, bytes], key: bytes, otherwise: int, tape: Tape) -> int:
    """The number of a PAX record, or what the header says where there is no such record."""
    value = extra.get(key)
    return otherwise if value is None else decimal(value, key, tape)


def text(name: bytes) -> str:
    """A name for people: on one line, and what is not UTF-8 is escaped."""
    return output.line(name.decode(errors="backslashreplace"))


def shortened(value: bytes) -> str:
    """A value for people that may be of any length."""
    return text(value if len(value) <= 60 else value[:60] + b"...")
