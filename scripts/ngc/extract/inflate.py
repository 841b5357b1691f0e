"""Unpacking a blob: gzip, zstd or neither, told apart by its first bytes, as media types are not always right.

Memory is bounded: no step gives out more than CHUNK bytes, however much the input could become.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from ngc.errors import Failed

CHUNK = 1 << 18
_PIECE = 1 << 16  # input of one step: its output mostly fits a CHUNK, and what does not fit is copied by the library
_SMALL = 1 << 14  # input where members are small (eStargz has one per file): what is left over is copied for each
_MAGIC = b"\x1f\x8b\x08"
_LONGEST_HEADER = 1 << 17  # bytes; an extra field has 64 KiB at most
_FREE = 1 << 32  # bytes that any blob may become
_TIMES = 250  # and how many times its own size above that; real layers stay far below


def chunks(read: Callable[[int], bytes], name: str) -> Iterator[bytes]:
    """The unpacked bytes of what `read` gives. Raises Failed for a damaged blob, and for one that grows out of all proportion."""
    first = read(CHUNK)
    new, broken = _decompressor(first)
    if new is None:
        yield from _plain(first, read)
        return
    engine, data, piece, taken, given = new(), memoryview(first), _PIECE, len(first), 0
    while True:
        if not len(data) and (engine.eof or engine.needs_input):
            data = memoryview(read(CHUNK))
            taken += len(data)
            if not len(data) and not engine.eof:
                raise Failed(f"{name} ends before its compressed data does; the image is damaged")
        if engine.eof:  # another gzip member or zstd frame follows, or padding, or nothing
            feed = bytes(engine.unused_data).lstrip(b"\0")
            while not feed and len(data):
                feed, data = bytes(data[:_SMALL]).lstrip(b"\0"), data[_SMALL:]
                if not len(data):
                    data = memoryview(read(CHUNK))
                    taken += len(data)
            if not feed:
                return
            engine, piece = new(), _SMALL
        elif engine.needs_input:
            feed, data = bytes(data[:piece]), data[piece:]
        else:
            feed = b""
        try:
            out: bytes = engine.decompress(feed, CHUNK)
        except broken as error:
            raise Failed(f"{name} cannot be unpacked ({error}); the image is damaged") from None
        given += len(out)
        if given > _FREE and given > taken * _TIMES:
            raise Failed(f"{name} unpacks to more than {_TIMES} times its size; refused")
        if out:
            yield out


def _plain(first: bytes, read: Callable[[int], bytes]) -> Iterator[bytes]:
    data = first
    while data:
        yield data
        data = read(CHUNK)


def _decompressor(first: bytes) -> tuple[Callable[[], Any] | None, type[Exception]]:
    """What unpacks data that begins so, and the exception it raises."""
    if first.startswith(b"\x1f\x8b"):
        from isal import igzip_lib

        broken: type[Exception] = igzip_lib.IsalError  # type: ignore[assignment]  # its stubs say that it is an instance
        return lambda: _Gzip(igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE), broken), broken
    # A zstd frame, or one to be skipped (zstd:chunked ends with one; some writers begin with one).
    if first.startswith(b"\x28\xb5\x2f\xfd") or (first[1:4] == b"\x2a\x4d\x18" and 0x50 <= first[0] <= 0x5F):
        if sys.version_info >= (3, 14):
            from compression import zstd
        else:
            from backports import zstd

        return zstd.ZstdDecompressor, zstd.ZstdError
    return None, Exception


class _Gzip:
    """A gzip member. Its own CRC is not computed, which saves a tenth: the sha256 of the blob or of the file says more."""

    def __init__(self, engine: Any, broken: type[Exception]) -> None:
        self.eof, self.needs_input, self.unused_data = False, True, b""
        self._engine, self._broken = engine, broken
        self._head, self._inside = b"", False

    def decompress(self, data: bytes, limit: int) -> bytes:
        if not self._inside:
            self._head += data
            start = _header_end(self._head)
            if not start and (len(self._head) > _LONGEST_HEADER or not _MAGIC.startswith(self._head[:3])):
                raise self._broken("no gzip header")
            if not start:
                return b""
            self._inside, data, self._head = True, self._head[start:], b""
        if self._engine.eof:  # only the trailer is missing
            out, rest = b"", self._head + data
        else:
            out = self._engine.decompress(data, limit)
            rest = self._engine.unused_data
        self.needs_input = self._engine.eof or self._engine.needs_input
        if self._engine.eof:
            self.eof, self._head, self.unused_data = len(rest) >= 8, rest, rest[8:]
        return out


def _header_end(data: bytes) -> int:
    """Where a gzip header ends (RFC 1952), 0 if it is not all here."""
    if len(data) < 10 or not data.startswith(_MAGIC):
        return 0
    flags, at = data[3], 10
    if flags & 4:
        at += 2 + int.from_bytes(data[10:12], "little")
    for text in (8, 16):  # name, comment
        if flags & text:
            at = data.find(b"\0", at) + 1
            if not at:
                return 0
    at += flags & 2
    return at if len(data) > at else 0
