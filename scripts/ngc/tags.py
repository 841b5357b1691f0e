"""The tags of a repository and the platforms of an image, asked of the registry; an older answer where it does not give one."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ngc import files, registry
from ngc.errors import Failed
from ngc.reference import Reference

_NEXT = re.compile(r"<([^>]+)>\s*;[^,]*\brel=\"?next\"?")
_PAGE = 1000  # tags that are asked for at once; a registry may give fewer
_PAGES = 1000  # more than that and a registry leads in circles
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
    """All tags, page by page (Link header). Raises as `Access.get`."""
    tags: list[str] = []
    query = f"n={_PAGE}"
    for _ in range(_PAGES):
        answer = access.get(f"/tags/list?{query}", {})
        tags += json.loads(answer.data).get("tags") or ()
        following = _NEXT.search(answer.headers.get("Link", ""))
        if not following:
            return tuple(dict.fromkeys(tags))
        query = urlsplit(following[1]).query
    raise Failed(f"{access.reference.host} sends page after page of the tags of {access.reference}; try again later")


def _platforms(access: registry.Access, tag: str) -> tuple[str, ...]:
    _, manifest = registry.read_manifest(access, tag)
    if "manifests" in manifest:
        return tuple(registry.of_platforms(manifest))
    config = json.loads(access.get(f"/blobs/{manifest['config']['digest']}", {}).data)
    return (f"{config.get('os', 'linux')}/{config.get('architecture', '')}",)


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
    data: dict[str, Any] = {"image": str(answer.image), "asked": answer.asked, "tags": answer.tags}
    older = _read(path) or {"platforms": {}}
    data["platforms"] = {tag: names for tag, names in older["platforms"].items() if tag in answer.tags} | dict(
        answer.platforms
    )
    with suppress(OSError):  # without a cache there is no answer for a bad day; today's is good
        files.write(path, json.dumps(data))


def _read(path: Path) -> dict[str, Any] | None:
    """A kept answer, None where there is none or a damaged one."""
    try:
        data: dict[str, Any] = json.loads(path.read_text())
        return {key: data[key] for key in ("tags", "platforms", "asked")}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _older(image: Reference, why: str) -> Answer:
    path = _file(image)
    data = _read(path) if path else None
    if data is None:
        raise Failed(why)
    platforms = {tag: tuple(names) for tag, names in data["platforms"].items()}
    answer = Answer(image, tuple(data["tags"]), float(data["asked"]), platforms, why)
    print(f"{why.partition(';')[0]}; this is its answer of {since(answer.age)} ago", file=sys.stderr)
    return answer


def since(seconds: float) -> str:
    """A time span for people."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
