"""An OCI registry over HTTP: what a reference is there, and who we are to it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from ngc import engine
from ngc.errors import Failed, Wrong
from ngc.reference import HUB, Reference

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

MANIFESTS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_HERE = re.compile(r"(localhost|127\.|\[::1\])")
INSTEAD = "or build on the stand-in with --base=stand-in"
# What a verb with this flag may do when a registry cannot be reached.
ELSEWHERE = "name a copy with --mirror=HOST, "


@dataclass(frozen=True)
class Remote:
    """An image as a registry describes it. `compressed` is bytes to download: the sum of the manifest's layers."""

    reference: Reference
    digest: str
    platforms: tuple[str, ...]  # () where the manifest does not say
    compressed: int
    user: str
    labels: Mapping[str, str]


def look_up(reference: Reference, platform: str) -> Remote:
    """Ask the registry for an image and its size on one platform, four requests at most.

    Raises Wrong for what is not there (tag, platform), Failed for a registry that does not answer or wants a login.
    """
    access = Access(reference, elsewhere=ELSEWHERE)
    digest, manifest = read_manifest(access, reference.digest or reference.tag or "latest", check=False)
    platforms: tuple[str, ...] = ()
    if "manifests" in manifest:
        platforms = tuple(of_platforms(manifest))
        _, manifest = read_manifest(access, choose_platform(reference, manifest, platform, INSTEAD), check=False)
    config = json.loads(access.get(f"/blobs/{manifest['config']['digest']}", {}).data).get("config") or {}
    compressed = sum(layer["size"] for layer in manifest["layers"])
    return Remote(reference, digest, platforms, compressed, config.get("User") or "", config.get("Labels") or {})


def of_platforms(index: Mapping[str, Any]) -> dict[str, str]:
    """Digests of an index's manifests by platform; the first of a platform counts, attestations are none."""
    found: dict[str, str] = {}
    for entry in index["manifests"]:
        parts = entry.get("platform", {})
        if parts.get("os") != "unknown":
            found.setdefault("/".join(filter(None, (parts.get("os"), parts.get("architecture")))), entry["digest"])
    return found


def choose_platform(image: Any, index: Mapping[str, Any], platform: str, instead: str) -> str:
    """The digest of the manifest for a platform. Raises Wrong with the platforms there are."""
    entries = of_platforms(index)
    if platform not in entries:
        raise Wrong(
            f"{image} has no {platform}; it has {', '.join(entries)}: choose one with --platform, another tag, {instead}"
        )
    return entries[platform]


def read_manifest(access: Access, version: str, check: bool = True) -> tuple[str, dict[str, Any]]:
    """(digest, manifest or index) of a tag or digest. `check`: content that does not have the digest asked for is refused."""
    answer = access.get(f"/manifests/{version}", {"Accept": ", ".join(MANIFESTS)})
    digest = digest_of(answer.data)
    if check and version.startswith("sha256:") and version != digest:
        raise Failed(
            f"{access.reference.host} sent a manifest that is not {version} for {access.reference}; try again, {access.instead}"
        )
    return digest, json.loads(answer.data)


def digest_of(data: bytes) -> str:
    """The name that a registry gives to content."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Access:
    """One image's repository in a registry; what it takes to be let in is learned once and kept."""

    def __init__(self, reference: Reference, instead: str = INSTEAD, elsewhere: str = "") -> None:
        self.reference, self.instead, self._elsewhere = reference, instead, elsewhere
        self._authorization: str | None = None
        self._lock = threading.Lock()

    @cached_property
    def root(self) -> str:
        reference = self.reference
        host = "registry-1.docker.io" if reference.host == HUB else reference.host
        official = reference.host == HUB and "/" not in reference.repository
        return f"{_scheme(host)}://{host}/v2/{'library/' if official else ''}{reference.repository}"

    def get(self, path: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        """The whole answer to a request, status 200. Raises Wrong for what is not there, Failed for everything else."""
        answer = self.ask(path, headers)
        if answer.status != 200:
            raise self.refusal(answer.status)
        return answer

    def ask(
        self, path: str, headers: Mapping[str, str], stream: bool = False, method: str = "GET", body: bytes | None = None
    ) -> BaseHTTPResponse:  # fmt: skip
        """The answer, whatever its status; a login is tried where one is wanted. The Authorization header goes to this host only.

        `path` is relative to the repository, or a whole address that the registry gave (of an upload).
        """
        url = path if "://" in path else self.root + path
        sent = self._authorization
        answer = self._send(url, headers, sent, stream, method, body)
        if answer.status != 401:
            return answer
        answer.drain_conn()
        with self._lock:  # the token of a long run expires for all threads at once
            if self._authorization == sent:
                self._authorization = _authorization(self.reference, answer.headers.get("WWW-Authenticate", ""))
        return self._send(url, headers, self._authorization, stream, method, body) if self._authorization else answer

    def _send(
        self, url: str, headers: Mapping[str, str], authorization: str | None, stream: bool, method: str, body: bytes | None
    ) -> BaseHTTPResponse:  # fmt: skip
        ours = urlsplit(url)[:2] == urlsplit(self.root)[:2]
        every = {**headers, "Authorization": authorization} if authorization and ours else dict(headers)
        return _request(self.reference, url, every, f"{self._elsewhere}{self.instead}", stream, method, body)

    def refusal(self, status: int) -> Wrong | Failed:
        """What to raise for a status that is not the one hoped for."""
        image, host = self.reference, self.reference.host
        if status == 403 and self._authorization:
            return Failed(
                f"{host} does not let this login read {image}; ask for access to it, or `docker login {host}` as somebody else, {self.instead}"
            )
        if status in (401, 403):
            return Failed(
                f"{host} wants a login for {image}; run `docker login {host}`{_ngc_hint(image)}, {self.instead}"
            )
        if status == 404:
            return Wrong(f"{host} has no {image}; check name and tag, {self.instead}")
        return Failed(f"{host} answered {status} for {image}; try again later, {self.instead}")


def _request(
    reference: Reference, url: str, headers: Mapping[str, str], instead: str = ELSEWHERE + INSTEAD, stream: bool = False, method: str = "GET",
    body: bytes | None = None,
) -> BaseHTTPResponse:  # fmt: skip
    import urllib3

    more: dict[str, Any] = {}
    if body is not None:  # as a file: a socket's time limit is then for each piece of it, not for all of it
        headers = {**headers, "Content-Length": str(len(body))}
        # A registry may read a large blob again before it answers the PUT that ends it.
        more = {"body": io.BytesIO(body), "timeout": urllib3.Timeout(connect=30, read=600 if method == "PUT" else 60)}
    try:
        proxy = _proxy(url)
        pool = _pool(proxy) if proxy else _pool()
        return pool.request(method, url, headers=headers, preload_content=not stream, **more)
    except urllib3.exceptions.HTTPError as error:
        cause = str(getattr(error, "reason", error)).rpartition("): ")[2] or str(error)
        raise Failed(f"{reference.host} cannot be reached ({cause}); check the network, {instead}") from None


def _proxy(url: str) -> str | None:
    """The proxy that the usual variables name for an address (https_proxy, no_proxy ...), None for none and for this machine."""
    parts = urlsplit(url)
    if _HERE.match(parts.netloc) or proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)


