"""What is known of NGC's releases: releases.yaml, the rules of their tags, and what lies between two of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ngc import bases
from ngc.catalog import Catalog, Framework
from ngc.errors import Wrong
from ngc.reference import Reference

if TYPE_CHECKING:
    from packaging.version import Version

_TAG = re.compile(r"(?P<release>\d+\.\d+\.\d+)(?P<post>\.post\d+)?(?P<suffix>.*)")
UNKNOWN = "unknown kind"


@dataclass(frozen=True)
class Tag:
    """A tag of NVIDIA's: `release` is X.Y.Z, `post` the number of a patch (0: none), `kind` what its suffix means."""

    name: str
    release: str
    post: int
    suffix: str
    kind: str
    general: bool

    @cached_property
    def version(self) -> Version:
        """For comparing; a suffix does not count."""
        from packaging.version import Version

        return Version(f"{self.release}.post{self.post}" if self.post else self.release)


@dataclass(frozen=True)
class Releases:
    """releases.yaml. `frozen` by repository, `known` by X.Y.Z from the oldest to the newest, `moves` as the file has them."""

    broken: Mapping[str, str]
    kinds: Sequence[Mapping[str, Any]]
    frozen: Mapping[str, Mapping[str, str]]
    known: Mapping[str, Mapping[str, Any]]
    moves: Sequence[Mapping[str, Any]]
    floors: Mapping[str, int]

    def tag(self, name: str | None) -> Tag | None:
        """The tag as the rules read it, None if it holds no version."""
        match = _TAG.fullmatch(name or "")
        if not match:
            return None
        kind = next((kind for kind in self.kinds if re.fullmatch(kind["suffix"], match["suffix"])), {"kind": UNKNOWN})
        post = int((match["post"] or ".post0").removeprefix(".post"))
        return Tag(name or "", match["release"], post, match["suffix"], kind["kind"], bool(kind.get("general")))

    def why_broken(self, image: Reference) -> str | None:
        """What is wrong with an image that is known to be broken."""
        return self.broken.get(f"{title(image)}:{image.tag}")

    def successor(self, image: Reference) -> Reference:
        """Where newer images of the repository are: there, or in the successor of a frozen one."""
        found = self.frozen.get(image.repository)
        return Reference(image.registry, found["successor"] if found else image.repository, None, None)

    def check_known(self, tag: Tag) -> None:
        """Raises Wrong for a release that releases.yaml does not know."""
        if tag.release not in self.known:
            raise Wrong(
                f"release {tag.release} is not in releases.yaml, so nobody knows what moves on the way to it; it knows "
                f"{', '.join(self.known)}: choose one, or add it there with what changed"
            )

    def between(self, older: Version, newer: Version) -> list[str]:
        """The known releases after one version, up to and including the other, from the oldest on."""
        from packaging.version import Version

        return [name for name in self.known if older < Version(name) <= newer]

    def of_image(self, release: str, image: str, what: str) -> str | None:
        """`cuda` or `engine` of an image at a release, as far as releases.yaml says it: a patch release says what is new only."""
        from packaging.version import Version

        said = [self.known[name].get(what, {}).get(image) for name in self.known if Version(name) <= Version(release)]
        return next((str(value) for value in reversed(said) if value is not None), None)

    def driver(self, cuda: str) -> int | None:
        """The oldest driver branch for a CUDA release."""
        return self.floors.get(cuda)


def read(catalog: Catalog) -> Releases:
    """Read releases.yaml; a tree without it knows no releases."""
    data = bases.read_releases(catalog)
    return Releases(
        data.get("broken", {}),
        data.get("tags", ()),
        data.get("frozen", {}),
        {str(name): about or {} for name, about in data.get("releases", {}).items()},
        data.get("moves", ()),
        data.get("driver_floors", {}),
    )


def title(image: Reference) -> str:
    """The last part of an image's name, by which releases.yaml knows it."""
    return image.repository.rpartition("/")[2]


def current(releases: Releases, framework: Framework) -> Tag | None:
    """The tag that a framework's Dockerfile stands on; of an image without a version in its tag, its entry's version."""
    entry = framework.known(framework.default_base)
    return releases.tag(framework.default_base.tag) or (releases.tag(entry.version) if entry else None)
