"""What registries and archives say of images, read into types: manifests, indexes, configs (OCI image specification, and Docker's older one)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

from ngc.errors import Failed, Wrong

MOST = (
    4 << 20
)  # bytes of a manifest, index, config or page of tags; registries and Docker have the same limit for manifests
KINDS = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Media types of layers that are tars (https://github.com/opencontainers/image-spec/blob/main/layer.md, and Docker's); none, in old manifests.
_LAYER = re.compile(
    r"(application/(vnd\.oci\.image\.layer\.(nondistributable\.)?v1\.tar|vnd\.docker\.image\.rootfs\.(foreign\.)?diff\.tar)"
    r"([.+](gzip|zstd))?|application/octet-stream)?"
)
Size = Annotated[int, Meta(ge=0, le=1 << 62)]
Type = TypeVar("Type")


class Platform(Struct, frozen=True):
    """A platform as an index names it."""

    os: str = ""
    architecture: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture)))


class Descriptor(Struct, frozen=True):
    """A piece of content by its digest; `size` in bytes."""

    digest: str
    size: Size
    mediaType: str | None = None  # noqa: N815  # the specification's name, as those below
    platform: Platform | None = None
    annotations: Mapping[str, str] | None = None

    @property
    def kind(self) -> str:
        return self.mediaType or ""


class Manifest(Struct, frozen=True):
    """A manifest, or an index, which has `manifests` in place of a config and layers."""

    mediaType: str | None = None  # noqa: N815
    artifactType: str | None = None  # noqa: N815
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] | None = None
    manifests: tuple[Descriptor, ...] | None = None

    @property
    def platforms(self) -> dict[str, str]:
        """Digests of an index's manifests by platform ("" where it says none); the first of a platform counts, attestations are none."""
        found: dict[str, str] = {}
        for entry in self.manifests or ():
            if entry.platform is None or entry.platform.os != "unknown":
                found.setdefault(str(entry.platform or ""), entry.digest)
        return found

    @property
    def named(self) -> tuple[str, ...]:
        """The platforms that an index names; () for a manifest, which does not say."""
        return tuple(filter(None, self.platforms))


class RunConfig(Struct, frozen=True):
    """How an image's containers are run."""

    User: str | None = None
    Env: list[str] | None = None
    Entrypoint: list[str] | None = None
    Cmd: list[str] | None = None
    WorkingDir: str | None = None
    Labels: dict[str, str] | None = None
    ExposedPorts: dict[str, Any] | None = None
    Volumes: dict[str, Any] | None = None
    StopSignal: str | None = None
    Shell: list[str] | None = None
    Healthcheck: dict[str, Any] | None = None


class Step(Struct, frozen=True):
    """What made a layer, or changed the config only."""

    created_by: str | None = None
    empty_layer: bool | None = None


class RootFs(Struct, frozen=True):
    """The layers as the sha256 of their unpacked tars."""

    diff_ids: tuple[str, ...] = ()


class Config(Struct, frozen=True):
    """An image's config file."""

    os: str | None = None
    architecture: str | None = None
    config: RunConfig | None = None
    history: tuple[Step, ...] | None = None
    rootfs: RootFs | None = None

    @property
    def platform(self) -> str:
        """The platform, "" where the file does not say one."""
        return f"{self.os or 'linux'}/{self.architecture}" if self.architecture else ""

    @property
    def run(self) -> RunConfig:
        return self.config or RunConfig()

    @property
    def diff_ids(self) -> tuple[str, ...]:
        return self.rootfs.diff_ids if self.rootfs else ()

    @property
    def labels(self) -> Mapping[str, str]:
        return self.run.Labels or {}


def decode(data: bytes, kind: type[Type], whose: str, fix: str) -> Type:
    """JSON as a type. Raises Failed for anything else, in one sentence: `whose` is what was read, `fix` what to do about it."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, ValueError) as error:
        why = "a page of HTML, not JSON" if data[:64].lstrip()[:1] == b"<" else str(error).replace("`", "")
    except RecursionError:
        why = "nested too deep"
    raise Failed(f"{whose} cannot be read ({why}); {fix}") from None


def digest_of(data: bytes) -> str:
    """The name that registries give to content."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def valid(digest: str, name: str) -> str:
    """The digest, if it is a sha256. Raises Failed."""
    if not _DIGEST.fullmatch(digest):
        raise Failed(
            f"{name} names content by '{digest[:100]}', and only sha256 can be checked here; push it again with a current client"
        )
    return digest


def checked(data: bytes, digest: str, name: str) -> bytes:
    """The data, if it is what the digest says. Raises Failed."""
    if digest_of(data) != valid(digest, name):
        raise Failed(f"{name}: what was sent for {digest} is something else; try again, or ask for another copy")
    return data


def choose(image: object, index: Manifest, platform: str, instead: str) -> str:
    """The digest of the manifest for a platform, or of the only one of an index that names no platforms. Raises Wrong with those there are."""
    found = index.platforms
    if platform not in found and tuple(found) != ("",):
        there = ", ".join(filter(None, found)) or "none"
        raise Wrong(f"{image} has no {platform}; it has {there}: choose one with --platform, another tag, {instead}")
    return valid(found.get(platform) or found[""], str(image))


def parts(manifest: Manifest, name: str) -> tuple[Descriptor, tuple[Descriptor, ...]]:
    """(config, layers) of an image's manifest. Raises Failed for one of an artifact that is no image, and for layers that cannot be read."""
    if manifest.config is None or manifest.layers is None:
        kind = manifest.mediaType or "no media type"
        raise Failed(f"{name} is no image manifest of a kind known here ({kind}); push it again with a current client")
    if not manifest.layers:
        raise Failed(f"{name} has no layers: there is nothing in it; name another image")
    for layer in manifest.layers:
        if "encrypted" in layer.kind:
            raise Failed(
                f"{name} has an encrypted layer ({layer.kind}); have it decrypted first (skopeo copy --decryption-key)"
            )
        if not _LAYER.fullmatch(layer.kind):
            raise Failed(f"{name} is no image but an artifact: it holds {layer.kind}; name an image")
        valid(layer.digest, name)
    valid(manifest.config.digest, name)
    return manifest.config, manifest.layers
