"""What is applied differs from what was rendered where others decide: how many pods there are, and which image etcd and NATS run."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ngc.deploy import platform
from ngc.deploy.cluster import marking
from ngc.deploy.cluster.revisions import MANAGER, Part, Revision
from ngc.deploy.promise import Promise

Object = Mapping[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True)
class Left:
    """Replicas that another decides. `name`: a Deployment, or a service of a DynamoGraphDeployment; `count`: how many it has now."""

    name: str
    manager: str
    count: int

    def __str__(self) -> str:
        return f"replicas of {self.name} are left to {self.manager} ({self.count}); --force-conflicts takes them back"


@dataclass(frozen=True)
class Adapted:
    """Objects as they are to be applied. `there`: those that the cluster has now; `left`: what is not ours to say."""

    objects: tuple[dict[str, Any], ...]
    there: Mapping[Key, Object]
    left: tuple[Left, ...]


def adapted(objects: Sequence[Object], there: Mapping[Key, Object], force: bool) -> Adapted:
    """The objects without replicas that another has set, unless forced; etcd and NATS with the image that they run.

    A new image for etcd would restart it, and everything with it; its own version does not come from the graph's. One that does
    not run, of a first deploy with a wrong image, is given the new one.
    """
    made, left = [], []
    for entry in objects:
        now = there.get(key(entry))
        changed: dict[str, Any] = copy.deepcopy(dict(entry))
        if now is not None:
            have = {name: _number(spec) or 0 for name, spec in _counted(now).items()}
            for name, spec in () if force else _counted(changed).items():
                if "replicas" in spec and (manager := _foreign(now, name)):
                    del spec["replicas"]
                    left.append(Left(name, manager, have.get(name, 0)))
            if _is_platform(changed) and (now.get("status") or {}).get("availableReplicas"):
                image = now["spec"]["template"]["spec"]["containers"][0]["image"]
                changed["spec"]["template"]["spec"]["containers"][0]["image"] = image
        made.append(changed)
    return Adapted(tuple(made), there, tuple(left))


def awaited(revision: Revision, made: Adapted) -> Revision:
    """The revision with what must come of the objects as they are applied: marks, and numbers where they are ours to say."""
    parts = tuple(_part(part, made.objects) for part in revision.parts)
    return replace(revision, parts=parts, promise=_promise(revision.promise, parts, made.left))


def key(entry: Object) -> Key:
    """Kind and name."""
    return entry["kind"], entry["metadata"]["name"]


def _part(part: Part, objects: Sequence[Object]) -> Part:
    """The part with the mark and the replicas that the objects give it; None where another decides."""
    part = replace(part, mark=marking.mark(objects, part.key))
    for entry in objects:
        name = part.deployment if entry["kind"] == "Deployment" else part.key
        if (spec := _counted(entry).get(name)) is not None:
            return replace(part, replicas=_number(spec))
    return part


def _number(spec: Mapping[str, Any]) -> int | None:
    return int(spec["replicas"]) if spec.get("replicas") is not None else None


def _promise(promise: Promise, parts: Sequence[Part], left: Sequence[Left]) -> Promise:
    """The promise with as many workers as are ours to say. Where another decides, one: the number may change at any time."""
    others = {one.name: min(1, one.count) for one in left}
    counts = {
        part.key: others.get(part.deployment, others.get(part.key, 1)) if part.replicas is None else part.replicas
        for part in parts
    }
    endpoints = tuple(
        replace(e, workers=sum(counts[service] for service in e.services))
        if e.services and all(service in counts for service in e.services)
        else e
        for e in promise.endpoints
    )
    return replace(promise, endpoints=endpoints)


def _is_platform(entry: Object) -> bool:
    return entry["kind"] == "Deployment" and (entry["metadata"].get("labels") or {}).get(platform.ROLE) in (
        platform.ETCD,
        platform.NATS,
    )


def _counted(entry: Object) -> dict[str, Any]:
    """What of an object says how many pods there are, by the name of the Deployment, or of a graph's service."""
    if entry["kind"] == "Deployment":
        return {str(entry["metadata"]["name"]): entry["spec"]}
    return dict(marking.services(entry))


def _foreign(now: Object, name: str) -> str | None:
    """The planner, autoscaler or other program that has set replicas; a person's kubectl is none: that is a conflict to be shown."""
    # An owner's fields are those of the version of the API that it has used.
    ways = [["f:replicas"]] if now["kind"] == "Deployment" else [
        ["f:services", f"f:{name}", "f:replicas"],
        ["f:components", f'k:{{"name":"{name}"}}', "f:replicas"],
    ]  # fmt: skip
    for owner in now["metadata"].get("managedFields") or []:
        manager = str(owner.get("manager", ""))
        has = any(_at(owner.get("fieldsV1"), ["f:spec", *way]) is not None for way in ways)
        if has and manager != MANAGER and not manager.startswith("kubectl"):
            return manager
    return None


def _at(entry: Any, path: Sequence[str]) -> Any:
    for step in path:
        entry = entry.get(step) if isinstance(entry, dict) else None
    return entry
