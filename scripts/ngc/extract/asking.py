"""What was asked for: the image, from where, and the folder it goes to; checked before anything is read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ngc import bases
from ngc import engine as engines
from ngc import reference as references
from ngc.asked.images import Extract
from ngc.catalog import Base, Catalog, Framework
from ngc.errors import Failed, Wrong
from ngc.extract import archives, parts
from ngc.extract.sources import FromEngine, FromRegistry, Source

INSTEAD = "or take the stand-in with --base=stand-in"
FROM_ENGINE = "docker-daemon:"  # before a name: the local engine's image, whatever the registry has


@dataclass(frozen=True)
class Order:
    """What is to be done: known without reading a blob. `entry` is what is known of the base before its config is read."""

    source: Source
    framework: Framework | None
    entry: Base | None
    asked: Sequence[str]
    out: Path
    owners: bool


def order(catalog: Catalog, asked: Extract) -> Order:
    """Check the asked. Raises Wrong for what was asked wrongly."""
    framework = _framework(catalog, asked)
    out = folder(catalog, asked)
    if asked.owners and os.geteuid() != 0:
        raise Wrong(
            "--owners gives files to other users, which only root may do; run as root, or leave it out: inventory.json records owners"
        )
    platform = asked.platform or bases.host_platform()
    if platform not in bases.PLATFORMS:
        raise Wrong(f"unknown platform '{platform}'; choose from: {', '.join(bases.PLATFORMS)}")
    source, entry = _source(catalog, framework, asked, platform)
    parts.choose(framework, entry, asked.component)  # a wrong name is said before anything is asked
    return Order(source, framework, entry, asked.component, out, asked.owners)


def folder(catalog: Catalog, asked: Extract) -> Path:
    """Where the result goes."""
    framework = _framework(catalog, asked)
    if asked.out:
        return Path(asked.out).absolute()
    if framework is None:
        raise Wrong("without --framework there is no folder to extract to; add --out=FOLDER")
    return catalog.folder / "common" / "extracted" / framework.name


def _framework(catalog: Catalog, asked: Extract) -> Framework | None:
    if asked.framework:
        return catalog.framework(asked.framework)
    if asked.image and all(name.startswith(("/", "$")) for name in asked.component) and asked.component:
        return None
    names = ", ".join(framework.name for framework in catalog.frameworks)
    raise Wrong(
        f"whose components? add --framework (choose from: {names}), or --image with --component=/PATH and --out"
    )


def _source(catalog: Catalog, framework: Framework | None, asked: Extract, platform: str) -> tuple[Source, Base | None]:
    if asked.image is None:
        assert framework is not None  # _framework has refused it otherwise
        chosen = bases.choose(catalog, [framework.name], asked.base, None, asked.mirror)[framework.name]
        local = _local(chosen.reference, asked.platform, always=chosen.made_here)
        if chosen.made_here and local is None:
            raise Wrong(
                f"{chosen.reference} is not here; run `invoke build --framework={framework.name} --base=stand-in` first"
            )
        return local or FromRegistry(references.parse(chosen.reference), platform, INSTEAD), chosen.entry
    if asked.base:
        raise Wrong("--image and --base both name the image; leave one out")
    if found := archives.find(asked.image):
        return archives.source(*found, platform), None
    if asked.image.startswith(("/", "./", "../")):
        raise Wrong(f"{asked.image} is not there; name an OCI layout, a `docker save` archive, or an image reference")
    name = asked.image.removeprefix(FROM_ENGINE)
    reference = references.parse(name)
    entry = framework.known(reference) if framework else None
    local = _local(name, asked.platform, name != asked.image)
    if local is None and name != asked.image:
        raise Wrong(f"{name} is not here; run `docker pull {name}` first, or leave out {FROM_ENGINE}")
    if asked.mirror:
        reference = reference.at(references.registry_prefix(asked.mirror, "--mirror"))
    return local or FromRegistry(reference, platform, INSTEAD), entry


def _local(name: str, platform: str | None, always: bool = False) -> Source | None:
    """The engine's image of that name, None if it has none. A name with a registry is the registry's, unless `always`."""
    if references.parse(name).registry and not always:
        return None
    try:
        client = engines.any_client()
        found = engines.images(client, [name]).get(name)
    except Failed:
        if always:
            raise
        return None
    if found is not None and platform and platform != found.platform:
        raise Wrong(f"the local {name} is {found.platform}, not {platform}; leave out --platform")
    return FromEngine(client, name, found) if found is not None else None


def entry_of(order: Order) -> Base | None:
    """What image.yaml knows of the image; a stand-in's label names what it stands for."""
    stands_for = (order.source.config().Labels or {}).get(bases.STANDS_FOR_LABEL)
    if order.entry is None and order.framework is not None and stands_for:
        return order.framework.known(references.parse(stands_for))
    return order.entry


def environment(order: Order) -> dict[str, str]:
    """The variables of the image's config."""
    pairs = [line.partition("=") for line in order.source.config().Env or ()]
    return {name: value for name, _, value in pairs}
