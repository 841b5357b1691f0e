"""Making a plan: which images, on which bases, and which of them must be built."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from ngc import bases, inputs
from ngc.asked.images import Build as Asked
from ngc.bases import Chosen
from ngc.catalog import Catalog, Image
from ngc.engine import Engine, Found
from ngc.errors import Wrong
from ngc.plan import BASE_NAME_LABEL, MADE_ANEW, NAME_LABEL, TARGET_LABEL, Build, Plan, Step

ROOT_IMAGE = "dynamo-stand-in-root:local"
MISSING = "not here yet"
NEWEST = "--pull asks for its newest"

# Says which of the named images the engine has.
Ask = Callable[[Sequence[str]], Mapping[str, Found]]


@dataclass(frozen=True)
class _Known:
    """What planning knows: where things are, what was asked, and what the engine has."""

    context: Path
    engine: Engine
    asked: Asked
    found: Mapping[str, Found]
    memo: inputs.Memo


def make(catalog: Catalog, asked: Asked, engine: Engine, ask: Ask) -> Plan:
    """Plan a build: the selected images, their parents, and the bases that are missing. One question to the engine.

    Raises Wrong and Failed as its parts do.
    """
    selected = catalog.select(asked.framework, asked.target)
    if asked.platform is not None and asked.platform not in bases.PLATFORMS:
        raise Wrong(f"unknown platform '{asked.platform}'; choose from: {', '.join(bases.PLATFORMS)}")
    chosen = bases.choose(catalog, [i.framework for i in selected], asked.base, asked.tag, asked.mirror)
    images = with_parents(catalog, selected)
    names = [name(image, chosen[image.framework]) for image in images]
    found, memo = _asked_and_hashed(
        catalog, images, chosen, lambda: ask([*names, *(c.reference for c in chosen.values()), ROOT_IMAGE])
    )
    chosen = _checked(catalog, chosen, asked, engine, found)
    renamed = [name(image, chosen[image.framework]) for image in images]
    if renamed != names:
        found.update(ask(renamed))
    images, refused = possible(images, chosen, explicitly=bool(asked.target))
    known = _Known(catalog.folder, engine, asked, found, memo)
    steps: list[Step] = []
    for base in chosen.values():
        steps += _stand_in_steps(known, base, steps) if base.made_here else [_base_step(known, base)]
    for image in images:
        steps.append(_image_step(known, image, chosen[image.framework], steps))
    options = ["--platform", asked.platform] if asked.platform else []
    options += ["--no-cache"] if asked.no_cache else []
    return Plan(catalog.folder, engine, tuple(steps), tuple(options), refused)


def _asked_and_hashed(
    catalog: Catalog, images: Sequence[Image], chosen: Mapping[str, Chosen], ask: Callable[[], Mapping[str, Found]]
) -> tuple[dict[str, Found], inputs.Memo]:
    """What the engine has, and the hashes of the build context: made while the engine is waited for."""
    dockerfiles = [image.dockerfile for image in images]
    if any(base.made_here for base in chosen.values()):
        dockerfiles.append(catalog.folder / "stand-in" / "Dockerfile")
    memo: inputs.Memo = {}
    with ThreadPoolExecutor(max_workers=1) as pool:
        answer = pool.submit(ask)
        for file in dockerfiles:
            inputs.context_hash(file, catalog.folder, {}, memo)
        return dict(answer.result()), memo


def name(image: Image, base: Chosen) -> str:
    """The name of the image that is built of a target on a base."""
    return f"{image.repository}:{base.tag}"


def with_parents(catalog: Catalog, selected: Sequence[Image]) -> list[Image]:
    """The selected images and the parents they need, parents first."""
    wanted = {image.key for image in selected}
    by_key = {image.key: image for image in catalog.images}
    for image in selected:
        while image.parent is not None:
            image = by_key[f"{image.framework}-{image.parent}"]
            wanted.add(image.key)
    return [image for image in catalog.images if image.key in wanted]


def possible(
    images: Sequence[Image], chosen: Mapping[str, Chosen], explicitly: bool
) -> tuple[list[Image], dict[str, str]]:
    """The images that their base can have, and for each other image why not. Raises Wrong for these if asked for by name."""
    kept, refused = [], {}
    for image in images:
        base = chosen[image.framework]
        missing = [part for part in image.needs if base.entry is not None and base.entry.lacks(part)]
        if not missing:
            kept.append(image)
            continue
        able = [b for b in base.framework.bases if not any(b.lacks(part) for part in image.needs)]
        # Of the release that this tree is made for, which its stand-in stands for too; else the newest.
        same = [b for b in able if base.framework.stand_in and b.layout == base.framework.stand_in.layout]
        text = f"{name(image, base)} needs {' and '.join(missing)}, which {base.reference} does not have"
        text += f"; build it with --base={(same or able)[-1].reference}" if able else "; build it on another --base"
        if explicitly:
            raise Wrong(text)
        refused[name(image, base)] = text
    return kept, refused


def _checked(
    catalog: Catalog, chosen: Mapping[str, Chosen], asked: Asked, engine: Engine, found: Mapping[str, Found]
) -> dict[str, Chosen]:
    """The bases with what they say of themselves, each checked, but for those that the plan itself makes."""
    broken = {} if all(base.made_here for base in chosen.values()) else bases.read_broken(catalog)
    asker = None if asked.plan else engine
    return {
        framework: base
        if base.made_here
        else bases.check(
            base, None if asked.pull else found.get(base.reference), asked.platform, asked.tag, broken, asker
        )
        for framework, base in chosen.items()
    }


def _base_step(known: _Known, base: Chosen) -> Step:
    """The base by a pull, so that its id is known and later builds need no network."""
    here = known.found.get(base.reference)
    why = MISSING if here is None else NEWEST if known.asked.pull else None
    platform = ("--platform", known.asked.platform) if known.asked.platform else ()
    command = (known.engine.client, "pull", *platform, base.reference) if why else ()
    return Step(f"{base.framework.name} base", base.reference, why, command=command, found=here)


def _stand_in_steps(known: _Known, base: Chosen, before: Sequence[Step]) -> list[Step]:
    """The stand-in of a framework, and before it, once for all frameworks, the root file system that it starts from."""
    folder = known.context / "stand-in"
    steps = [] if any(step.image == ROOT_IMAGE for step in before) else [_root_step(known, folder / "make-root.sh")]
    assert base.entry is not None and base.entry.layout is not None  # the catalog has checked it
    labels = {
        NAME_LABEL: base.reference.partition(":")[0],
        bases.STAND_IN_LABEL: "true",
        bases.STANDS_FOR_LABEL: str(base.entry.reference),
    }
    arguments = {"BASE_IMAGE": ROOT_IMAGE, "LAYOUT": base.entry.layout}
    build = Build(folder / "Dockerfile", arguments, labels, ROOT_IMAGE)
    again = NEWEST if known.asked.pull else None
    return [*steps, _build_step(known, f"{base.framework.name} base", base.reference, build, again, [*before, *steps])]


def _root_step(known: _Known, script: Path) -> Step:
    record = inputs.script_line(script, os.environ.get("STAND_IN_ROOT", ""))
    here = known.found.get(ROOT_IMAGE)
    why = inputs.reason(record, here.labels.get(inputs.LABEL)) if here else MISSING
    labels = (f"{inputs.LABEL}={record}", f"{NAME_LABEL}={ROOT_IMAGE.partition(':')[0]}")
    command = (str(script), known.engine.local(ROOT_IMAGE), *labels)
    return Step(
        "stand-in root",
        ROOT_IMAGE,
        why or (NEWEST if known.asked.pull else None),
        command=command,
        found=here,
    )


def _image_step(known: _Known, image: Image, base: Chosen, before: Sequence[Step]) -> Step:
    if image.parent is None:
        parent, arguments = base.reference, {"BASE_IMAGE": base.reference}
    else:
        parent = name(next(i for i in base.framework.images if i.target == image.parent), base)
        arguments = {"PARENT_IMAGE": parent, "BASE_USER": base.user}
    build = Build(image.dockerfile, arguments, _labels(image, base), parent, image)
    again = "--no-cache" if known.asked.no_cache else "--force" if known.asked.force else None
    return _build_step(known, image.key, name(image, base), build, again and f"{again} asks for it", before)


def _labels(image: Image, base: Chosen) -> dict[str, str]:
    """OCI's labels and ours, as far as they do not depend on the moment of the build."""
    return {
        "org.opencontainers.image.title": image.repository,
        "org.opencontainers.image.description": image.purpose or f"{image.target} image of {image.framework}",
        "org.opencontainers.image.version": base.tag,
        BASE_NAME_LABEL: base.reference,
        "org.opencontainers.image.licenses": "Apache-2.0 AND LicenseRef-base-image",
        NAME_LABEL: image.repository,
        "ngc-dynamo.framework": image.framework,
        TARGET_LABEL: image.target,
        bases.STAND_IN_LABEL: str(base.stand_in).lower(),
    }


def _build_step(known: _Known, step: str, image: str, build: Build, again: str | None, before: Sequence[Step]) -> Step:
    """A build, with the reason why it is needed; `again` is the user's."""
    parent = next(other for other in before if other.image == build.parent)
    here = known.found.get(image)
    plan = Step(step, image, None, needs=(parent.name,), build=build, found=here)
    if here is None:
        return replace(plan, why=MISSING)
    if again:
        return replace(plan, why=again)
    if parent.why or parent.found is None:
        return replace(plan, why=f"{parent.name} {MADE_ANEW}")
    record = build.inputs(known.context, parent.found.id, known.memo)
    return replace(plan, why=inputs.reason(record, here.labels.get(inputs.LABEL)))
