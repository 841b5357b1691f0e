"""Reading layers: several at once, largest first; an index of each, and the content of wanted files into the stage."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path

from ngc.errors import Failed
from ngc.extract import index
from ngc.extract.blobs import Checked, Stopped, Stream
from ngc.extract.inflate import Packed, chunks
from ngc.extract.layers import FILE, Entry, content, members
from ngc.extract.sources import Blob, Source
from ngc.extract.tape import Tape, text

# Layers read at once: enough to fill a network that gives one connection little, and few enough that they do not wait for each other.
JOBS = max(4, min(8, (os.cpu_count() or 1) + 2))
_LARGE = 1 << 20  # bytes; for smaller files the free disk is not asked
_ZEROS = memoryview(bytes(1 << 16))

# Told of the work: ("start" | "read" | "end", blob, bytes read of it, files taken from it so far).
Listener = Callable[[str, Blob, int, int], None]


class Reader:
    """Reads the layers of one image. All of it is below `stage`, which the caller removes; finished indexes go to the cache."""

    def __init__(self, source: Source, stage: Path, listen: Listener, jobs: int = JOBS) -> None:
        self.indexes: dict[Blob, Path] = {}
        self.requested: set[Blob] = set()
        self._source, self._stage, self._listen, self._jobs = source, stage, listen, jobs
        self._staged: dict[tuple[Blob, int], tuple[Path, str]] = {}  # by blob and offset: content, sha256
        self._tops: dict[bytes, tuple[int, Blob, int]] = {}  # by name: the highest layer that was seen to have the file
        self._streams: set[Stream] = set()
        self._stop, self._lock, self._count = threading.Event(), threading.Lock(), 0

    def know(self, blobs: Iterable[Blob]) -> list[Blob]:
        """Take over the indexes that earlier runs made; returns the blobs that have none."""
        unknown = []
        for blob in dict.fromkeys(blobs):
            if blob in self.indexes:
                continue
            place = index.place(blob.digest) if blob.digest else None
            if place and blob.digest and index.usable(place, blob.digest):
                self.indexes[blob] = place
            else:
                unknown.append(blob)
        return unknown

    def content(self, blob: Blob, offset: int) -> tuple[Path, str] | None:
        """(staged file, its sha256) of a layer's file, None if it was not taken yet."""
        return self._staged.get((blob, offset))

    def scan(self, blobs: Sequence[Blob], below: Sequence[bytes]) -> None:
        """Read layers to their end, make their indexes, and take files at or below the given paths."""
        levels = {blob: level for level, blob in enumerate(blobs)}
        exact, prefixes = frozenset(below), tuple(path + b"/" for path in below)
        everything = b"" in exact

        def one(blob: Blob) -> None:
            def taken(entry: Entry) -> bool:
                return everything or entry.name in exact or entry.name.startswith(prefixes)

            self._scan(blob, levels[blob], taken)

        self._all(one, self.know(blobs))

    def fetch(self, needs: Mapping[Blob, Mapping[int, str]]) -> None:
        """Take single files, named by their offsets, with the sha256 that they must have: '' where none is known.

        A blob of which every sha256 is known is left after the last one; any other is read to its end and checked.
        """
        self._all(lambda blob: self._fetch(blob, needs[blob]), list(needs))

    def _all(self, one: Callable[[Blob], None], blobs: Sequence[Blob]) -> None:
        """Do something for each blob, largest first. The first failure, or Ctrl-C, ends all of them."""
        with ThreadPoolExecutor(self._jobs) as pool:
            futures: list[Future[None]] = []
            try:
                for blob in sorted(blobs, key=lambda blob: -(blob.size or 0)):
                    futures.append(pool.submit(one, blob))
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
            except BaseException:
                self._stop.set()
                for future in futures:
                    future.cancel()
                with self._lock:
                    for stream in self._streams:
                        stream.close()
                raise

    def _scan(self, blob: Blob, level: int, taken: Callable[[Entry], bool]) -> None:
        path = self._new_path("index")
        writer = index.Writer(path, blob.digest or "")
        try:
            with _Open(self, blob) as opened:
                for entry in members(opened.tape):
                    entry = _moved(entry, blob.under) if blob.under else entry
                    sha256 = ""
                    if entry.kind == FILE and not blob.first and taken(entry):
                        sha256 = self._take_top(opened, entry, level)
                    writer.add(entry, sha256)
                    if blob.first:
                        break
                else:
                    opened.check()
        finally:
            writer.close()
        self.indexes[blob] = index.publish(path, blob.digest) if blob.digest else path

    def _fetch(self, blob: Blob, needs: Mapping[int, str]) -> None:
        left = dict(needs)
        trusted = all(left.values())
        with _Open(self, blob, whole=not trusted) as opened:
            for entry in members(opened.tape):
                if entry.offset not in left:
                    continue
                expected = left.pop(entry.offset)
                found = self._take(opened, entry)
                if expected and found != expected:
                    self._forget(blob)
                    raise Failed(
                        f"{blob.name} gave {text(entry.name)} with another content than its index says; nothing was kept and the index is removed: run again"
                    )
                if trusted and not left:
                    break
            else:
                opened.check()
        if left:
            self._forget(blob)
            raise Failed(
                f"{blob.name} is not what its index says; nothing was kept and the index is removed: run again"
            )
        if not trusted and blob.digest:
            learned = {offset: self._staged[blob, offset][1] for offset in needs}
            path = self._new_path("index")
            index.rewritten(self.indexes[blob], path, learned)
            self.indexes[blob] = index.publish(path, blob.digest)

    def _forget(self, blob: Blob) -> None:
        with suppress(OSError):
            self.indexes[blob].unlink()

    def _take_top(self, opened: _Open, entry: Entry, level: int) -> str:
        """Take a file unless a higher layer has one of that name; one of a lower layer makes room."""
        mine = (level, opened.blob, entry.offset)
        with self._lock:
            before = self._tops.get(entry.name)
            if before and before[0] > level:
                return ""
            self._tops[entry.name] = mine
            if before:
                self._drop(before[1], before[2])
        sha256 = self._take(opened, entry)
        with self._lock:
            if self._tops[entry.name] != mine:
                self._drop(opened.blob, entry.offset)
        return sha256

    def _drop(self, blob: Blob, offset: int) -> None:
        if staged := self._staged.pop((blob, offset), None):
            staged[0].unlink()

    def _take(self, opened: _Open, entry: Entry) -> str:
        """Write a file's content into the stage; returns its sha256."""
        stored = entry.size if entry.pieces is None else sum(length for _, length in entry.pieces)
        if stored > _LARGE and stored > (free := shutil.disk_usage(self._stage).free):
            raise Failed(
                f"{text(entry.name)} takes {stored / 1e9:.1f} GB and {self._stage.parent} has {free / 1e9:.1f} GB free; free some, or choose another --out"
            )
        digest = hashlib.sha256()
        path = self._new_path("content")
        with path.open("xb", buffering=0) as file:

            def data(piece: memoryview) -> None:
                digest.update(piece)
                while len(piece):
                    piece = piece[file.write(piece) :]

            def hole(length: int) -> None:
                opened.packed.becomes(length)
                file.seek(length, os.SEEK_CUR)
                while length > 0:
                    if self._stop.is_set():
                        raise Stopped
                    digest.update(_ZEROS[: min(length, len(_ZEROS))])
                    length -= len(_ZEROS)

            content(opened.tape, entry, data, hole)
            if entry.pieces is not None:
                file.truncate(entry.size)
        self._staged[opened.blob, entry.offset] = path, digest.hexdigest()
        opened.files += 1
        return digest.hexdigest()

    def _new_path(self, folder: str) -> Path:
        with self._lock:
            self._count += 1
            return self._stage / folder / str(self._count)


