"""One blob as a stream: from a registry over as many connections as it takes, checked against its sha256 at its end."""

from __future__ import annotations

import hashlib
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from ngc.errors import Failed
from ngc.registry import Access
from ngc.transport import GRACE, SLOWEST

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

TRIES = 5  # in a row without a byte
_SLOW_TRIES = 3  # in a row with hardly any
_WINDOW = 2.0  # seconds over which the speed is taken
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})
_LONGEST_WAIT = 12.0  # seconds in a row that Retry-After may ask for; a registry that wants more has answered


class Stopped(Exception):  # no error: another thread has failed, or the user has had enough
    """The work was given up."""


class Stream(Protocol):
    """Bytes in their order."""

    def read(self, count: int) -> bytes:
        """The next bytes, `count` at most; empty at the end."""

    def close(self) -> None:
        """Give up the rest. May be called from another thread, and twice."""


class Checked:
    """A stream that counts, and knows at its end whether it was what its digest says. `digest` None: nobody said."""

    def __init__(self, stream: Stream, name: str, digest: str | None, size: int | None, stop: threading.Event) -> None:
        self.count = 0
        self._stream, self._name, self._digest, self._size, self._stop = stream, name, digest, size, stop
        self._hash = hashlib.sha256()

    def read(self, count: int) -> bytes:
        if self._stop.is_set():
            raise Stopped
        data = self._stream.read(count)
        self.count += len(data)
        if self._size is not None and self.count > self._size:
            raise Failed(f"{self._name} is longer than the {self._size} bytes of its manifest; refused")
        if self._digest:
            self._hash.update(data)
        return data

    def check(self) -> None:
        """Read what is left, and raise Failed if the blob is not what it should be."""
        while self.read(1 << 18):
            pass
        found = "sha256:" + self._hash.hexdigest()
        if self._digest and found != self._digest:
            raise Failed(
                f"{self._name} has the content of {found}; nothing of it was kept, try again or ask for another copy"
            )


class Download:
    """A blob of a registry. A connection that breaks is opened again where it broke, by Range."""

    def __init__(self, access: Access, digest: str, size: int, stop: threading.Event) -> None:
        self._access, self._digest, self._size, self._stop = access, digest, size, stop
        self._answer: BaseHTTPResponse | None = None
        self._at = self._failures = self._slow = 0
        self._waited = 0.0  # seconds, as Retry-After said
        self._since, self._before = 0.0, 0  # when the window of speed began, and at which byte

    def read(self, count: int) -> bytes:
        import urllib3

        while True:
            if self._stop.is_set():
                raise Stopped
            try:
                if self._answer is None:
                    self._since, self._before = time.monotonic(), self._at
                    self._answer = self._open()
                    continue  # looks again whether it is still wanted: close() may have come too early
                data = self._some(self._answer, count)
                if not data and self._at < self._size:
                    raise urllib3.exceptions.IncompleteRead(self._at, self._size - self._at)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                self._again(str(error))
                continue
            self._at += len(data)
            if data:
                self._failures, self._waited = 0, 0.0
            self._keep_pace()
            return data

    def _some(self, answer: BaseHTTPResponse, count: int) -> bytes:
        """The next bytes: what comes within a second, `count` at most; waiting for all of them has no end where they drip."""
        parts: list[bytes] = []
        left, until = count, time.monotonic() + 1
        try:
            while left and (data := answer.read1(left, decode_content=False)):
                parts.append(data)
                left -= len(data)
                if time.monotonic() > until:
                    break
        except Exception:
            if not parts:  # else what came counts, and the next look meets the break again
                raise
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _keep_pace(self) -> None:
        """Open a connection again that has become slow. Raises Failed where that did not help."""
        gone = time.monotonic() - self._since
        if gone < _WINDOW:
            return
        slow = self._at < self._size and self._at - self._before < gone * SLOWEST
        self._slow = self._slow + 1 if slow else 0
        if self._slow >= _SLOW_TRIES:
            raise Failed(
                f"{self._access.reference.host} sends {self._digest} with less than {SLOWEST} bytes a second; try again later, or name a copy with --mirror=HOST"
            )
        if slow:
            self.close()
        self._since, self._before = time.monotonic(), self._at

    def close(self) -> None:
        if (answer := self._answer) is not None:
            self._answer = None
            with suppress(Exception):  # a socket that is closed while another thread reads it
                answer.shutdown()
            answer.close()

    def _again(self, why: str, wait: float | None = None) -> None:
        """Wait before the next try. Raises Failed when there were enough, Stopped when nobody wants it any more."""
        self.close()
        self._failures += 1
        if self._failures >= TRIES:
            name = f"{self._access.reference.host} broke off {self._digest} at byte {self._at} of {self._size}"
            raise Failed(f"{name}, {TRIES} times ({why}); check the network and run again")
        if self._stop.wait(wait if wait is not None else 0.1 * 4 ** (self._failures - 1)):
            raise Stopped

    def _open(self) -> BaseHTTPResponse:
        while True:
            headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={self._at}-"} if self._at else {})
            answer = self._access.stream(f"/blobs/{self._digest}", headers)
            wait = _seconds(answer.headers.get("Retry-After"))
            if answer.status in _TRANSIENT and (self._waited + (wait or 0) <= _LONGEST_WAIT):
                answer.close()
                self._waited += wait or 0
                self._again(f"status {answer.status}", wait)
            elif answer.status == 200 or (answer.status == 206 and self._continues(answer)):
                if answer.status == 200:
                    self._pass_over(answer)
                return answer
            else:
                answer.close()
                if answer.status == 404:
                    raise Failed(
                        f"{self._access.reference.host} lists {self._digest} and does not have it; ask for another tag, or another copy with --mirror=HOST"
                    )
                raise self._access.refusal(answer.status)

    def _continues(self, answer: BaseHTTPResponse) -> bool:
        return answer.headers.get("Content-Range", "").startswith(f"bytes {self._at}-")

    def _pass_over(self, answer: BaseHTTPResponse) -> None:
        """A server that does not know Range begins again: what is here already is read and dropped."""
        left, start = self._at, time.monotonic()
        while left and (data := self._some(answer, min(left, 1 << 18))):
            left -= len(data)
            if self._stop.is_set():
                raise Stopped
            if (gone := time.monotonic() - start) > GRACE and self._at - left < gone * SLOWEST:
                raise OSError("what was here already came too slowly again")


def _seconds(retry_after: str | None) -> float | None:
    return float(retry_after) if retry_after and retry_after.isdigit() else None
