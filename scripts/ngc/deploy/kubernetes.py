"""A graph as plain Kubernetes objects, for clusters without the operator: its names and labels, so that moving there changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ngc.deploy import names, platform, podspec
from ngc.deploy.graph import FRONTEND, Graph, Service
from ngc.errors import Wrong

METRICS = ("annotations", "podmonitor")


def objects(graph: Graph, metrics: str | None = None) -> list[dict[str, Any]]:
    """All objects, what others need first. `metrics`: how Prometheus finds the pods, None: not at all. Raises Wrong."""
    for service in graph.services:
        _refuse(graph, service)
    image = next((s.image for s in (graph.frontend, *graph.services) if s is not None and s.image), None)
    made = [dict(entry) for entry in graph.beside]
    made += [_claim(name, entry) for name, entry in graph.claims.items() if entry.get("create")]
    made += platform.objects(graph, image)
    for service in graph.services:
        made.append(_deployment(graph, service, metrics))
        if service.type == FRONTEND:
            made.append(_service(graph, service))
    if metrics == "podmonitor":
        made.append(_pod_monitor(graph))
    return made


def _refuse(graph: Graph, service: Service) -> None:
    """Raise Wrong for what needs the operator or what it works with."""
    spec = service.spec
    place = f"{graph.path}:{graph.line('spec', 'services', service.key)}: {service.key}"
    reasons = {
        "runs on several nodes, which Grove or LeaderWorkerSet starts together": service.nodes > 1,
        "is a planner, which scales through the operator": service.type == "planner",
        "wants autoscaling, which the operator sets up": (spec.get("autoscaling") or {}).get("enabled"),
        "wants an ingress, which the operator sets up": (spec.get("ingress") or {}).get("enabled"),
        "asks for Grove": (spec.get("annotations") or {}).get("nvidia.com/enable-grove") == "true",
    }
    for reason, holds in reasons.items():
        if holds:
            raise Wrong(
                f"{place} {reason}; use --to=dgd on a cluster with the Dynamo operator, or take it out with --set"
            )


def _deployment(graph: Graph, service: Service, metrics: str | None) -> dict[str, Any]:
    labels = names.deployment_labels(graph, service)
    spec = service.spec
    more: Mapping[str, Any] = spec.get("extraPodMetadata") or {}
    annotations = {
        **(spec.get("annotations") or {}),
        **(more.get("annotations") or {}),
        **(podspec.scraped(service) if metrics == "annotations" else {}),
    }
    metadata: dict[str, Any] = {"labels": {**(more.get("labels") or {}), **labels}}
    if annotations:
        metadata["annotations"] = annotations
    etcd, nats = platform.url_of(graph, platform.ETCD), platform.url_of(graph, platform.NATS)
    own = {"annotations": dict(spec["annotations"])} if spec.get("annotations") else {}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": names.component(graph, service), "labels": labels, **own},
        "spec": {
            "replicas": service.replicas,
            "selector": {"matchLabels": {names.SELECTOR_LABEL: names.component(graph, service)}},
            # An update must never take capacity away: a new pod is ready before an old one goes.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": metadata, "spec": podspec.pod(graph, service, etcd, nats)},
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


def _claim(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A claim that the config asks to be made; the operator of 0.6.1 makes the same."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": [entry.get("volumeAccessMode")],
            "resources": {"requests": {"storage": str(entry.get("size"))}},
            "storageClassName": entry.get("storageClass"),
        },
    }


def _pod_monitor(graph: Graph) -> dict[str, Any]:
    """For the Prometheus operator: frontends and workers by the label that the Dynamo operator gives too."""
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PodMonitor",
        "metadata": {"name": graph.name, "labels": {names.GRAPH_LABEL: graph.name}},
        "spec": {
            "selector": {"matchLabels": {names.GRAPH_LABEL: graph.name, names.METRICS_LABEL: "true"}},
            "podMetricsEndpoints": [{"port": "http", "path": "/metrics"}, {"port": "system", "path": "/metrics"}],
        },
    }
