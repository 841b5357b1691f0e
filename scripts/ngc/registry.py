"""An OCI registry: what a reference is there, and what it gives for paths of a repository."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct

from ngc import certificates, engine, logins, manifests, proxies, transport
from ngc.errors import Failed, Wrong
from ngc.manifests import Config, Manifest, Type
from ngc.reference import HUB, Reference
from ngc.transport import Answer, NoTls, Request, Trouble

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

Sent = TypeVar("Sent", Answer, "BaseHTTPResponse")
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
    digest, manifest = access.manifest(reference.digest or reference.tag or "latest")
    platforms = manifest.named
    if manifest.manifests is not None:
        _, manifest = access.manifest(manifests.choose(reference, manifest, platform, INSTEAD))
    described, layers = manifests.parts(manifest, str(reference))
    config = access.config(described.digest)
    compressed = sum(layer.size for layer in layers)
    return Remote(reference, digest, platforms, compressed, config.run.User or "", config.labels)


class Access:
    """One image's repository in a registry; what it takes to be let in is learned once and kept."""

    def __init__(self, reference: Reference, instead: str = INSTEAD, elsewhere: str = "") -> None:
        self.reference, self.instead, self._elsewhere = reference, instead, elsewhere
        self._authorization: str | None = None
        self._insecure, self._scheme = False, ""
        self._lock = threading.Lock()

    @property
    def root(self) -> str:
        """The address of the repository."""
        # Docker's rule: a registry on this machine, or one that is called insecure, may speak plain http if it does not speak TLS.
        if not self._scheme:
            plain = self._insecure or proxies.LOOPBACK.fullmatch(self._host)
            self._scheme = "http" if plain and not certificates.speaks_tls(self._host) else "https"
        official = self.reference.host == HUB and "/" not in self.reference.repository
        return f"{self._scheme}://{self._host}/v2/{'library/' if official else ''}{self.reference.repository}"

    @cached_property
    def _host(self) -> str:
        return "registry-1.docker.io" if self.reference.host == HUB else self.reference.host

    def manifest(self, version: str) -> tuple[str, Manifest]:
        """(digest, manifest or index) of a tag or digest; content that has not the digest asked for is refused."""
        answer = self.manifest_as_sent(version)
        return manifests.digest_of(answer.data), self.read(answer, Manifest, "manifest")

    def manifest_as_sent(self, version: str) -> Answer:
        """The bytes of a manifest or index, held to the digest where one was asked for."""
        answer = self.get(f"/manifests/{version}", {"Accept": ", ".join(manifests.KINDS)})
        if version.startswith("sha256:"):
            manifests.checked(answer.data, version, str(self.reference))
        return answer

    def config(self, digest: str) -> Config:
        """The config file of that digest."""
        answer = self.get(f"/blobs/{manifests.valid(digest, str(self.reference))}", {})
        manifests.checked(answer.data, digest, str(self.reference))
        return self.read(answer, Config, "config")

    def read(self, answer: Answer, kind: type[Type], what: str) -> Type:
        """An answer as a type. Raises Failed for what is none."""
        whose = f"the {what} that {self.reference.host} sent for {self.reference}"
        return manifests.decode(answer.data, kind, whose, f"try again, {self.instead}")

    def get(self, path: str, headers: Mapping[str, str]) -> Answer:
        """The whole answer to a request, status 200, 4 MiB at most. Raises Wrong for what is not there, Failed for everything else."""
        answer = self.send(Request(path, headers))
        if answer.status != 200:
            raise self.refusal(answer.status)
        return answer

    def send(self, request: Request) -> Answer:
        """The whole answer to a request, whatever its status; content only with status 200. Raises Failed.

        Its url is relative to the repository, or a whole address that the registry gave (of an upload).
        """
        return self._with_login(request, lambda ready: transport.ask(ready, manifests.MOST))

    def stream(self, path: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        """The head of an answer, whatever its status; the caller reads the body. Raises Failed."""
        return self._with_login(Request(path, headers), transport.stream)

    def _with_login(self, request: Request, send: Callable[[Request], Sent]) -> Sent:
        try:
            return self._sent(request, send)
        except Trouble as trouble:
            host = self.reference.host
            raise Failed(
                f"{host} cannot be reached ({trouble}); check the network, {self._elsewhere}{self.instead}"
            ) from None

    def _sent(self, request: Request, send: Callable[[Request], Sent]) -> Sent:
        """Send a request; again with a login where one is wanted, and as to an insecure registry where Docker would."""
        sent = self._authorization
        try:
            answer = send(self._ready(request))
        except NoTls as trouble:
            if self._insecure or not docker_trusts(self._host):
                raise Trouble(f"{trouble}: {_why_no_tls(str(trouble), self._host)}") from None
            self._insecure, self._scheme = True, ""
            answer = send(self._ready(request))
        if answer.status != 401:
            return answer
        if not isinstance(answer, Answer):
            transport.discard(answer)
        with self._lock:  # the token of a long run expires for all threads at once
            if self._authorization == sent:
                offered = answer.headers.getlist("WWW-Authenticate")
                self._authorization = logins.authorization(self.reference, self.root, offered)
        if self._authorization is None:
            return answer
        return send(self._ready(request))

    def _ready(self, request: Request) -> Request:
        """The request with its whole address, and with our login if that is the registry's own."""
        url = request.url if "://" in request.url else self.root + request.url
        transport.check_step(self.root, url)
        ours = self._authorization is not None and urlsplit(url)[:2] == urlsplit(self.root)[:2]
        headers = {**request.headers, **({"Authorization": self._authorization or ""} if ours else {})}
        return replace(request, url=url, headers=headers, verify=not self._insecure)

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


class _Index(Struct):
    """A registry as the daemon was told of it."""

    Secure: bool = True


class _Registries(Struct):
    """`docker info`'s word on registries."""

    InsecureRegistryCIDRs: tuple[str, ...] | None = None
    IndexConfigs: dict[str, _Index] | None = None


@lru_cache(maxsize=16)
def docker_trusts(host: str) -> bool:
    """Whether the Docker daemon takes a registry without TLS, or with any certificate (insecure-registries): it is asked.

    It takes any certificate of this machine's own; here one that is not known is said, as nothing else is known of it.
    """
    if proxies.LOOPBACK.fullmatch(host):
        return False
    try:
        client = engine.any_client()
        said = engine.ask(client, "info", "--format", "{{json .RegistryConfig}}", fails=False)
        known = manifests.decode((said or "{}").encode(), _Registries, "`docker info`", "")
    except Failed:
        return False
    if (index := (known.IndexConfigs or {}).get(host)) is not None:
        return not index.Secure
    networks = [ipaddress.ip_network(network, strict=False) for network in known.InsecureRegistryCIDRs or ()]
    name = urlsplit(f"//{host}").hostname or ""
    try:
        addresses = {ipaddress.ip_address(each[4][0]) for each in socket.getaddrinfo(name, None)}
    except (OSError, ValueError):
        return False
    return any(address in network for address in addresses for network in networks)


def _why_no_tls(said: str, host: str) -> str:
    if "certificate" in said.lower():
        return f"name its CA's certificate in NGC_CA, or put it at /etc/docker/certs.d/{host}/ca.crt as for docker"
    return "it speaks no TLS and is not among Docker's insecure-registries; add it there, or pull the image and name docker-daemon:IMAGE"


def _ngc_hint(reference: Reference) -> str:
    return " (user $oauthtoken, password: an NGC API key) or set NGC_API_KEY" if reference.host == "nvcr.io" else ""
