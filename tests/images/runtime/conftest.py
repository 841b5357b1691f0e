"""An image beside what it was built on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ngc import catalog
from ngc import engine as engines
from ngc.engine import Engine, Found
from ngc.testing import Subject

from .. import snapshot
from ..snapshot import ENGINES_OWN, File, Snapshot

VERSION_LABEL = "org.opencontainers.image.version"


@dataclass(frozen=True)
class Allowed:
    """What an image may change against its parent: changes.yaml in the folder of its target.

    `files` are patterns as of fnmatch; `packages` are names, and what these depend on is allowed too.
    """

    environment: Mapping[str, str]
    files: tuple[str, ...]
    packages: tuple[str, ...]


@pytest.fixture(scope="module")
def parent(subject: Subject, client: Engine, image: Found) -> Found:
    """The image that the one under test was built on; skips where it is not on this machine."""
    targets = {known.target: known for known in catalog.read().framework(subject.framework).images}
    above = targets[subject.target].parent
    if above is None:
        names = [subject.base] if subject.base else []
    else:
        name = f"{targets[above].repository}:{image.labels.get(VERSION_LABEL, '')}"
        names = [f"{subject.image.rpartition('/')[0]}/{name}"] if "/" in subject.image else [name]
    found = next(iter(engines.images(client, names).values()), None)
    if found is None:
        pytest.skip(f"what this image was built on is not here: {' '.join(names) or 'nobody says what it is'}")
    assert image.layers[: len(found.layers)] == found.layers, (
        f"{subject.image} was not built on the {names[0]} that is here; build it again"
    )
    return found


@pytest.fixture(scope="module")
def base(subject: Subject, client: Engine) -> str:
    """The base's name; skips where the image is not on this machine."""
    if not subject.base or not engines.images(client, [subject.base]):
        pytest.skip(f"the base is not here: {subject.base or 'nobody says what it is'}")
    return subject.base


@pytest.fixture(scope="module")
def allowed(subject: Subject) -> Allowed:
    path = Path(__file__).parents[1] / subject.target / "changes.yaml"
    data: dict[str, Any] = (YAML(typ="safe").load(path) if path.exists() else None) or {}
    packages: list[str] = []
    if listed := data.get("packages"):
        lines = (catalog.read().folder / listed).read_text().splitlines()
        packages = [word for line in lines if (word := line.partition("#")[0].strip())]
    return Allowed(data.get("environment") or {}, tuple(data.get("files") or ()), tuple(packages))


@pytest.fixture(scope="module")
def before(client: Engine, parent: Found) -> Snapshot:
    return snapshot.take(client, parent.id)


@pytest.fixture(scope="module")
def after(client: Engine, image: Found) -> Snapshot:
    return snapshot.take(client, image.id)


@pytest.fixture(scope="module")
def changed(before: Snapshot, after: Snapshot) -> dict[str, File]:
    """Paths that are new or not as they were in the parent."""
    return {
        path: file
        for path, file in after.files.items()
        if path not in ENGINES_OWN and (path not in before.files or before.files[path].identity != file.identity)
    }
