"""HTTP as registries speak it: proxies, certificates, redirects; every answer ends, and none is larger than was asked for."""

from __future__ import annotations

import io
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin, urlsplit

from ngc import certificates, proxies
from ngc.proxies import Proxy

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPHeaderDict, PoolManager

SLOWEST = 1024  # bytes a second
GRACE = 10.0  # seconds in which an answer may be slower than that
_REDIRECTS = 5
_TRIES = 3
_AGAIN = frozenset({429, 502, 503, 504})
_LONGEST_WAIT = 5.0  # seconds that Retry-After may ask for; a registry that says "in an hour" has answered
_SMALL = 1 << 16  # bytes of an answer nobody wants that are read, so that its connection can be used again
Result = TypeVar("Result")
_POOLS: dict[object, PoolManager] = {}
_LOCK = threading.Lock()


class Trouble(Exception):  # the caller makes a Failed of it: it knows what was asked for, and what to do instead
    """Why an address gave no answer, as part of a sentence."""


class NoTls(Trouble):
    """The other side speaks no TLS, or has a certificate that nothing here vouches for."""


@dataclass(frozen=True)
class Answer:
    """A whole answer."""

    status: int
    headers: HTTPHeaderDict
    data: bytes


@dataclass(frozen=True)
class Request:
    """What is asked. `upload`: the body is content, which may take its time; others are answered soon, or given up."""

    url: str
    headers: Mapping[str, str]
    method: str = "GET"
    body: bytes | None = None
    verify: bool = True
    upload: bool = False


def ask(request: Request, most: int) -> Answer:
    """The answer to a request, `most` bytes at most. Raises Trouble, also for one that is larger or too slow."""
    count = [0]

    def whole() -> Answer:
        answer = _followed(request)
        data = b""
        try:
            with _troubles():
                while answer.status == 200 and (part := answer.read1(1 << 16, decode_content=True)):
                    data += part
                    count[0] = len(data)
                    if len(data) > most:
                        raise Trouble(f"it sent more than the {most >> 10} kB that such an answer has at most")
        finally:
            _let_go(answer)
        return Answer(answer.status, answer.headers, data)

    if request.upload:
        return whole()
    for number in range(_TRIES):
        answer = _in_time(whole, lambda: count[0])
        wait = _wait(answer, number)
        if answer.status not in _AGAIN or wait is None or request.body is not None:
            break
        time.sleep(wait)
    return answer


def stream(request: Request) -> BaseHTTPResponse:
    """The head of an answer, whose body the caller reads, or lets go by `discard`. Raises Trouble."""
    return _in_time(lambda: _followed(request), lambda: 0)


def discard(answer: BaseHTTPResponse) -> None:
    """Let go of an answer whose body nobody wants."""
    _in_time(lambda: _let_go(answer), lambda: 0)


def _let_go(answer: BaseHTTPResponse) -> None:
    """Read the rest of a small answer, so that its connection can be used again; close that of a large one."""
    length = answer.headers.get("Content-Length", "")
    if length.isdigit() and len(length) < 6 and int(length) < _SMALL:
        answer.drain_conn()
    if answer.closed:
        answer.release_conn()
    else:
        answer.close()


def _in_time(work: Callable[[], Result], count: Callable[[], int]) -> Result:
    """Do something in a thread of its own, and wait while it makes progress: a peer may send a byte now and then for ever.

    A thread that is given up ends with its connection, or with this process. Raises Trouble.
    """
    done = threading.Event()
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)
        done.set()

    start = time.monotonic()
    threading.Thread(target=run, daemon=True).start()
    while not done.wait(0.5):
        gone = time.monotonic() - start
        if gone > GRACE and count() < gone * SLOWEST:
            raise Trouble(f"it sent {count()} bytes in {gone:.0f} seconds")
    if errors:
        raise errors[0]
    return results[0]


def _followed(request: Request) -> BaseHTTPResponse:
    """Send a request, and follow where it leads: never from https down to http, and with the login for the first host only."""
    for _ in range(_REDIRECTS):
        answer = _sent(request)
        place = answer.headers.get("Location")
        if answer.status not in (301, 302, 303, 307, 308) or not place or request.method not in ("GET", "HEAD"):
            return answer
        _let_go(answer)
        with suppress(ValueError):  # what is no address stays what it is
            place = urljoin(request.url, place)
        check_step(request.url, place)
        same = urlsplit(request.url)[:2] == urlsplit(place)[:2]
        kept = {key: value for key, value in request.headers.items() if same or key.lower() != "authorization"}
        request = replace(request, url=place, headers=kept)
    raise Trouble(f"it redirects more than {_REDIRECTS} times")


