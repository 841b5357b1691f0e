"""The unpacked bytes of a layer as a tape, and the numbers of tar headers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ngc.errors import Failed

BLOCK = 512
SPECIAL = 1 << 20  # bytes of a long name, a PAX header or a sparse map; Go's limit is the same


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


def number(field: bytes, tape: Tape, negative: bool = False) -> int:
    """A number of a header: octal text, or base 256 where the first bit is set."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False) & ((1 << (len(field) * 8 - 1)) - 1)
        if field[0] & 0x40:
            value -= 1 << (len(field) * 8 - 1)
    else:
        octal = field.split(b"\0", 1)[0].strip()
        try:
            value = int(octal, 8) if octal else 0
        except ValueError:
            raise Failed(f"{tape.name} has a header with the number {text(octal)}; the image is damaged") from None
    if value < 0 and not negative:
        raise Failed(f"{tape.name} has a header with the number {value}; refused")
    return value


def decimal(extra: Mapping[bytes, bytes], key: bytes, otherwise: int, tape: Tape) -> int:
    value = extra.get(key)
    if value is None:
        return otherwise
    if not value.isdigit():
        raise Failed(f"{tape.name} has a PAX header with {text(key)}={text(value)}; refused")
    return int(value)


def text(name: bytes) -> str:
    """A name for people: what is not UTF-8 is escaped."""
    return name.decode(errors="backslashreplace")
