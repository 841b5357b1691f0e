"""Writing to an OCI registry: blobs in pieces that survive a broken connection, and manifests (distribution specification, push)."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from urllib.parse import quote, urljoin

from ngc.errors import Failed, Wrong
from ngc.extract.blobs import Checked, Download, Stopped
from ngc.manifests import KINDS
from ngc.registry import Access
from ngc.transport import Answer, Request

PIECE = (
    16 << 20
)  # bytes sent at once, and sent again when a connection breaks; stores behind registries want 5 MiB at least
TRIES = 5  # in a row without a byte, and of a whole blob
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_BYTES = "application/octet-stream"


class _Lost(Exception):  # no error: the upload begins again
    """The registry has forgotten an upload."""


def there(access: Access, path: str) -> str | None:
    """The digest of what a registry has at /blobs/DIGEST or /manifests/NAME, None where there is nothing."""
    answer = access.send(Request(path, {"Accept": ", ".join(KINDS)}, "HEAD"))
    if answer.status == 404:
        return None
    if answer.status != 200:
        raise refusal(access, answer.status)
    return answer.headers.get("Docker-Content-Digest") or path.rpartition("/")[2]


def refusal(access: Access, status: int) -> Wrong | Failed:
    """What to raise for a status at writing that is not the one hoped for."""
    host, image = access.reference.host, f"{access.reference.host}/{access.reference.repository}"
    if status in (401, 403):
        return Failed(f"{host} does not let us write {image}; run `docker login {host}` as somebody who may")
    if status in (404, 405):
        return Failed(f"{host} takes nothing for {image}; check the host and path of --registry")
    return Failed(f"{host} answered {status} when {image} was written; run again, what is there is not sent again")


def put_manifest(access: Access, name: str, data: bytes, kind: str) -> None:
    """Store a manifest or index under a tag or its digest. All that it names must be there."""
    answer = access.send(Request(f"/manifests/{name}", {"Content-Type": kind}, "PUT", data, upload=True))
    if answer.status not in (200, 201, 202):
        raise refusal(access, answer.status)


class Upload:
    """One blob on its way from a registry to another. `listen` is told how many bytes of it are there."""

    def __init__(
        self, source: Access, target: Access, digest: str, size: int, stop: threading.Event, listen: Callable[[int], object]
    ) -> None:  # fmt: skip
        self._source, self._target, self._digest, self._size = source, target, digest, size
        self._stop, self._listen = stop, listen
        self._place, self._piece = "", PIECE

    def send(self, mount_from: str | None = None) -> bool:
        """Send the blob; True if it was mounted from another repository of the target instead. Raises Failed."""
        for number in range(TRIES):
            if self._begin(mount_from if number == 0 else None):
                self._listen(self._size)
                return True
            stream = Download(self._source, self._digest, self._size, self._stop)
            try:
                self._pieces(Checked(stream, self._digest, self._digest, self._size, self._stop))
                return False
            except _Lost:
                continue
            finally:
                stream.close()
        raise Failed(
            f"{self._target.reference.host} forgot the upload of {self._digest} {TRIES} times; run again later"
        )

    def _begin(self, mount_from: str | None) -> bool:
        """Open an upload; True if there is nothing to upload."""
        mount = f"?mount={quote(self._digest)}&from={quote(mount_from)}" if mount_from else ""
        for number in range(TRIES):
            answer = self._target.send(Request(f"/blobs/uploads/{mount}", {}, "POST", b""))
            if answer.status not in _TRANSIENT or number + 1 == TRIES:
                break
            if self._stop.wait(0.1 * 4**number):
                raise Stopped
        if answer.status == 201:
            return True
        if answer.status != 202:
            raise refusal(self._target, answer.status)
        self._moved(answer)
        least = answer.headers.get("OCI-Chunk-Min-Length", "")
        self._piece = max(PIECE, int(least)) if least.isdigit() else PIECE
        return False

    def _moved(self, answer: Answer) -> None:
        """Take over where the upload goes on: an address, whole or on the same host."""
        if place := answer.headers.get("Location"):
            self._place = urljoin(self._place or self._target.root, place)

    def _pieces(self, stream: Checked) -> None:
        at = 0
        while piece := _full(stream, self._piece):
            self._piece_at(at, piece)
            at += len(piece)
            self._listen(at)
        stream.check()
        self._close()

    def _piece_at(self, start: int, piece: bytes) -> None:
        """Send a piece, from where the registry has it after each break."""
        at, end, failures = start, start + len(piece), 0
        while at < end:
            if self._stop.is_set():
                raise Stopped
            why = self._patch(at, end, piece[at - start :])
            if why is None:
                return
            failures += 1
            if failures >= TRIES:
                raise why
            if self._stop.wait(0.1 * 4 ** (failures - 1)):
                raise Stopped
            now = self._progress(at)
            if not start <= now <= end:
                raise _Lost
            failures, at = (0 if now > at else failures), now

    def _patch(self, at: int, end: int, data: bytes) -> Wrong | Failed | None:
        """Send bytes once: None if the registry took them, else what to say if it never does. Raises what no second try mends."""
        headers = {"Content-Type": _BYTES, "Content-Range": f"{at}-{end - 1}"}
        try:
            answer = self._target.send(Request(self._place, headers, "PATCH", data, upload=True))
        except Failed as error:
            return error
        if answer.status in (201, 202, 204):
            self._moved(answer)
            return None
        if answer.status in (404, 410, 416):
            raise _Lost
        if answer.status not in _TRANSIENT:
            raise refusal(self._target, answer.status)
        return refusal(self._target, answer.status)

    def _progress(self, otherwise: int) -> int:
        """How many bytes the registry has; the same as before if it cannot say now."""
        try:
            answer = self._target.send(Request(self._place, {}))
        except Failed:
            return otherwise
        if answer.status == 404:
            raise _Lost
        if answer.status not in (200, 202, 204):
            return otherwise
        self._moved(answer)
        last = re.fullmatch(r"(?:bytes=)?0-(\d+)", answer.headers.get("Range", ""))
        # Servers say 0-0 of an upload without a byte, as of one with a single byte.
        return int(last[1]) + 1 if last and last[1] != "0" else 0

    def _close(self) -> None:
        place = f"{self._place}{'&' if '?' in self._place else '?'}digest={quote(self._digest)}"
        try:
            answer = self._target.send(Request(place, {"Content-Type": _BYTES}, "PUT", b"", upload=True))
        except Failed:
            if there(self._target, f"/blobs/{self._digest}"):  # the answer was lost, not the blob
                return
            raise
        if answer.status in (404, 410) and not there(self._target, f"/blobs/{self._digest}"):
            raise _Lost
        if answer.status not in (200, 201, 204, 404, 410):
            raise refusal(self._target, answer.status)


def _full(stream: Checked, size: int) -> bytes:
    """The next bytes: as many as asked for, fewer only at the end."""
    parts, left = [], size
    while left and (data := stream.read(min(left, 1 << 20))):
        parts.append(data)
        left -= len(data)
    return b"".join(parts)