def check_step(url: str, there: str) -> None:
    """Raise Trouble where an https address leads to one that is not, or to none."""
    try:
        scheme = urlsplit(there).scheme
    except ValueError:
        scheme = ""
    if scheme not in ("http", "https") or (urlsplit(url).scheme == "https" and scheme != "https"):
        raise Trouble(f"it leads from {urlsplit(url).scheme} to {scheme or 'nothing'}, which is not followed")


def _sent(request: Request) -> BaseHTTPResponse:
    import urllib3

    headers, more = dict(request.headers), dict[str, Any]()
    if request.body is not None:  # as a file: a socket's time limit is then for each piece of it, not for all of it
        headers["Content-Length"] = str(len(request.body))
        more["body"] = io.BytesIO(request.body)
    if request.upload:  # a registry may read a large blob again before it answers the PUT that ends it
        more["timeout"] = urllib3.Timeout(connect=30, read=600 if request.method == "PUT" else 60)
    with _troubles():
        pool = _pool(request.url, request.verify)
        return pool.request(request.method, request.url, headers=headers, preload_content=False, redirect=False, **more)


@contextmanager
def _troubles() -> Iterator[None]:
    """Whatever goes wrong on the way to a peer as Trouble."""
    import urllib3

    try:
        yield
    except urllib3.exceptions.MaxRetryError as error:
        raise _why(error.reason or error) from None
    except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
        raise _why(error) from None


def _why(error: BaseException) -> Trouble:
    import urllib3

    said = (str(error).rpartition("): ")[2] or str(error) or type(error).__name__)[:300]
    if isinstance(error, urllib3.exceptions.ProxyError) and "407" in said:
        return Trouble("the proxy wants another login than https_proxy names")
    if isinstance(error, urllib3.exceptions.SSLError) or "SSL" in said:
        return NoTls(said)
    return Trouble(said)


def _wait(answer: Answer, number: int) -> float | None:
    """Seconds before the next try, None for no other."""
    import urllib3

    if number + 1 >= _TRIES:
        return None
    said = answer.headers.get("Retry-After")
    try:
        seconds = urllib3.Retry().parse_retry_after(said) if said else 0.5 * 2**number
    except (urllib3.exceptions.HTTPError, ValueError, OverflowError):
        return None
    return seconds if seconds <= _LONGEST_WAIT else None


def forget() -> None:
    """Close the connections that are open; what is asked later opens new ones."""
    while _POOLS:
        _POOLS.popitem()[1].clear()


def _pool(url: str, verify: bool) -> PoolManager:
    """The connections for an address: with the same host, proxy and certificates they are used again."""
    host, proxy = urlsplit(url).netloc, proxies.of(url)
    key = host, proxy, verify, certificates.ca_bundle()
    with _LOCK:
        if key not in _POOLS:
            _POOLS[key] = _new_pool(host, proxy, verify)
        return _POOLS[key]


def _new_pool(host: str, proxy: Proxy | None, verify: bool) -> PoolManager:
    import urllib3

    options: dict[str, Any] = {
        "ssl_context": certificates.context(host, verify),
        "timeout": urllib3.Timeout(connect=5, read=8),
        "retries": urllib3.Retry(total=2, connect=1, read=1, redirect=0, status=0, other=0, raise_on_status=False),
        "maxsize": 16,
    }
    if not verify:
        options["assert_hostname"] = False
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # Docker's own configuration asked for it
    if proxy is None:
        return urllib3.PoolManager(**options)
    if not proxy.socks:
        return urllib3.ProxyManager(proxy.address, proxy_headers=proxy.headers, **options)
    try:
        with warnings.catch_warnings():  # the sentence below says it
            warnings.simplefilter("ignore")
            from urllib3.contrib.socks import SOCKSProxyManager
    except ImportError:
        raise Trouble(f"{proxy.address} is a SOCKS proxy; `pip install PySocks` into .venv to use it") from None
    user, password = proxy.login or (None, None)
    return SOCKSProxyManager(proxy.address, username=user, password=password, **options)
