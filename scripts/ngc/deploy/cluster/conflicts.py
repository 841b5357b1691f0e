"""Whose fields an apply would take: the server tells owners and fields of all objects at once and of none by its name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from ngc.deploy.cluster import kubectl
from ngc.deploy.cluster.checking import together
from ngc.deploy.cluster.kubectl import Cluster, Done

_ONE = re.compile(
    r'conflicts? with "([^"]+)"(?: with subresource "[^"]+")?(?: using [^:\n]+)?:?((?:\n?\s*-? ?\.[^\s,]+)*)'
)


def told(cluster: Cluster, done: Done, objects: Sequence[Mapping[str, Any]], words: Sequence[str]) -> str:
    """Who owns what of which object, those with the same owner and fields together; "" where there is no conflict."""
    if not _owners(done.err):
        return ""
    tasks = {
        f"{entry['kind']} {entry['metadata']['name']}": partial(
            kubectl.call, cluster, *words, "--dry-run=server", text=json.dumps(entry)
        )
        for entry in objects
    }
    found: dict[str, list[str]] = {}
    for name, one in together(tasks).items():
        for owner, fields in _owners(one.err):
            found.setdefault(f"{owner} owns {fields}", []).append(name)
    if not found:  # it is over already
        return "; ".join(f"{owner} owns {fields}" for owner, fields in _owners(done.err))
    return "; ".join(f"{said} of {', '.join(names)}" for said, names in found.items())


def _owners(err: str) -> list[tuple[str, str]]:
    """(owner, its fields) of a refused apply."""
    if "conflict" not in err:
        return []
    return [
        (owner, ", ".join(re.findall(r"\.[^\s,]+", fields)) or "fields of it") for owner, fields in _ONE.findall(err)
    ]
