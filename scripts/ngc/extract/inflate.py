"""Unpacking a blob: gzip, zstd or neither, told apart by its first bytes, as media types are not always right.

Memory is bounded: no step gives out more than CHUNK bytes, however much the input could become.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from ngc.errors import Failed
from ngc.extract.blobs import Stopped

CHUNK = 1 << 18
_PIECE = 1 << 16  # input of one step: its output mostly fits a CHUNK, and what does not fit is copied by the library
_SMALL = 1 << 14  # input where members are small (eStargz has one per file): what is left over is copied for each
_MAGIC = b"\x1f\x8b\x08"
_LONGEST_HEADER = 1 << 17  # bytes; an extra field has 64 KiB at most
_FREE = 1 << 32  # bytes that any blob may become
_TIMES = 250  # and how many times its own size above that; real layers stay far below


class Packed:
    """A blob as it is stored, and the limit on what all of it may become. `stop` ends the work, however far it is."""

    def __init__(self, read: Callable[[int], bytes], name: str, stop: threading.Event | None = None) -> None:
        self.name = name
        self._read, self._stop = read, stop
        self._taken = self._given = 0

    def read(self, count: int) -> bytes:
        data = self._read(count)
        self._taken += len(data)
        return data

    def becomes(self, count: int) -> None:
        """Count bytes that were unpacked, or the hole of a sparse file. Raises Failed when they are out of all proportion."""
        if self._stop is not None and self._stop.is_set():
            raise Stopped
        self._given += count
        if self._given > _FREE and self._given > self._taken * _TIMES:
            raise Failed(f"{self.name} unpacks to more than {_TIMES} times its size; refused")


def chunks(packed: Packed) -> Iterator[bytes]:
    """The unpacked bytes of a blob. Raises Failed for a damaged one, and for one that grows out of all proportion."""
    first = packed.read(CHUNK)
    new, broken = _decompressor(first)
    for out in _plain(first, packed) if new is None else _unpacked(first, packed, new, broken):
        packed.becomes(len(out))
        yield out


def _plain(first: bytes, packed: Packed) -> Iterator[bytes]:
    data = first
    while data:
        yield data
        data = packed.read(CHUNK)


def _unpacked(first: bytes, packed: Packed, new: Callable[[], Any], broken: type[Exception]) -> Iterator[bytes]:
    engine, data, piece = new(), memoryview(first), _PIECE
    while True:
        if not len(data) and (engine.eof or engine.needs_input):
            data = memoryview(packed.read(CHUNK))
            if not len(data) and not engine.eof:
                raise Failed(f"{packed.name} ends before its compressed data does; the image is damaged")
        if engine.eof:  # another gzip member or zstd frame follows, or padding, or nothing
            feed = bytes(engine.unused_data).lstrip(b"\0")
            while not feed and len(data):
                feed, data = bytes(data[:_SMALL]).lstrip(b"\0"), data[_SMALL:]
                if not len(data):
                    data = memoryview(packed.read(CHUNK))
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
            raise Failed(f"{packed.name} cannot be unpacked ({error}); the image is damaged") from None
        if out:
            yield out


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
