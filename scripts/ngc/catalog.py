"""The table of images, read from the tree: a folder with an image.yaml is a framework, its Dockerfile.<target> is an image."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ngc import dockerfile, imageyaml, reference
from ngc.errors import Wrong
from ngc.reference import Reference

ROOT = Path(__file__).resolve().parents[2]
ABSENT = "absent"
_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9}


@dataclass(frozen=True)
class Component:
    """A part of a base, such as nixl; `version` None says that the base does not have it.

    The version is a pattern as of fnmatch; `stand_in` is how it begins on a stand-in that has another one. `path` None: it
    has no programs and headers, only `libraries`, the folder of its libraries.
    """

    version: str | None
    path: str | None = None
    libraries: str | None = None
    plugins: tuple[str, ...] = ()
    stand_in: str | None = None


@dataclass(frozen=True)
class Base:
    """A known base image: an entry of `bases:`. `user`, `workdir`, `entrypoint` None: not known.

    Values of `environment` are patterns as of fnmatch; `caches` are folders that any user of group 0 may write to.
    """

    key: str
    reference: Reference
    version: str | None
    layout: str | None = None
    user: str | None = None
    workdir: str | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    caches: tuple[str, ...] = ()
    platforms: tuple[str, ...] = ()
    checked: str = "not at all"
    note: str | None = None
    components: Mapping[str, Component] = field(default_factory=dict)
    known_log_lines: tuple[str, ...] = ()
    extract: Mapping[str, Any] = field(default_factory=dict)  # as in Framework; wins over it
    serving: Mapping[str, Any] = field(default_factory=dict)  # as the schema has it; deploy.serving reads it

    def lacks(self, component: str) -> bool:
        """True if the entry says that the base does not have the component."""
        known = self.components.get(component)
        return known is not None and known.version is None


@dataclass(frozen=True)
class Image:
    """One buildable image: a framework's target.

    `budget` is bytes on disk above the parent (sum of layer sizes), None for no limit.
    """

    framework: str
    target: str
    dockerfile: Path
    purpose: str
    parent: str | None  # target of the same framework, None: the base
    budget: int | None
    needs: tuple[str, ...]  # components that the base must have

    @property
    def key(self) -> str:
        return f"{self.framework}-{self.target}"

    @property
    def repository(self) -> str:
        return f"dynamo-{self.key}"


@dataclass(frozen=True)
class Framework:
    """One framework: its images, parents first, and the bases that are known for it."""

    name: str
    folder: Path
    purpose: str
    images: tuple[Image, ...]
    bases: tuple[Base, ...]
    stand_in: Base | None
    default_base: Reference  # what the Dockerfile of the first image names
    extract: Mapping[str, Any] = field(default_factory=dict)  # component: its paths, as the schema has them

    def known(self, image: Reference) -> Base | None:
        """The entry of an image reference, whatever registry it is taken from."""
        same = (b for b in self.bases if (b.reference.repository, b.reference.tag) == (image.repository, image.tag))
        return next(same, None)


@dataclass(frozen=True)
class Catalog:
    """All frameworks of a tree, by name."""

    folder: Path  # ngc-builds, the build context of every image
    frameworks: tuple[Framework, ...]

    @cached_property
    def images(self) -> tuple[Image, ...]:
        return tuple(image for framework in self.frameworks for image in framework.images)

    @property
    def targets(self) -> list[str]:
        return list(dict.fromkeys(image.target for image in self.images))

    def framework(self, name: str) -> Framework:
        """The framework of that name. Raises Wrong with the names there are."""
        for framework in self.frameworks:
            if framework.name == name:
                return framework
        raise Wrong(f"unknown framework '{name}'; choose from: {', '.join(f.name for f in self.frameworks)}")

    def select(self, frameworks: Sequence[str] = (), targets: Sequence[str] = ()) -> tuple[Image, ...]:
        """The images of the named frameworks and targets, all when none is named. Raises Wrong for unknown names and an empty result."""
        wanted = [self.framework(name).name for name in frameworks]
        for target in targets:
            if target not in self.targets:
                raise Wrong(f"unknown target '{target}'; choose from: {', '.join(self.targets)}")
        chosen = tuple(
            image
            for image in self.images
            if (not wanted or image.framework in wanted) and (not targets or image.target in targets)
        )
        if not chosen:
            filters = [f"--framework {f}" for f in frameworks] + [f"--target {t}" for t in targets]
            raise Wrong(f"no image matches {' '.join(filters)}; `invoke list` shows what there is")
        return chosen


def read(root: Path = ROOT) -> Catalog:
    """Read the table of the tree at `root`. Raises Wrong with file and line for what is broken."""
    folder = root / "ngc-builds"
    frameworks = tuple(_framework(path) for path in sorted(folder.glob("*/image.yaml")))
    if not frameworks:
        raise Wrong(f"{folder} has no framework; a framework is a folder there with an image.yaml")
    return Catalog(folder, frameworks)


def size(text: str) -> int:
    """Bytes of a size such as `50MB`; units are decimal."""
    number, unit = re.fullmatch(r"([0-9.]+)(kB|MB|GB)", text).groups()  # type: ignore[union-attr]  # the schema has checked it
    return int(float(number) * _UNITS[unit])


def _framework(path: Path) -> Framework:
    data = imageyaml.load(path)
    targets: Mapping[str, Any] = data.get("targets", {})
    files = {
        file.suffix[1:]: file for file in path.parent.glob("Dockerfile.*") if not file.name.endswith(".dockerignore")
    }
    for target in targets:
        if target not in files:
            raise Wrong(
                imageyaml.at(path, ("targets", target))
                + f"there is no Dockerfile.{target} beside it; add it or drop the target"
            )
    name = path.parent.name
    images = _parents_first(
        [_image(name, target, file, targets.get(target, {}), path) for target, file in sorted(files.items())], path
    )
    bases = tuple(_base(key, entry) for key, entry in data["bases"].items())
    stand_in = data.get("stand-in")
    by_key = {base.key: base for base in bases}
    if stand_in is not None and (stand_in not in by_key or by_key[stand_in].layout is None):
        raise Wrong(
            imageyaml.at(path, ("stand-in",))
            + f"'{stand_in}' is not an entry of `bases` with a layout; name one of: {', '.join(k for k, b in by_key.items() if b.layout)}"
        )
    root = next((image for image in images if image.parent is None), None)
    if root is None:
        raise Wrong(
            f"{path.parent} has no Dockerfile with `ARG BASE_IMAGE=<reference>`; the first image of a framework names its base there"
        )
    default = dockerfile.read(root.dockerfile).arguments["BASE_IMAGE"]
    if not default:
        raise Wrong(f"{root.dockerfile}: ARG BASE_IMAGE has no default; write the base's reference there")
    return Framework(
        name,
        path.parent,
        data["purpose"],
        images,
        bases,
        by_key.get(stand_in or ""),
        reference.parse(default),
        data.get("extract", {}),
    )


def _image(framework: str, target: str, file: Path, entry: Mapping[str, Any], path: Path) -> Image:
    arguments = dockerfile.read(file).arguments
    if "BASE_IMAGE" not in arguments and "PARENT_IMAGE" not in arguments:
        raise Wrong(
            f"{file}: neither ARG BASE_IMAGE nor ARG PARENT_IMAGE stands before FROM; declare what the image is built on"
        )
    parent = None if "BASE_IMAGE" in arguments else entry.get("parent", "runtime")
    if parent is None and "parent" in entry:
        raise Wrong(
            imageyaml.at(path, ("targets", target, "parent"))
            + f"Dockerfile.{target} takes BASE_IMAGE, so it has no parent; drop the line"
        )
    budget = entry.get("budget")
    return Image(
        framework,
        target,
        file,
        entry.get("purpose", ""),
        parent,
        size(budget) if budget else None,
        tuple(entry.get("needs", ())),
    )


def _parents_first(images: list[Image], path: Path) -> tuple[Image, ...]:
    ordered: list[Image] = []
    names = {image.target for image in images}
    for image in images:
        if image.parent is not None and image.parent not in names:
            raise Wrong(
                f"{path}: parent of '{image.target}' is '{image.parent}', which has no Dockerfile; choose from: {', '.join(sorted(names))}"
            )
    while len(ordered) < len(images):
        done = {image.target for image in ordered}
        ready = [
            image for image in images if image.target not in done and (image.parent is None or image.parent in done)
        ]
        if not ready:
            raise Wrong(
                f"{path}: the parents of {', '.join(sorted(names - done))} form a circle; one of them must take BASE_IMAGE"
            )
        ordered += ready
    return tuple(ordered)


def _base(key: str, entry: Mapping[str, Any]) -> Base:
    image = reference.parse(entry["reference"])
    components = {
        name: Component(None)
        if value == ABSENT
        else Component(
            value["version"],
            value.get("path"),
            value.get("libraries") or (f"{value['path']}/lib" if "path" in value else None),
            tuple(value.get("plugins", ())),
            value.get("version-on-stand-in"),
        )
        for name, value in entry.get("components", {}).items()
    }
    entrypoint = entry.get("entrypoint")
    return Base(
        key=key,
        reference=image,
        version=entry.get("version") or reference.semantic_version(image.tag),
        layout=entry.get("layout"),
        user=entry.get("user"),
        workdir=entry.get("workdir"),
        entrypoint=None if entrypoint is None else tuple(entrypoint),
        environment=entry.get("environment", {}),
        caches=tuple(entry.get("caches", ())),
        platforms=tuple(entry.get("platforms", ())),
        checked=entry.get("checked", "not at all"),
        note=entry.get("note"),
        components=components,
        known_log_lines=tuple(entry.get("known_log_lines", ())),
        extract=entry.get("extract", {}),
        serving=entry.get("serving", {}),
    )
