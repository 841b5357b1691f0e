"""Running the contract tests against built images, by pytest in this very environment."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from ngc import bases, engine, planning
from ngc.catalog import ROOT, Catalog
from ngc.errors import Failed, Wrong

SUBJECTS_VARIABLE = "NGC_TEST_IMAGES"
BASE_NAME_LABEL = "org.opencontainers.image.base.name"


@dataclass(frozen=True)
class Subject:
    """An image under test. `entry` is the key in `bases:` of what it is held to, None: only to its own config."""

    framework: str
    target: str
    image: str
    base: str | None
    entry: str | None


def run(subjects: Sequence[Subject], extra: Sequence[str]) -> int:
    """Hold the subjects to their contract. Returns pytest's exit code."""
    import sh

    environment = {**os.environ, SUBJECTS_VARIABLE: json.dumps([asdict(subject) for subject in subjects])}
    pytest = sh.Command(sys.executable).bake("-m", "pytest", str(ROOT / "tests" / "images"), *extra)
    done = pytest(
        _env=environment, _out=sys.stdout, _err=sys.stderr, _ok_code=list(range(6)), _return_cmd=True, _cwd=str(ROOT)
    )
    return int(done.exit_code)


def built(
    catalog: Catalog, frameworks: Sequence[str], targets: Sequence[str], base: str | None, tag: str | None = None
) -> list[Subject]:
    """The selected images as subjects, all of which must be there. Raises Failed for those that are not."""
    selected = catalog.select(frameworks, targets)
    chosen = bases.choose(catalog, [image.framework for image in selected], base, tag)
    images, _ = planning.possible(selected, chosen, explicitly=bool(targets))
    names = {image.key: planning.name(image, chosen[image.framework]) for image in images}
    here = engine.images(engine.any_client(), names.values())
    missing = [name for name in names.values() if name not in here]
    if missing:
        what = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not built"
        raise Failed(f"{what}, and test never builds; run `invoke build` with the same options first")
    return [
        Subject(image.framework, image.target, names[image.key], on.reference, on.entry.key if on.entry else None)
        for image in images
        if (on := chosen[image.framework])
    ]


def given(
    catalog: Catalog, frameworks: Sequence[str], targets: Sequence[str], base: str | None, image: str
) -> list[Subject]:
    """One image of any name as subject. Raises Wrong if it is not clear what it is to be held to."""
    if len(frameworks) != 1 or len(targets) > 1:
        raise Wrong("--image is one image; say what it is held to by one --framework, and one --target if not runtime")
    framework = catalog.framework(frameworks[0])
    target = catalog.select(frameworks, targets or ["runtime"])[0].target
    client = engine.any_client()
    found = engine.images(client, [image]).get(image)
    if found is None:
        raise Failed(f"{image} is not here; run `{client.name} pull {image}` first")
    base = base or found.labels.get(BASE_NAME_LABEL)
    says = {image, base, found.labels.get(bases.STANDS_FOR_LABEL)}
    entry = next((known.key for known in framework.bases if str(known.reference) in says), None)
    return [Subject(framework.name, target, image, base, entry)]
