"""A config moved to another release: its images, and what releases.yaml says that changed on the way, in that order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ngc import reference
from ngc.errors import Wrong
from ngc.moving import words
from ngc.moving.source import Text, get, items, pairs, text_of
from ngc.moving.words import Line
from ngc.reference import Reference
from ngc.releases import Releases, Tag, title

if TYPE_CHECKING:
    from packaging.version import Version

KIND = "DynamoGraphDeployment"


@dataclass(frozen=True)
class Moved:
    """A file's new text, what was done to it, what a person must do, and the oldest release that it was at."""

    text: str
    done: tuple[str, ...]
    look: tuple[str, ...]
    oldest: Version | None


@dataclass
class _Part:
    """A service or component of the graph. `lines` are its command and arguments; `variables` the lists it takes variables from."""

    name: str
    role: str | None
    container: Any
    lines: tuple[Line, ...]
    variables: tuple[Any, ...]


@dataclass
class _Work:
    """A file while it is moved."""

    source: Text
    known: Releases
    done: dict[tuple[int, str], list[str]] = field(
        default_factory=dict
    )  # (order, what was done): the parts it was done to
    look: list[str] = field(default_factory=list)
    dropped: set[int] = field(default_factory=set)

    def did(self, order: int, what: str, part: _Part) -> None:
        self.done.setdefault((order, what), []).append(part.name)


def move(path: Path, text: str, known: Releases, old: Sequence[str], new: Reference, to: Tag) -> Moved:
    """Move every service whose image is of one of the `old` repositories. Raises Wrong for an image that is newer than that."""
    work = _Work(Text(path, text), known)
    at: list[Version] = []
    for document in work.source.documents():
        if text_of(get(document, "kind")) != KIND:
            continue
        for part in _parts(get(document, "spec")):
            if (image := _of(part, old)) is None:
                continue
            now = known.tag(image.tag)
            if now is None:
                work.look.append(
                    f"{part.name}: its image {image} has no version in its tag, so nothing of it was moved"
                )
                continue
            if now.version > to.version:
                raise Wrong(
                    f"{path}: {part.name} is at {image.tag}, newer than {to.name}; bump does not go back, git does"
                )
            at.append(now.version)
            _move_part(work, part, title(new), now.version, to.version)
            _move_image(work, part, image, old, new, to)
    done = tuple(f"{what} ({', '.join(dict.fromkeys(parts))})" for (_, what), parts in sorted(work.done.items()))
    return Moved(work.source.result(), done, tuple(work.look), min(at, default=None))


def _parts(spec: Any) -> Iterator[_Part]:
    """The parts of a graph in the form of v1alpha1 (a mapping of services) and v1beta1 (a list of components)."""
    common = get(spec, "envs")
    for key, service in pairs(get(spec, "services")):
        container = get(service, "extraPodSpec", "mainContainer")
        variables: tuple[Any, ...] = (common, get(service, "envs"), get(container, "env"))
        yield _part(str(key.value), text_of(get(service, "subComponentType")), container, variables)
    for component in items(get(spec, "components")):
        for container in items(get(component, "podTemplate", "spec", "containers")):
            if text_of(get(container, "name")) == "main":
                name = text_of(get(component, "name")) or "a component"
                variables = (get(spec, "env"), get(container, "env"))
                yield _part(name, text_of(get(component, "type")), container, variables)


def _part(name: str, role: str | None, container: Any, variables: Sequence[Any]) -> _Part:
    lines = tuple(words.of(get(container, key)) for key in ("command", "args"))
    return _Part(name, role, container, lines, tuple(node for node in variables if node is not None))


def _of(part: _Part, repositories: Sequence[str]) -> Reference | None:
    """The part's image, if it is of one of these repositories, in whatever registry and folder of one."""
    name = text_of(get(part.container, "image"))
    try:
        image = reference.parse(name) if name else None
    except Wrong:
        return None
    return image if image and any(f"/{image.repository}".endswith(f"/{known}") for known in repositories) else None


