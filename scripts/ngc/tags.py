"""The tags of a repository and the platforms of an image, asked of the registry; an older answer where it does not give one."""

from __future__ import annotations

import hashlib
import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from ngc import files, manifests, reference, registry
from ngc.errors import Failed
from ngc.reference import Reference

_NEXT = re.compile(r"<([^>]+)>\s*;[^,]*\brel=\"?next\"?")
_PAGE = 1000  # tags that are asked for at once; a registry may give fewer
_PAGES, _MOST = 100, 100_000  # more pages or tags than that and a registry leads in circles
_INSTEAD = "or name a copy of the registry with --mirror=HOST"


@dataclass(frozen=True)
class Answer:
    """What a registry said. `asked` is when (seconds since 1970); `old` says why an older answer stands in, None for a new one."""

    image: Reference  # without a tag
    tags: tuple[str, ...]
    asked: float
    platforms: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by tag, of those that were asked for
    old: str | None = None

    @property
    def age(self) -> float:
        """Seconds."""
        return max(0.0, time.time() - self.asked)


class _Page(Struct):
    """A page of tags."""

    tags: tuple[str, ...] | None = None


class _Kept(Struct, frozen=True):
    """An answer as it is kept between runs; fields as in `Answer`."""

    image: str
    asked: float
    tags: tuple[str, ...]
    platforms: dict[str, tuple[str, ...]]


def ask(image: Reference, want: Callable[[tuple[str, ...]], str | None]) -> Answer:
    """The tags of an image, and the platforms of the one among them that `want` names.

    Two requests where the tags fit on a page. A registry that does not answer, or not now (429), leaves its last answer,
    with a line on stderr that says so. Raises Failed where there is none, Wrong for a repository that does not exist.
    """
    access = registry.Access(image, _INSTEAD)
    try:
        tags = listed(access)
        chosen = want(tags)
        platforms = {chosen: _platforms(access, chosen)} if chosen else {}
    except Failed as error:
        return _older(image, str(error))
    answer = Answer(image, tags, time.time(), platforms)
    _keep(answer)
    return answer


def listed(access: registry.Access) -> tuple[str, ...]:
    """All tags, page by page (Link header); what is no tag is none. Raises as `Access.get`."""
    tags: dict[str, None] = {}
    query, asked = f"n={_PAGE}", set[str]()
    while query not in asked and len(asked) < _PAGES and len(tags) < _MOST:
        asked.add(query)
        answer = access.get(f"/tags/list?{query}", {})
        tags |= dict.fromkeys(filter(reference.TAG.fullmatch, access.read(answer, _Page, "list of tags").tags or ()))
        following = _NEXT.search(answer.headers.get("Link", ""))
        if not following:
            return tuple(tags)
        query = urlsplit(following[1]).query
    raise Failed(f"{access.reference.host} sends page after page of the tags of {access.reference}; try again later")


def _platforms(access: registry.Access, tag: str) -> tuple[str, ...]:
    _, manifest = access.manifest(tag)
    if manifest.manifests is not None:
        return manifest.named
    described, _ = manifests.parts(manifest, str(access.reference))
    return tuple(filter(None, (access.config(described.digest).platform,)))


def _file(image: Reference) -> Path | None:
    """Where an answer is kept, None where nothing is."""
    kept = files.cache("tags")
    return (
        kept / f"{hashlib.sha256(f'{image.host}/{image.repository}'.encode()).hexdigest()[:24]}.json" if kept else None
    )


def _keep(answer: Answer) -> None:
    path = _file(answer.image)
    if path is None:
        return
    older = _read(path)
    platforms = {tag: names for tag, names in older.platforms.items() if tag in answer.tags} if older else {}
    kept = _Kept(str(answer.image), answer.asked, answer.tags, platforms | dict(answer.platforms))
    with suppress(OSError):  # without a cache there is no answer for a bad day; today's is good
        files.write(path, msgspec.json.encode(kept))


def _read(path: Path) -> _Kept | None:
    """A kept answer, None where there is none or a damaged one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _older(image: Reference, why: str) -> Answer:
    path = _file(image)
    kept = _read(path) if path else None
    if kept is None:
        raise Failed(why)
    answer = Answer(image, kept.tags, kept.asked, kept.platforms, why)
    print(f"{why.partition(';')[0]}; this is its answer of {since(answer.age)} ago", file=sys.stderr)
    return answer


def since(seconds: float) -> str:
    """A time span for people."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
