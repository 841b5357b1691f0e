"""Moving a framework to another release of its base: Dockerfile, image.yaml and configs, and a list for people."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ngc import bases, files, outdated, output, reference, registry, releases, tags
from ngc.asked.images import Bump
from ngc.catalog import Catalog, Framework
from ngc.errors import Failed, Wrong
from ngc.moving import configs, table
from ngc.reference import Reference
from ngc.registry import Remote
from ngc.releases import Releases, Tag

if TYPE_CHECKING:
    from packaging.version import Version


@dataclass(frozen=True)
class Change:
    """A file to be changed; `said` is what changes, a line each."""

    path: Path
    old: str
    new: str
    said: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """A move. `look` is what a person must look at."""

    root: Path
    image: Reference
    changes: tuple[Change, ...]
    look: tuple[str, ...]

    @property
    def diff(self) -> str:
        """The changes as a unified diff that `git apply` and `patch -p1` take."""
        return "".join(line for change in self.changes for line in _diff(change, self.root))


def make(catalog: Catalog, asked: Bump) -> Plan:
    """What moving a framework to another release changes. Asks the registry, changes nothing. Raises Wrong and Failed."""
    if asked.framework is None or asked.to is None:
        raise Wrong(
            "bump needs to know what and where to; add --framework=NAME and --to=RELEASE, as `invoke outdated` says"
        )
    known, chosen = releases.read(catalog), catalog.framework(asked.framework)
    tag, image = _target(known, chosen, asked.to)
    remote, digest = _answer(known, chosen, image, tag, asked)
    image = replace(image, tag=tag.name, digest=digest)
    if not asked.pin and chosen.default_base.tag == image.tag and chosen.default_base.repository == image.repository:
        image = replace(image, digest=chosen.default_base.digest)  # a pin of the same tag stays
    root = catalog.folder.parent
    changes, look, oldest = _changes(root, chosen, known, image, tag, remote)
    if not changes:
        return Plan(root, image, (), ())
    entry = chosen.known(image)
    if entry is None or entry.checked == outdated.NOT:
        look += [
            f"this repository was not checked with {releases.title(image)}:{tag.name}: build it and hold it to its contract"
        ]
    start = min((version for version in (oldest, _version(known, chosen)) if version), default=tag.version)
    return Plan(root, image, tuple(changes), (*_notes(known, chosen, image, start, tag), *look))


def _version(known: Releases, framework: Framework) -> Version | None:
    now = releases.current(known, framework)
    return now.version if now else None


def _target(known: Releases, framework: Framework, to: str) -> tuple[Tag, Reference]:
    """The tag asked for and the repository that has it. Raises Wrong for what is no release, broken, or older."""
    tag, stands = known.tag(to), framework.default_base
    if tag is None:
        raise Wrong(
            f"--to is '{to}'; write a release such as {list(known.known)[-1]}, one of those that `invoke outdated` lists"
        )
    known.check_known(tag)
    image = known.successor(stands)
    if why := known.why_broken(replace(image, tag=tag.name)):
        raise Wrong(f"{releases.title(image)}:{tag.name} is known to be broken: {why}")
    now = releases.current(known, framework)
    if now and tag.version < now.version:
        raise Wrong(
            f"{framework.name} stands on {now.name}, and {to} is older; bump does not go back: `git revert` does"
        )
    return tag, image


def _answer(
    known: Releases, framework: Framework, image: Reference, tag: Tag, asked: Bump
) -> tuple[Remote | None, str | None]:
    """(what the registry says of the image, its digest if it is to be pinned). Raises Wrong for a tag that does not exist."""
    there = image.at(reference.registry_prefix(asked.mirror, "--mirror")) if asked.mirror else image
    answer = tags.ask(there, lambda _: None)
    if tag.name not in answer.tags:
        now = _version(known, framework)
        offered = [t.name for t in outdated.general(known, image, answer.tags) if now is None or t.version > now]
        raise Wrong(f"{there} has no tag {tag.name}; newer than what is here it has {', '.join(offered) or 'nothing'}")
    if answer.old and asked.pin:
        raise Failed(f"{answer.old.partition(';')[0]}, and --pin needs its digest; try again later")
    if answer.old:
        return None, None
    access = registry.Access(replace(there, tag=tag.name), "or name a copy with --mirror=HOST")
    digest, manifest = access.manifest(tag.name)
    here = bases.host_platform()
    platforms = manifest.named or (here,)
    remote = registry.look_up(access.reference, here if here in platforms else platforms[0])
    return remote, digest if asked.pin else None


def _changes(
    root: Path, framework: Framework, known: Releases, image: Reference, tag: Tag, remote: Remote | None
) -> tuple[list[Change], list[str], Version | None]:  # fmt: skip
    """(files to change, what to look at in them, the oldest release that a config was at)."""
    found: list[tuple[Path, str, Any]] = []
    for base in framework.images:
        if base.parent is None:
            text = base.dockerfile.read_text()
            found.append((base.dockerfile, text, table.dockerfile(text, image)))
    path = framework.folder / "image.yaml"
    text = path.read_text()
    found.append((path, text, table.image_yaml(path, text, framework, known, image, tag, remote)))
    old = dict.fromkeys([framework.default_base.repository, image.repository])
    old |= dict.fromkeys(name for name, about in known.frozen.items() if about["successor"] == image.repository)
    at: list[Version] = []
    for path in sorted((root / "configs").glob("*.yaml")):
        text = path.read_text()
        moved = configs.move(path, text, known, list(old), image, tag)
        found.append((path, text, moved))
        at += [moved.oldest] if moved.oldest else []
    changes = [Change(path, text, made.text, made.done) for path, text, made in found if made.text != text]
    look = [f"{path.relative_to(root)}: {line}" for path, _, made in found for line in made.look]
    if changes:  # the tables come from image.yaml, the golden files from configs and the base that the Dockerfile names
        look.append("README.md, docs/ and tests/golden: `nox -s tables golden` writes anew what comes from these files")
    return changes, look, min(at, default=None)


def _notes(known: Releases, framework: Framework, image: Reference, start: Version, tag: Tag) -> Iterator[str]:
    """What releases.yaml says of the releases on the way, and what CUDA and driver they need."""
    name = releases.title(image)
    before = known.of_image(start.base_version, releases.title(framework.default_base), "cuda")
    cuda = known.of_image(tag.release, name, "cuda")
    if cuda and cuda != before:
        after = f" after {before}" if before else ""
        yield f"{tag.release}: CUDA {cuda}{after}; it needs driver {known.driver(cuda)} or newer"
    for release in known.between(start, tag.version):
        for entry in known.known[release].get("look", ()):
            if isinstance(entry, str):
                yield f"{release}: {entry}"
            elif name in entry["of"]:
                yield f"{release}: {entry['say']}"


def check_unedited(plan: Plan) -> None:
    """Raises Wrong if a file that would be changed has changes that git does not have yet."""
    import sh

    paths = [str(change.path) for change in plan.changes]
    try:
        said = str(sh.Command("git")("-C", str(plan.root), "status", "--porcelain", "--", *paths, _tty_out=False))
    except (sh.CommandNotFound, sh.ErrorReturnCode):
        print(f"{plan.root} is in no git repository: what was edited by hand cannot be told", file=sys.stderr)
        return
    edited = [line[3:] for line in said.splitlines()]
    if edited:
        raise Wrong(
            f"{', '.join(edited)} {'has' if len(edited) == 1 else 'have'} changes that are not committed; commit them, or add --force to change "
            f"{'it' if len(edited) == 1 else 'them'} all the same"
        )


def apply(plan: Plan) -> None:
    """Change the files: all are written beside their places first, then renamed."""
    files.write_all({change.path: change.new for change in plan.changes})


def text(plan: Plan) -> str:
    """What changes, file by file, and what a person must look at."""
    lines: list[str] = []
    for change in plan.changes:
        lines += [str(change.path.relative_to(plan.root)), *(f"  {line}" for line in change.said)]
    if plan.look:
        lines += ["", "Look at:", *(f"- {line}" for line in plan.look)]
    return output.lines(lines)


def _diff(change: Change, root: Path) -> Sequence[str]:
    name = change.path.relative_to(root)
    old, new = change.old.splitlines(keepends=True), change.new.splitlines(keepends=True)
    return list(difflib.unified_diff(old, new, f"a/{name}", f"b/{name}"))