@lru_cache(maxsize=2)
def _pool(proxy: str | None = None) -> PoolManager:
    import urllib3

    bundle = engine.ca_bundle()
    retries = urllib3.Retry(
        total=2, connect=1, status_forcelist=(429, 502, 503, 504), backoff_factor=0.5, raise_on_status=False,
        retry_after_max=10,  # a registry that says "in an hour" is an answer
    )  # fmt: skip
    options: dict[str, Any] = {
        "ca_certs": str(bundle) if bundle else None,
        "timeout": urllib3.Timeout(connect=5, read=30),
        "retries": retries,
        "maxsize": 16,
    }
    return urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)


def _scheme(host: str) -> str:
    """Docker's rule: a registry on this machine may speak plain http, if it does not speak TLS."""
    return "http" if _HERE.match(host) and not _speaks_tls(host) else "https"


def _speaks_tls(host: str) -> bool:
    import socket
    import ssl

    name, _, port = host.rpartition(":") if re.search(r":\d+$", host) else (host, "", "443")
    anything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anything.check_hostname, anything.verify_mode = False, ssl.CERT_NONE  # only asked, not trusted
    try:
        with socket.create_connection((name.strip("[]"), int(port)), timeout=5) as line, anything.wrap_socket(line):
            return True
    except OSError:
        return False


def _authorization(reference: Reference, challenge: str) -> str | None:
    """The Authorization header a challenge asks for, by the distribution specification's token flow."""
    login = credentials(reference.host)
    basic = "Basic " + base64.b64encode(":".join(login).encode()).decode() if login else None
    kind, _, rest = challenge.partition(" ")
    if kind.lower() != "bearer":
        return basic
    fields = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    realm = fields.pop("realm", "")
    answer = _request(reference, f"{realm}?{urlencode(fields)}", {"Authorization": basic} if basic else {})
    if answer.status != 200:
        return None
    token = json.loads(answer.data)
    return f"Bearer {token.get('token') or token.get('access_token')}"


def credentials(host: str) -> tuple[str, str] | None:
    """(user, password) for a registry: NGC_API_KEY for nvcr.io, else Docker's config file and its credential helpers."""
    if host == "nvcr.io" and (key := os.environ.get("NGC_API_KEY")):
        return "$oauthtoken", key
    file = Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker")) / "config.json"
    config = json.loads(file.read_text()) if file.is_file() else {}
    server = "https://index.docker.io/v1/" if host == HUB else host
    helper = config.get("credHelpers", {}).get(server) or config.get("credsStore")
    if helper:
        import sh

        try:
            answer = json.loads(str(sh.Command(f"docker-credential-{helper}")("get", _in=server)))
            return answer["Username"], answer["Secret"]
        except (sh.CommandNotFound, sh.ErrorReturnCode):
            pass
    entry = config.get("auths", {}).get(server, {}).get("auth")
    if not entry:
        return None
    user, _, password = base64.b64decode(entry).decode().partition(":")
    return user, password


def _ngc_hint(reference: Reference) -> str:
    return " (user $oauthtoken, password: an NGC API key) or set NGC_API_KEY" if reference.host == "nvcr.io" else ""
