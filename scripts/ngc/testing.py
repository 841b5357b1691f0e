"""Running the contract tests against built images, by pytest in this very environment."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ngc import bases, engine, hosts, planning
from ngc.asked.images import Contract, Images
from ngc.catalog import ROOT, Base, Catalog, Framework
from ngc.engine import Found
from ngc.errors import Failed, Wrong
from ngc.plan import BASE_NAME_LABEL, TARGET_LABEL

SUBJECTS_VARIABLE = "NGC_TEST_IMAGES"
BASE_ITSELF = "base"  # the target of an untouched base: held to what a base must hold, and no more
MODEL_FOLDER = "/mnt"  # where the folder of --model is in the container
# pytest's exit codes (docs.pytest.org, reference/exit-codes) as ours.
_CODES = {0: 0, 1: 1, 2: 130, 3: 1, 4: 2, 5: 1}


@dataclass(frozen=True)
class Subject:
    """An image under test. `entry` is the key in `bases:` of what it is held to, None: only to its own config."""

    framework: str
    target: str
    image: str
    base: str | None
    entry: str | None
    host: str = hosts.CONTAINER
    stand_in: bool = False


def test(catalog: Catalog, asked: Contract, words: Sequence[str] = ()) -> int:
    """Do what is asked; `words` go to pytest. Returns an exit code. Raises Wrong and Failed."""
    options = report_options(asked.report)
    host = hosts.parse(asked.host)
    if not host.is_container:
        if asked.image:
            raise Wrong(f"--image and --host={host} exclude each other: what runs there is tested; leave one out")
        subjects = [elsewhere(catalog, asked, host)]
    elif asked.image:
        subjects = given(catalog, asked, asked.image)
    else:
        subjects = built(catalog, asked)
    binds = {}
    if asked.gpu:
        options.append("--gpu")
    if asked.model:
        folder = Path(asked.model)
        if folder.is_dir() and host.kind in (hosts.CONTAINER, "chroot"):
            binds[str(folder.resolve())] = MODEL_FOLDER
        options.append(f"--model={folder.resolve() if binds else asked.model}")
    return run(subjects, [*options, *words], binds)


def report_options(files: Sequence[str]) -> list[str]:
    """pytest's options for the reports: JUnit for .xml, our own for .json. Raises Wrong."""
    kinds = {".xml": "--junitxml", ".json": "--report-json"}
    for file in files:
        if Path(file).suffix not in kinds:
            raise Wrong(f"--report is '{file}'; name a file that ends in .xml (JUnit) or .json")
    return [f"{kinds[Path(file).suffix]}={Path(file).resolve()}" for file in files]


def run(subjects: Sequence[Subject], extra: Sequence[str], binds: dict[str, str] | None = None) -> int:
    """Hold the subjects to their contract, containers side by side on all cores. Returns our exit code.

    `binds` are folders of this machine for a host that is a root file system.
    """
    import sh

    host = hosts.parse(subjects[0].host)
    environment = {**os.environ, SUBJECTS_VARIABLE: json.dumps([asdict(subject) for subject in subjects])}
    alone = any(word.startswith(("-n", "--numprocesses", "--pdb", "--trace")) or word == "-s" for word in extra)
    parallel = [] if alone or not host.is_container else ["-n", str(os.cpu_count() or 1), "--dist", "loadgroup"]
    named = any(not word.startswith("-") and (ROOT / word.partition("::")[0]).exists() for word in extra)
    everything = [] if named else [str(ROOT / "tests" / "images")]
    # -rfE: the table at the end says what was skipped and why, once.
    words = [sys.executable, "-m", "pytest", *everything, "-rfE", *parallel, *extra]
    program, *rest = hosts.around(host, words, binds or {})
    done = sh.Command(program)(
        *rest, _env=environment, _out=sys.stdout, _err=sys.stderr, _ok_code=list(range(256)), _return_cmd=True, _cwd=str(ROOT)
    )  # fmt: skip
    return _CODES.get(int(done.exit_code), 1)


