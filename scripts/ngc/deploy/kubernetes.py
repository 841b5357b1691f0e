"""A graph as plain Kubernetes objects, for clusters without the operator: its names and labels, so that moving there changes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ngc.deploy import names, platform, podspec
from ngc.deploy.graph import FRONTEND, Graph, Service
from ngc.errors import Wrong

METRICS = ("annotations", "podmonitor")
DEADLINE = 600  # seconds, Kubernetes' own; a worker may need longer, so whoever waits must not take it for a failure
_GROVE, _QUEUE = "nvidia.com/enable-grove", "nvidia.com/kai-scheduler-queue"


def objects(graph: Graph, metrics: str | None = None, serving: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """All objects, what others need first. `metrics`: how Prometheus finds the pods, None: not at all. Raises Wrong."""
    if metrics not in (None, *METRICS):
        raise Wrong(f"--metrics is '{metrics}'; choose from: {', '.join(METRICS)}")
    if text := next(_refusals(graph), None):
        raise Wrong(text)
    image = next((s.image for s in (graph.frontend, *graph.services) if s is not None and s.image), None)
    made = [_beside(graph, entry) for entry in graph.beside]
    made += claims(graph)
    made += platform.objects(graph, image)
    for service in graph.services:
        made.append(_deployment(graph, service, metrics, serving or {}))
        if service.type == FRONTEND:
            made.append(_service(graph, service))
    if metrics == "podmonitor":
        made.append(_pod_monitor(graph))
    return made


def place(graph: Graph, *keys: str | int) -> str:
    """FILE:LINE of a field, as seen from where the user stands."""
    path = graph.path.relative_to(Path.cwd()) if graph.path.is_relative_to(Path.cwd()) else graph.path
    return f"{path}:{graph.line(*keys)}"


def operators_own(graph: Graph) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path, name) of each annotation that asks for a scheduler which only the operator works with."""
    annotations: Mapping[str, Any] = (graph.data.get("metadata") or {}).get("annotations") or {}
    for name in (_GROVE, _QUEUE):
        if str(annotations.get(name, "false")).lower() != "false":
            yield ("metadata", "annotations", name), name


def _refusals(graph: Graph) -> Iterator[str]:
    """What plain objects cannot express, with the place and what to use instead."""
    operator = "deploy it with --to=dgd to a cluster with the Dynamo operator"
    for keys, name in operators_own(graph):
        yield f"{place(graph, *keys)}: {name} asks for what only the operator does; {operator}, or take the annotation out"
    for service in graph.services:
        for field, why, instead in _not_plain(graph, service, operator):
            yield f"{place(graph, 'spec', 'services', service.key, *field)}: {service.key} {why}; {instead}"


def _not_plain(graph: Graph, service: Service, operator: str) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """(field, what a service is or wants, what to do instead) of each thing that a Deployment is not enough for."""
    spec = service.spec
    if service.nodes > 1:
        why = f"spans {service.nodes} nodes that must start as one"
        yield ("multinode",), why, f"{operator} and Grove or LeaderWorkerSet"
    if service.type == "planner":
        why = "is a planner, which scales workers through the operator's own objects"
        yield ("componentType",), why, operator
    if (spec.get("autoscaling") or {}).get("enabled"):
        instead = f"{operator}, or set autoscaling.enabled=false and write a HorizontalPodAutoscaler"
        yield ("autoscaling",), "wants autoscaling, which the operator sets up", instead
    if (spec.get("ingress") or {}).get("enabled"):
        instead = (
            f"{operator}, or set ingress.enabled=false and write one for the Service {names.component(graph, service)}"
        )
        yield ("ingress",), "wants an ingress, which the operator makes by its own settings", instead
    if service.key.lower() in (platform.ETCD, platform.NATS):
        why = f"would be named {names.component(graph, service)}, as {service.key.lower()} itself is in plain objects"
        yield (), why, "give the service another key"


def _deployment(graph: Graph, service: Service, metrics: str | None, serving: Mapping[str, Any]) -> dict[str, Any]:
    labels, more = names.deployment_labels(graph, service), service.spec.get("extraPodMetadata") or {}
    own = _texts(service.spec.get("annotations"))
    annotations = {
        **own,
        **_texts(more.get("annotations")),
        **(_scraped(service) if metrics == "annotations" else {}),
    }
    etcd, nats = platform.url_of(graph, platform.ETCD), platform.url_of(graph, platform.NATS)
    name = names.component(graph, service)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels, **({"annotations": own} if own else {})},
        "spec": {
            "replicas": service.replicas,
            "selector": {"matchLabels": {names.SELECTOR_LABEL: name}},
            # An update must never take capacity away: a new pod is ready before an old one goes. It needs room for one more.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "progressDeadlineSeconds": DEADLINE,
            "template": {
                "metadata": {
                    "labels": {**labels, **_texts(more.get("labels"))},
                    **({"annotations": annotations} if annotations else {}),
                },
                "spec": podspec.pod(graph, service, etcd, nats, serving),
            },
        },
    }


def _service(graph: Graph, service: Service) -> dict[str, Any]:
    name = names.component(graph, service)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": names.deployment_labels(graph, service)},
        "spec": {
            "type": "ClusterIP",
            "selector": {names.SELECTOR_LABEL: name},
            "ports": [{"name": "http", "port": names.HTTP_PORT, "protocol": "TCP", "targetPort": "http"}],
        },
    }


def _beside(graph: Graph, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Another object of the file, labelled so that it is found with the graph."""
    metadata = entry.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), names.GRAPH_LABEL: graph.name}
    return {**entry, "metadata": {**metadata, "labels": labels}}


def claims(graph: Graph) -> list[dict[str, Any]]:
    """The claims that the config asks to be made."""
    return [_claim(graph, name, entry) for name, entry in graph.claims.items() if entry.get("create")]


def _claim(graph: Graph, name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A claim that the config asks to be made; the operator of 0.6.1 makes the same."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "labels": {names.GRAPH_LABEL: graph.name}},
        "spec": {
            "accessModes": [str(entry.get("volumeAccessMode"))],
            "storageClassName": str(entry.get("storageClass")),
            "resources": {"requests": {"storage": str(entry.get("size"))}},
        },
    }


def _scraped(service: Service) -> dict[str, str]:
    """Annotations by which a Prometheus finds the service's metrics."""
    port = podspec.metrics_port(service)
    if port is None:
        return {}
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(port), "prometheus.io/path": "/metrics"}


def _pod_monitor(graph: Graph) -> dict[str, Any]:
    """For the Prometheus operator: frontends and workers by the labels that the Dynamo operator gives too."""
    labels = {names.GRAPH_LABEL: graph.name}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": graph.name, "labels": labels},
        "spec": {
            "selector": {"matchLabels": {**labels, names.METRICS_LABEL: "true"}},
            "podMetricsEndpoints": [{"port": "http", "path": "/metrics"}, {"port": "system", "path": "/metrics"}],
        },
    }


def _texts(given: Mapping[str, Any] | None) -> dict[str, str]:
    return {str(key): str(value) for key, value in (given or {}).items()}
