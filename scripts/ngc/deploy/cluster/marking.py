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
BESIDE = ("replicas", "autoscaling", "ingress", "scalingAdapter", "minAvailable")
SERVICES, COMPONENTS = "services", "components"  # in v1alpha1 a mapping, in v1beta1 a list


def marked(objects: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The objects, with a mark on the pods of each service of a DynamoGraphDeployment."""
    return [_marked(entry) if services(entry) else entry for entry in objects]


def mark(objects: Sequence[Mapping[str, Any]], key: str) -> str | None:
    """The mark that the pods of a service will have; None where there is no need of one."""
    found = (services(entry).get(key) or {} for entry in objects)
    return next((text for service in found if (text := of(_metadata(service)))), None)


def services(entry: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The services of a DynamoGraphDeployment by their keys, in either version of its API; {} of another object."""
    if entry["kind"] != "DynamoGraphDeployment":
        return {}
    spec = entry.get("spec") or {}
    return {str(one["name"]): one for one in spec.get(COMPONENTS) or ()} or dict(spec.get(SERVICES) or {})


def of(metadata: Mapping[str, Any]) -> str | None:
    """The mark in a pod's or a template's metadata."""
    found = (metadata.get("annotations") or {}).get(MARK)
    return None if found is None else str(found)


def _metadata(service: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of the pods of a service."""
    return service.get("extraPodMetadata") or (service.get("podTemplate") or {}).get("metadata") or {}


def _marked(graph: Mapping[str, Any]) -> Mapping[str, Any]:
    spec = graph["spec"]
    shared = {key: value for key, value in spec.items() if key not in (SERVICES, COMPONENTS)}
    made = {key: _with_mark(service, shared) for key, service in services(graph).items()}
    own = {COMPONENTS: list(made.values())} if COMPONENTS in spec else {SERVICES: made}
    return {**graph, "spec": {**spec, **own}}


def _with_mark(service: Mapping[str, Any], shared: Mapping[str, Any]) -> Mapping[str, Any]:
    made_of = {key: value for key, value in service.items() if key not in BESIDE}
    digest = hashlib.sha256(json.dumps([made_of, shared], sort_keys=True).encode()).hexdigest()[:12]
    metadata = _metadata(service)
    metadata = {**metadata, "annotations": {**(metadata.get("annotations") or {}), MARK: digest}}
    if "podTemplate" in service:
        return {**service, "podTemplate": {**service["podTemplate"], "metadata": metadata}}
    return {**service, "extraPodMetadata": metadata}
