"""A plan as `docker buildx bake` reads it: every image of the selection as a target, children on `target:` contexts."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ngc import certificates
from ngc.plan import Plan, Step


def data(plan: Plan, registry: str | None = None, platforms: Sequence[str] = ()) -> dict[str, Any]:
    """The bake file as data. With a registry, tags are names there and the output is a push."""
    steps = [step for step in plan.steps if step.build is not None]
    targets = {target_name(step): _target(plan, step, steps, registry, platforms) for step in steps}
    wanted = [target_name(step) for step in steps if step.build and step.build.target]
    return {"group": {"default": {"targets": wanted}}, "target": targets}


def text(plan: Plan, registry: str | None = None, platforms: Sequence[str] = ()) -> str:
    return json.dumps(data(plan, registry, platforms), indent=2)


def target_name(step: Step) -> str:
    """A name that bake allows: letters, digits, dashes and underscores."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", step.name)


def _target(
    plan: Plan, step: Step, steps: Sequence[Step], registry: str | None, platforms: Sequence[str]
) -> dict[str, Any]:
    build = step.build
    assert build is not None
    parent = next((other for other in steps if other.image == build.parent), None)
    bundle = certificates.ca_bundle()
    target: dict[str, Any] = {
        "context": str(plan.context),
        "dockerfile": os.path.relpath(build.dockerfile, plan.context),
        "args": dict(build.arguments),
        "labels": dict(build.labels),
        "tags": [f"{registry}/{step.image}" if registry else step.image],
    }
    if bundle:
        target["secret"] = [f"id=ca,src={Path(bundle)}"]
    if parent is not None:
        target["contexts"] = {build.parent: f"target:{target_name(parent)}"}
    if platforms:
        target["platforms"] = list(platforms)
    if build.target is None:
        target["output"] = ["type=cacheonly"]
    elif registry:
        target["output"] = ["type=registry"]
    return target
