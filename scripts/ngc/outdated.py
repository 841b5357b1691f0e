"""Whether NGC has newer bases than the Dockerfiles name, how far this repository was checked with them, and what to type."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ngc import output, reference, releases, tags
from ngc.catalog import Base, Catalog, Framework
from ngc.reference import Reference
from ngc.releases import Releases, Tag
from ngc.tags import Answer

NOT = "not at all"


def look(catalog: Catalog, frameworks: Sequence[str], mirror: str | None) -> list[dict[str, Any]]:
    """A row per framework as plain data, in the order of the table. Raises Wrong and Failed.

    `newest` is the newest tag of general availability, `checked` the newest that this repository was checked with;
    `broken` are known-broken tags that the registry has, with the reason.
    """
    known = releases.read(catalog)
    chosen = [catalog.framework(name) for name in dict.fromkeys(frameworks)] or list(catalog.frameworks)
    with ThreadPoolExecutor(len(chosen)) as pool:
        return list(pool.map(lambda framework: _row(known, framework, mirror), chosen))


def general(known: Releases, image: Reference, names: Sequence[str]) -> list[Tag]:
    """The tags of general availability that are not known to be broken, oldest first."""
    found = [tag for tag in map(known.tag, names) if tag and tag.general]
    good = [tag for tag in found if known.why_broken(_at(image, tag.name)) is None]
    return sorted(good, key=lambda tag: tag.version)


def _at(image: Reference, tag: str) -> Reference:
    return Reference(image.registry, image.repository, tag, None)


def _row(known: Releases, framework: Framework, mirror: str | None) -> dict[str, Any]:
    stands = framework.default_base
    image = known.successor(stands)
    asked = image.at(reference.registry_prefix(mirror, "--mirror")) if mirror else image

    def newest_of(names: Sequence[str]) -> str | None:
        return next((tag.name for tag in reversed(general(known, image, names))), None)

    answer = tags.ask(asked, newest_of)
    good = general(known, image, answer.tags)
    now = releases.current(known, framework)
    moved = image.repository != stands.repository
    newer = [tag.name for tag in good if now is None or tag.version > now.version]
    entry = framework.known(stands)
    frozen = known.frozen.get(stands.repository)
    return {
        "framework": framework.name,
        "current": {
            "reference": str(stands),
            "version": now.name if now else None,
            "checked": entry.checked if entry else NOT,
            "broken": known.why_broken(stands),
        },
        "frozen": {"why": frozen["why"], "successor": str(image)} if frozen else None,
        "asked": str(asked),
        "age": round(answer.age) if answer.old else 0,
        "newer": newer,
        "newest": _about(known, image, good[-1], answer) if good else None,
        "checked": _checked(framework, image, good),
        "broken": {n: why for n in answer.tags if (why := known.why_broken(_at(image, n)))},
        "others": dict(Counter(tag.kind for tag in map(known.tag, answer.tags) if tag and not tag.general)),
        "outdated": bool(newer) or moved,
    }


def _about(known: Releases, image: Reference, tag: Tag, answer: Answer) -> dict[str, Any]:
    name = releases.title(image)
    cuda = known.of_image(tag.release, name, "cuda") if tag.release in known.known else None
    about = known.known.get(tag.release, {})
    return {
        "tag": tag.name,
        "known": tag.release in known.known,
        "date": str(about["date"]) if "date" in about else None,
        "platforms": list(answer.platforms.get(tag.name, ())),
        "engine": known.of_image(tag.release, name, "engine") if tag.release in known.known else None,
        "cuda": cuda,
        "driver": known.driver(cuda) if cuda else None,
    }


def _checked(framework: Framework, image: Reference, good: Sequence[Tag]) -> dict[str, str] | None:
    """The newest tag of the image that the registry has and an entry of image.yaml was checked with."""
    entries: Mapping[str, Base] = {
        base.reference.tag: base
        for base in framework.bases
        if base.reference.repository == image.repository and base.reference.tag and base.checked != NOT
    }
    found = next((tag.name for tag in reversed(good) if tag.name in entries), None)
    return {"tag": found, "how": entries[found].checked} if found else None


def text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows for people."""
    return "\n\n".join(output.lines(_lines(row)) for row in rows)


def _lines(row: Mapping[str, Any]) -> list[str]:
    now, newest, checked = row["current"], row["newest"], row["checked"]
    lines = [f"{row['framework']}", f"  stands on    {now['reference']} (checked: {now['checked']})"]
    if now["broken"]:
        lines.append(f"               it is known to be broken: {now['broken']}")
    if row["frozen"]:
        lines.append(f"  frozen       {row['frozen']['why']}; newer ones are in {row['frozen']['successor']}")
    lines.append(f"  checked up to {checked['tag']} ({checked['how']})" if checked else "  checked up to none")
    if newest is None:
        return [*lines, f"  newest       none: {row['asked']} has no tag of general availability"]
    parts = [newest["date"], ", ".join(newest["platforms"]), newest["cuda"] and f"CUDA {newest['cuda']}"]
    parts.append(newest["driver"] and f"driver {newest['driver']} or newer")
    lines.append(f"  newest       {newest['tag']} ({'; '.join(filter(None, parts)) or 'nothing known of it'})")
    if not newest["known"]:
        lines.append("               releases.yaml does not know this release: add it there with what changed")
    lines += [f"  broken       {name}: {why}" for name, why in row["broken"].items()]
    if row["others"]:
        lines.append("  also there   " + ", ".join(f"{count} {kind}" for kind, count in row["others"].items()))
    if row["newer"]:
        lines.append(f"  newer        {' '.join(row['newer'])}")
        lines.append(f"  move         invoke bump --framework={row['framework']} --to={newest['tag']}")
    elif row["outdated"]:
        lines.append(f"  move         invoke bump --framework={row['framework']} --to={newest['tag']}")
    else:
        lines.append("  newer        nothing: it is the newest")
    return lines