class _Open:
    """A blob while it is read: its tape, and what the listener is told."""

    def __init__(self, reader: Reader, blob: Blob, whole: bool = True) -> None:
        self.blob, self.files = blob, 0
        self._reader, self._digest = reader, blob.digest if whole else None  # what is cut short has no digest to check

    def __enter__(self) -> _Open:
        reader, blob = self._reader, self.blob
        reader.requested.add(blob)
        self._stream = reader._source.open(blob, reader._stop)
        with reader._lock:
            reader._streams.add(self._stream)
        self._checked = Checked(self._stream, blob.name, self._digest, blob.size, reader._stop)
        self.packed = Packed(self._read, blob.name, reader._stop)
        self.tape = Tape(chunks(self.packed), blob.name)
        reader._listen("start", blob, 0, 0)
        return self

    def _read(self, count: int) -> bytes:
        data = self._checked.read(count)
        self._reader._listen("read", self.blob, self._checked.count, self.files)
        return data

    def check(self) -> None:
        """Read to the end, and hold the blob to its digest."""
        self.tape.drain()
        self._checked.check()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        with self._reader._lock:
            self._reader._streams.discard(self._stream)
            self._stream.close()
        if error is None:
            self._reader._listen("end", self.blob, self._checked.count, self.files)


def _moved(entry: Entry, under: bytes) -> Entry:
    """An entry of a tar whose names are relative to a folder of the image."""
    link = under + b"/" + entry.link if entry.kind == "h" else entry.link
    return entry._replace(name=under + b"/" + entry.name if entry.name else under, link=link)
