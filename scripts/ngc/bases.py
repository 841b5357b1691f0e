"""What images are built on: reading --base, and checking a base before anything runs."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ngc import engine as engines
from ngc import reference as references
from ngc import yamlfile
from ngc.catalog import Base, Catalog, Framework
from ngc.engine import Engine, Found
from ngc.errors import Failed, Wrong

NGC = "ngc"
STAND_IN = "stand-in"
STAND_IN_LABEL = "ngc-dynamo.stand-in"
STANDS_FOR_LABEL = "ngc-dynamo.stands-for"
VARIABLE = "NGC_BASE"
PLATFORMS = ("linux/amd64", "linux/arm64")
# Disk that a base takes, unpacked, for each byte of its compressed layers: 17 / 8.73 GB as published for 0.6.1.post1.
UNPACKED = 1.95


@dataclass(frozen=True)
class Chosen:
    """The base of one framework's images. `tag` is theirs."""

    framework: Framework
    reference: str
    tag: str
    entry: Base | None  # None: not known to image.yaml
    stand_in: bool = False
    user: str = ""  # the base's own USER; empty where it sets none

    @property
    def made_here(self) -> bool:
        """True if the plan itself builds this base."""
        return self.stand_in and self.reference in stand_ins(self.framework)


def stand_in_name(framework: Framework) -> str:
    """The image that --base=stand-in builds a framework on. Raises Wrong where there is none."""
    if framework.stand_in is None:
        raise Wrong(
            f"{framework.name} has no stand-in: its image.yaml names none; choose --base=ngc or an image reference"
        )
    return _stand_in_name(framework, framework.stand_in)


def stand_ins(framework: Framework) -> dict[str, Base]:
    """The stand-ins that can be made for a framework, by name: one for each entry of `bases:` with a layout."""
    return {_stand_in_name(framework, base): base for base in framework.bases if base.layout}


def _stand_in_name(framework: Framework, base: Base) -> str:
    return f"dynamo-stand-in-{framework.name}:{base.version}"


def choose(
    catalog: Catalog,
    frameworks: Sequence[str],
    base: str | None = None,
    tag: str | None = None,
    mirror: str | None = None,
) -> dict[str, Chosen]:
    """The base of each named framework. `base`: ngc, stand-in or a reference; None asks the variable NGC_BASE. Raises Wrong."""
    asked = base or os.environ.get(VARIABLE) or NGC
    if tag is not None and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", tag):
        raise Wrong(f"--tag is '{tag}'; write letters, digits, dots, dashes and underscores, 128 at most")
    if asked not in (NGC, STAND_IN):
        if len(set(frameworks)) != 1:
            raise Wrong(
                f"--base={asked} is one image, and {', '.join(dict.fromkeys(frameworks))} are selected; add exactly one --framework"
            )
        if not re.search(r"[/:@]", asked):
            raise Wrong(
                f"unknown base '{asked}'; choose from: {NGC}, {STAND_IN}, or an image reference such as nvcr.io/nvidia/ai-dynamo/NAME:TAG"
            )
    return {name: _choose(catalog.framework(name), asked, tag, mirror) for name in dict.fromkeys(frameworks)}


def _choose(framework: Framework, asked: str, tag: str | None, mirror: str | None) -> Chosen:
    name = stand_in_name(framework) if asked == STAND_IN else asked
    if entry := stand_ins(framework).get(name):
        return Chosen(framework, name, tag or f"{entry.version}-{STAND_IN}", entry, True, entry.user or "")
    image = framework.default_base if asked == NGC else references.parse(asked)
    entry = framework.known(image)
    version = references.semantic_version(image.tag) or (entry.version if entry else None)
    if mirror:
        image = image.at(references.registry_prefix(mirror, "--mirror"))
    if not (tag or version):
        raise Wrong(f"{image} has no version in its tag to name images after; add --tag, such as --tag=1.0.0")
    return Chosen(framework, str(image), tag or str(version), entry)


def is_stand_in(labels: Mapping[str, str]) -> bool:
    """True for a stand-in, and for what was built on one."""
    return labels.get(STAND_IN_LABEL) == "true"


def check(
    chosen: Chosen,
    found: Found | None,
    platform: str | None,
    tag: str | None,
    broken: dict[str, str],
    engine: Engine | None,
) -> Chosen:
    """Check a base before anything runs, and learn what it says of itself: its user, and that it is a stand-in.

    `found` is the image if it is here; else its registry is asked. Without an engine (only a plan is wanted) a known base
    is believed and no network used. Raises Wrong or Failed, one sentence with the fix.
    """
    image = references.parse(chosen.reference)
    name = f"{image.repository.rpartition('/')[2]}:{image.tag}"
    if name in broken:
        raise Wrong(f"{name} is known to be broken: {broken[name]}")
    if found is None and engine is None and chosen.entry is not None:
        return replace(chosen, user=chosen.entry.user or "")
    if found is None:
        from ngc import registry  # most runs ask no registry

        remote = registry.look_up(image, platform or host_platform())
        _check_disk(chosen.reference, remote.compressed, engine)
        user, labels = remote.user, remote.labels
    else:
        if platform and found.platform != platform:
            raise Wrong(
                f"the local {chosen.reference} is {found.platform}, not {platform}; leave out --platform, or add --pull to get the other one"
            )
        user, labels = found.user, found.labels
    known = chosen.entry.user if chosen.entry else None
    chosen = replace(chosen, user=user if known is None else known)
    if not is_stand_in(labels):
        return chosen
    stands_for = labels.get(STANDS_FOR_LABEL)
    entry = chosen.framework.known(references.parse(stands_for)) if stands_for else None
    return replace(
        chosen, entry=entry, stand_in=True, tag=tag or f"{chosen.tag.removesuffix(f'-{STAND_IN}')}-{STAND_IN}"
    )


def _check_disk(base: str, compressed: int, engine: Engine | None) -> None:
    folder = disk_of(engine) if engine else None
    needed = int(compressed * UNPACKED)
    if folder is not None and (free := shutil.disk_usage(folder).free) < needed:
        raise Failed(
            f"{base} takes about {needed / 1e9:.0f} GB on disk and {folder} has {free / 1e9:.0f} GB free; free some, or move docker's data-root"
        )


def disk_of(engine: Engine) -> Path | None:
    """The folder in which the engine keeps images; None if it is not on this machine."""
    form = "{{.Store.GraphRoot}}" if engine.podman else "{{.DockerRootDir}}"
    folder = Path((engines.ask(engine, "info", "--format", form, fails=False) or "").strip() or "/nowhere")
    return folder if folder.is_dir() else None


def host_platform() -> str:
    """This machine's platform in the words of image manifests."""
    machine = os.uname().machine
    return "linux/" + {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def read_releases(catalog: Catalog) -> dict[str, Any]:
    """releases.yaml: what changes between NGC releases. Raises Wrong for what is no YAML mapping."""
    file = catalog.folder / "releases.yaml"
    data = yamlfile.load_file(file) if file.exists() else {}
    if not isinstance(data, dict):
        raise Wrong(f"{file}:1: it holds no mapping; write one, with releases, moves and what else it is to say")
    return data


def read_broken(catalog: Catalog) -> dict[str, str]:
    """Known-broken tags (`name:tag`) and why."""
    broken: dict[str, str] = read_releases(catalog).get("broken", {})
    return broken