def _move_part(work: _Work, part: _Part, image: str, now: Version, to: Version) -> None:
    from packaging.version import Version

    for number, entry in enumerate(work.known.moves):
        if not now < Version(entry["at"]) <= to or image not in entry.get("of", (image,)):
            continue
        done = _apply(work, part, entry)
        if done:
            work.did(number, f"{entry['at']}: {done}: {entry['why']}", part)
    for line in part.lines:
        line.write(work.source)


def _apply(work: _Work, part: _Part, entry: Mapping[str, Any]) -> str | None:
    """Do one move; what was done, None where there was nothing to do."""
    if "field" in entry:
        return _field(work, part, entry)
    if "variable" in entry:
        return _variable(work, part, entry["variable"])
    if "flag" in entry:
        return _flag(work, part, entry)
    return _role(work, part, entry)


def _field(work: _Work, part: _Part, entry: Mapping[str, Any]) -> str | None:
    node = get(part.container, entry["field"])
    value = text_of(node)
    changed = re.sub(entry["pattern"], entry["with"], value) if value is not None else None
    if changed == value or changed is None:
        return None
    work.source.replace(node, changed)
    return f"{entry['field']} {value} -> {changed}"


def _variable(work: _Work, part: _Part, name: str) -> str | None:
    found = None
    for node in part.variables:
        entries = items(node)
        for number, item in enumerate(entries):
            if text_of(get(item, "name")) == name and item.start_mark.index not in work.dropped:
                if len(entries) == 1:
                    work.look.append(f"{part.name}: drop the variable {name}, the only one of its list")
                    continue
                work.dropped.add(item.start_mark.index)  # a list that several parts share is changed once
                work.source.remove_items(node, {number})
                found = f"without the variable {name}"
    return found


def _flag(work: _Work, part: _Part, entry: Mapping[str, Any]) -> str | None:
    flag, found = entry["flag"], None
    for line in part.lines:
        if words.mentions(line, flag):
            work.look.append(
                f"{part.name}: {flag} stands in a command line for a shell; change it there: {_instead(entry)}"
            )
        elif "with" in entry and words.replace_flag(line, flag, entry["with"]):
            found = f"{flag} -> {' '.join(entry['with'])}"
        elif "values" in entry:
            done = words.replace_values(line, flag, entry["values"])
            if done is None:
                work.look.append(
                    f"{part.name}: {flag} has a value that nothing is known to stand for now: {entry['why']}"
                )
            found = f"{flag} -> its new form" if done else found
    return found


def _instead(entry: Mapping[str, Any]) -> str:
    if "with" in entry:
        return " ".join(entry["with"])
    return "; ".join(f"{value} -> {' '.join(new) or 'nothing'}" for value, new in entry["values"].items())


def _role(work: _Work, part: _Part, entry: Mapping[str, Any]) -> str | None:
    if part.role not in entry["role"] or not any(line.words for line in part.lines):
        return None
    new = [str(word) for word in entry["words"]]
    if any(words.has(line, new[0]) or words.mentions(line, new[0]) for line in part.lines):
        return None
    if any(words.shell(line) for line in part.lines):
        work.look.append(f"{part.name}: add {' '.join(new)} to its command line for a shell: {entry['why']}")
        return None
    line = next(line for line in reversed(part.lines) if line.words)
    line.put(len(line.words), 0, new)
    return f"with {' '.join(new)}"


def _move_image(work: _Work, part: _Part, image: Reference, old: Sequence[str], new: Reference, to: Tag) -> None:
    """Write the new tag; a folder before the repository's name (a mirror's) is kept."""
    name = next(known for known in old if f"/{image.repository}".endswith(f"/{known}"))
    repository = image.repository.removesuffix(name) + new.repository
    changed = str(Reference(image.registry, repository, to.name, None))
    if changed != str(image) and not (image.tag == to.name and image.repository == repository):
        work.source.replace(get(part.container, "image"), changed)
        work.did(len(work.known.moves), f"image {changed}", part)
