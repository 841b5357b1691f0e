"""What the Dynamo operator of 0.6.1 (without Grove) makes of a DynamoGraphDeployment: our rendering of plain objects is nearly that."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ngc import catalog
from ngc.catalog import Catalog
from ngc.deploy import kubernetes, names, platform, podspec, serving
from ngc.deploy.graph import FRONTEND, Graph, Service, of
from ngc.errors import Wrong

FINALIZER = "nvidia.com/finalizer"
RELEASE = "dynamo-platform"  # the chart's usual name; etcd and NATS are named after it
_DETECTED = ("vllm", "sglang", "trtllm")


class Failure(Exception):
    """Why the whole graph is `failed`."""


@dataclass(frozen=True)
class Component:
    """One service. `error`: what its DynamoComponentDeployment says instead of becoming `objects`."""

    name: str
    component: dict[str, Any]  # the DynamoComponentDeployment
    objects: tuple[dict[str, Any], ...]  # its Deployment, and a frontend's Service
    error: str


@cache
def _catalog() -> Catalog:
    return catalog.read()


def graph_of(data: Mapping[str, Any]) -> Graph:
    """The graph of an object that a server gave."""
    from ruamel.yaml import YAML

    # Read as YAML, because a graph knows the lines of its file.
    return of(Path("cluster.yaml"), YAML().load(io.StringIO(json.dumps(data))), (), {})


def components(data: Mapping[str, Any], platform_namespace: str) -> list[Component]:
    """The components of a graph, in its order. Raises Failure."""
    try:
        graph = graph_of(data)
        _agree(graph)
        made = kubernetes.objects(graph)
    except Wrong as error:
        raise Failure(str(error)) from None
    rendered = {(entry["kind"], entry["metadata"]["name"]): entry for entry in made}
    return [_component(graph, service, data["metadata"], rendered, platform_namespace) for service in graph.services]


def _agree(graph: Graph) -> None:
    """Errors that the graph itself reports (state failed)."""
    if any(service.nodes > 1 for service in graph.services):
        raise Failure("no multinode orchestrator available")
    common = ""
    for service in graph.services:
        own = names.dynamo_namespace(graph, service)
        if common and own != common:
            raise Failure(
                "failed to generate the DynamoComponentsDeployments: namespace mismatch for component "
                f"{service.key}: graph uses namespace {common} but component specifies {own}"
            )
        common = own
        if len(name := names.component(graph, service)) > 63:
            raise Failure(
                f'failed to sync the DynamoComponentDeployment: Invalid value: "{name}": must be no more than 63'
            )


def _component(
    graph: Graph, service: Service, owner: Mapping[str, Any], rendered: Mapping[tuple[str, str], dict[str, Any]], where: str
) -> Component:  # fmt: skip
    name, namespace = names.component(graph, service), owner["namespace"]
    # The graph label and two more on the component; Deployment and pods have those of their type too.
    labels = {
        names.GRAPH_LABEL: graph.name,
        names.COMPONENT_LABEL: service.key,
        names.NAMESPACE_LABEL: names.dynamo_namespace(graph, service),
    }
    environment = [{"name": key, **value} for key, value in service.environment.items()]
    spec = {
        **service.spec,
        "serviceName": service.key,
        "dynamoNamespace": names.dynamo_namespace(graph, service),
        **({"backendFramework": graph.spec["backendFramework"]} if graph.spec.get("backendFramework") else {}),
        **({"envs": environment} if environment else {}),
    }
    component = {
        "apiVersion": "nvidia.com/v1alpha1",
        "kind": "DynamoComponentDeployment",
        # Its finalizer holds it, and so all that it owns, until the operator has cleaned up in etcd.
        "metadata": {"name": name, "namespace": namespace, "labels": labels, "finalizers": [FINALIZER]},
        "spec": spec,
    }
    deployment = rendered["Deployment", name]
    known = serving.base_of(_catalog(), graph)
    # Etcd and NATS are the platform's, not the graph's own; the user's values win, as everywhere.
    pod = podspec.pod(
        graph, service, f"{RELEASE}-etcd.{where}:2379", f"nats://{RELEASE}-nats.{where}:4222", known.serving if known else {}
    )  # fmt: skip
    template = {**deployment["spec"]["template"], "spec": pod}
    # How the operator lets pods be replaced is not known; Kubernetes' own way is the one to be ready for.
    rest = {key: value for key, value in deployment["spec"].items() if key != "strategy"}
    objects = [{**deployment, "spec": {**rest, "template": template}}]
    if service.type == FRONTEND:  # only a frontend has a Service
        objects.append(rendered["Service", name])
    placed = tuple({**entry, "metadata": {**entry["metadata"], "namespace": namespace}} for entry in objects)
    return Component(name, component, placed, _error(graph, service))


def _error(graph: Graph, service: Service) -> str:
    """What the API server accepts and only the component's condition tells."""
    begin = "Failed to reconcile DynamoComponentDeployment: failed to create or update the deployment: "
    named, found = graph.spec.get("backendFramework"), service.module
    if named and found in _DETECTED and found != named:
        return (
            f'{begin}backend framework mismatch: detected "{found}" from command but explicitly configured as "{named}"'
        )
    if service.image is None:
        return f"{begin}container image is not found"
    resources = service.spec.get("resources") or {}
    for kind in ("requests", "limits"):
        for key, amount in (resources.get(kind) or {}).items():
            if key == "gpu" and not str(amount).isdecimal():
                return f"{begin}failed to parse {kind} gpu quantity: quantities must match the regular expression, not '{amount}'"
    return ""


def platform_objects(image: str, namespace: str) -> list[dict[str, Any]]:
    """etcd and NATS as the platform's chart names them, shared by all graphs."""
    from ruamel.yaml.comments import CommentedMap

    made = platform.objects(Graph(Path("platform.yaml"), RELEASE, CommentedMap(), (), (), {}), image)
    for entry in made:
        entry["metadata"] = {**entry["metadata"], "namespace": namespace}
        # Whoever looks for a graph's pods must not find the platform's.
        for metadata in (entry["metadata"], entry["spec"].get("template", {}).get("metadata", {})):
            metadata["labels"] = {k: v for k, v in metadata.get("labels", {}).items() if k != names.GRAPH_LABEL}
    return made
