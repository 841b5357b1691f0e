"""An OCI registry over HTTP: what a reference is there, and who we are to it."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

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
INSTEAD = "or build on the stand-in with --base=stand-in"


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
    digest, manifest = _manifest(reference, reference.digest or reference.tag or "latest")
    platforms: tuple[str, ...] = ()
    if "manifests" in manifest:
        entries = {
            _platform(entry): entry
            for entry in manifest["manifests"]
            if entry.get("platform", {}).get("os") != "unknown"
        }
        platforms = tuple(entries)
        if platform not in entries:
            raise Wrong(
                f"{reference} has no {platform}; it has {', '.join(platforms)}: choose one with --platform, another tag, {INSTEAD}"
            )
        _, manifest = _manifest(reference, entries[platform]["digest"])
    config = json.loads(_get(reference, f"/blobs/{manifest['config']['digest']}", {}).data).get("config") or {}
    compressed = sum(layer["size"] for layer in manifest["layers"])
    return Remote(reference, digest, platforms, compressed, config.get("User") or "", config.get("Labels") or {})


def _platform(entry: Mapping[str, Any]) -> str:
    parts = entry.get("platform", {})
    return "/".join(filter(None, (parts.get("os"), parts.get("architecture"))))


def _manifest(reference: Reference, version: str) -> tuple[str, dict[str, Any]]:
    answer = _get(reference, f"/manifests/{version}", {"Accept": ", ".join(MANIFESTS)})
    return answer.headers.get("Docker-Content-Digest", version), json.loads(answer.data)


def _get(reference: Reference, path: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
    host = "registry-1.docker.io" if reference.host == HUB else reference.host
    repository = (
        f"library/{reference.repository}"
        if reference.host == HUB and "/" not in reference.repository
        else reference.repository
    )
    url = f"{_scheme(host)}://{host}/v2/{repository}{path}"
    answer = _request(reference, url, dict(headers))
    if answer.status == 401:
        header = _authorization(reference, answer.headers.get("WWW-Authenticate", ""))
        if header:
            answer = _request(reference, url, {**headers, "Authorization": header})
    if answer.status in (401, 403):
        raise Failed(
            f"{reference.host} wants a login for {reference}; run `docker login {reference.host}`{_ngc_hint(reference)}, {INSTEAD}"
        )
    if answer.status == 404:
        raise Wrong(f"{reference.host} has no {reference}; check name and tag, {INSTEAD}")
    if answer.status != 200:
        raise Failed(f"{reference.host} answered {answer.status} for {reference}; try again later, {INSTEAD}")
    return answer


def _request(reference: Reference, url: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
    import urllib3

    try:
        return _pool().request("GET", url, headers=headers)
    except urllib3.exceptions.HTTPError as error:
        cause = str(getattr(error, "reason", error)).rpartition("): ")[2] or str(error)
        raise Failed(
            f"{reference.host} cannot be reached ({cause}); check the network, name a copy with --mirror=HOST, {INSTEAD}"
        ) from None


@lru_cache(maxsize=1)
def _pool() -> PoolManager:
    import urllib3

    bundle = engine.ca_bundle()
    retries = urllib3.Retry(
        total=2, connect=1, status_forcelist=(429, 502, 503, 504), backoff_factor=0.5, raise_on_status=False
    )
    return urllib3.PoolManager(
        ca_certs=str(bundle) if bundle else None, timeout=urllib3.Timeout(connect=5, read=30), retries=retries
    )


def _scheme(host: str) -> str:
    """Docker's rule: a registry on this machine may speak plain http."""
    return "http" if re.match(r"(localhost|127\.|\[::1\])", host) else "https"


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