def built(catalog: Catalog, asked: Images, tag: str | None = None) -> list[Subject]:
    """The selected images as subjects, all of which must be there. Raises Failed for those that are not."""
    selected = catalog.select(asked.framework, asked.target)
    chosen = bases.choose(catalog, [image.framework for image in selected], asked.base, tag)
    images, _ = planning.possible(selected, chosen, explicitly=bool(asked.target))
    names = {image.key: planning.name(image, chosen[image.framework]) for image in images}
    here = engine.images(engine.any_client(), names.values())
    missing = [name for name in names.values() if name not in here]
    if missing:
        what = f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not built"
        raise Failed(f"{what}, and test never builds; run `invoke build` with the same options first")
    return [
        Subject(
            image.framework,
            image.target,
            names[image.key],
            on.reference,
            on.entry.key if on.entry else None,
            stand_in=bases.is_stand_in(here[names[image.key]].labels),
        )
        for image in images
        if (on := chosen[image.framework])
    ]


def given(catalog: Catalog, asked: Images, image: str) -> list[Subject]:
    """One image of any name as subject. Raises Wrong if it is not clear what it is to be held to."""
    if len(asked.framework) != 1 or len(asked.target) > 1:
        raise Wrong("--image is one image; say what it is held to by one --framework, and one --target if not runtime")
    framework = _framework(catalog, asked)
    client = engine.any_client()
    found = engine.images(client, [image]).get(image)
    if found is None:
        raise Failed(f"{image} is not here; run `{client.name} pull {image}` first")
    entry = _entry(framework, found, image, asked.base)
    target = asked.target[0] if asked.target else _target(framework, found, image)
    return [
        Subject(
            framework.name,
            target,
            image,
            asked.base or found.labels.get(BASE_NAME_LABEL) or (image if target == BASE_ITSELF else None),
            entry.key if entry else None,
            stand_in=bases.is_stand_in(found.labels),
        )
    ]


def elsewhere(catalog: Catalog, asked: Images, host: hosts.Host) -> Subject:
    """What runs on a host as subject. A root file system says what it is; a pod and this machine are told by --base."""
    if len(asked.framework) != 1 or len(asked.target) > 1:
        raise Wrong(f"--host={host} runs one image; say which by one --framework, and one --target if not runtime")
    framework = _framework(catalog, asked)
    if host.kind == "chroot":
        found = hosts.image_of(Path(host.name))
        image = found.tags[0] if found.tags else host.name
        entry = _entry(framework, found, image, asked.base)
        target = asked.target[0] if asked.target else _target(framework, found, image)
        under = asked.base or found.labels.get(BASE_NAME_LABEL)
        key = entry.key if entry else None
        return Subject(framework.name, target, image, under, key, str(host), bases.is_stand_in(found.labels))
    hosts.check(host)
    on = bases.choose(catalog, [framework.name], asked.base)[framework.name]
    target = asked.target[0] if asked.target else "runtime"
    key = on.entry.key if on.entry else None
    return Subject(framework.name, target, str(host), on.reference, key, str(host), on.stand_in)


def _framework(catalog: Catalog, asked: Images) -> Framework:
    """The one framework that is named. Raises Wrong if it, or the target, is unknown."""
    framework = catalog.framework(asked.framework[0])
    if asked.target and asked.target[0] != BASE_ITSELF:
        catalog.select(asked.framework, asked.target)
    return framework


def _entry(framework: Framework, found: Found, image: str, base: str | None) -> Base | None:
    if base in (bases.NGC, bases.STAND_IN):
        return framework.stand_in if base == bases.STAND_IN else framework.known(framework.default_base)
    says = {image, base or found.labels.get(BASE_NAME_LABEL), found.labels.get(bases.STANDS_FOR_LABEL)}
    return next((known for known in framework.bases if str(known.reference) in says), None)


def _target(framework: Framework, found: Found, image: str) -> str:
    """What an image is held to when nobody says: its label's target, what a base must hold, else what runtime must."""
    if found.labels.get(TARGET_LABEL) in {known.target for known in framework.images}:
        return found.labels[TARGET_LABEL]
    a_base = bases.is_stand_in(found.labels) and TARGET_LABEL not in found.labels
    if a_base or any(str(known.reference) == image for known in framework.bases):
        return BASE_ITSELF
    return "runtime"
