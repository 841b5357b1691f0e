"""Image references, read by the rules of the OCI distribution specification and Docker's defaults."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from ngc.errors import Wrong

HUB = "docker.io"
_NAME = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REGISTRY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]+)?|\[[0-9a-fA-F:]+\](?::[0-9]+)?")
# NVIDIA's version tags, e.g. 0.6.1, 0.6.1.post1, 0.8.1-cuda13, 1.3.0-dev.1 (docs.nvidia.com/dynamo, release artifacts).
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:\.post(\d+))?(?:-([0-9A-Za-z.-]+))?")


@dataclass(frozen=True)
class Reference:
    """One image reference; `registry` is empty for a name without one (a local image, or Docker Hub's)."""

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    def __str__(self) -> str:
        name = f"{self.registry}/{self.repository}" if self.registry else self.repository
        return name + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def host(self) -> str:
        """The registry that is asked for this image."""
        return self.registry or HUB

    def at(self, registry: str) -> Reference:
        """The same image in another registry; a path may follow the host (`host/team`)."""
        host, _, path = registry.rstrip("/").partition("/")
        return replace(self, registry=host, repository=f"{path}/{self.repository}" if path else self.repository)


def parse(text: str) -> Reference:
    """Read `[registry/]repository[:tag][@digest]`. Raises Wrong."""
    rest, _, digest = text.partition("@")
    head, slash, tail = rest.partition("/")
    # Docker's rule: the first part is a registry only if it has a dot, a port, or is localhost.
    registry = head if slash and (re.search(r"[.:\[]", head) or head == "localhost") else ""
    path = tail if registry else rest
    repository, colon, tag = path.partition(":")
    good = (
        _NAME.fullmatch(repository)
        and (not registry or _REGISTRY.fullmatch(registry))
        and (not colon or TAG.fullmatch(tag))
        and ("@" not in text or _DIGEST.fullmatch(digest))
    )
    if not good:
        raise Wrong(f"'{text}' is not an image reference; write [registry/]repository[:tag][@sha256:digest]")
    return Reference(registry, repository, tag or None, digest or None)


def registry_prefix(text: str, flag: str) -> str:
    """Check what a user gave as a registry: `host[:port][/path]`. Raises Wrong."""
    host, _, path = text.rstrip("/").partition("/")
    if "://" in text or not _REGISTRY.fullmatch(host) or (path and not _NAME.fullmatch(path)):
        raise Wrong(f"{flag} is '{text}'; write host[:port][/path] without a scheme, such as registry.example.com/team")
    return text.rstrip("/")


def semantic_version(tag: str | None) -> str | None:
    """NVIDIA's tag as a strict semantic version (`0.6.1.post1` -> `0.6.1-post1`), None if it holds no version."""
    match = _VERSION.fullmatch(tag or "")
    if not match:
        return None
    major, minor, patch, post, suffix = match.groups()
    extra = "-".join(part for part in (post and f"post{post}", suffix) if part)
    return f"{int(major)}.{int(minor)}.{int(patch)}" + (f"-{extra}" if extra else "")
