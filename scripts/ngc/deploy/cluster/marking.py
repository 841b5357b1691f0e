"""A mark on a component's pods that changes with what they are made of, so that a change is known to have been taken up.

The operator writes no observedGeneration and calls a graph successful while it still has everything old, so nothing else tells
an update that is done from one that has not begun.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

MARK = "ngc-dynamo/template"
# How many pods there are and how they are reached is not what a pod is made of: to change these must restart none.
BESIDE = ("replicas", "autoscaling", "ingress")


def marked(objects: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The objects, with a mark on the pods of each service of a DynamoGraphDeployment."""
    return [_marked(entry) if _services(entry) else entry for entry in objects]


def mark(objects: Sequence[Mapping[str, Any]], key: str) -> str | None:
    """The mark that the pods of a service will have; None where there is no need of one."""
    services: Iterable[Mapping[str, Any]] = (_services(entry).get(key) or {} for entry in objects)
    return next((found for service in services if (found := of((service.get("extraPodMetadata") or {})))), None)


def of(metadata: Mapping[str, Any]) -> str | None:
    """The mark in a pod's or a template's metadata."""
    found = (metadata.get("annotations") or {}).get(MARK)
    return None if found is None else str(found)


def _services(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return (entry.get("spec") or {}).get("services") or {} if entry["kind"] == "DynamoGraphDeployment" else {}


def _marked(graph: Mapping[str, Any]) -> Mapping[str, Any]:
    shared = {key: value for key, value in graph["spec"].items() if key != "services"}
    services = {key: _with_mark(service, shared) for key, service in graph["spec"]["services"].items()}
    return {**graph, "spec": {**graph["spec"], "services": services}}


def _with_mark(service: Mapping[str, Any], shared: Mapping[str, Any]) -> Mapping[str, Any]:
    made_of = {key: value for key, value in service.items() if key not in BESIDE}
    digest = hashlib.sha256(json.dumps([made_of, shared], sort_keys=True).encode()).hexdigest()[:12]
    metadata = service.get("extraPodMetadata") or {}
    annotations = {**(metadata.get("annotations") or {}), MARK: digest}
    return {**service, "extraPodMetadata": {**metadata, "annotations": annotations}}
