"""etcd and NATS of a graph, where no Dynamo platform has them: from the runtime image's own binaries, their data in the pod."""

from __future__ import annotations

from typing import Any

from ngc.deploy import names
from ngc.deploy.graph import Graph

ETCD, NATS = "etcd", "nats"
PART_OF, ROLE = "app.kubernetes.io/part-of", "app.kubernetes.io/name"


def url_of(graph: Graph, part: str) -> str:
    """What ETCD_ENDPOINTS and NATS_SERVER say; the operator gives etcd without a scheme."""
    return f"{graph.name}-etcd:2379" if part == ETCD else f"nats://{graph.name}-nats:4222"


def objects(graph: Graph, image: str | None) -> list[dict[str, Any]]:
    """A Deployment and a Service for each. One replica, recreated and never two: both would write the same names."""
    client = f"http://{graph.name}-etcd:2379"
    etcd = [
        "etcd",
        "--data-dir",
        "/data",
        "--listen-client-urls",
        "http://0.0.0.0:2379",
        "--advertise-client-urls",
        client,
    ]
    nats = ["nats-server", "-js", "-sd", "/data", "-m", "8222"]
    return [
        *_part(graph, ETCD, image, etcd, {"client": 2379}, _health("/health", 2379)),
        *_part(graph, NATS, image, nats, {"client": 4222, "monitor": 8222}, _health("/healthz", 8222)),
    ]


def _health(path: str, port: int) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": port}, "timeoutSeconds": 5}


def _part(
    graph: Graph, part: str, image: str | None, command: list[str], ports: dict[str, int], health: dict[str, Any]
) -> list[dict[str, Any]]:
    name = f"{graph.name}-{part}"
    labels = {names.GRAPH_LABEL: graph.name, ROLE: part, PART_OF: graph.name}
    selector = {ROLE: part, PART_OF: graph.name}
    container = {
        "name": part,
        "image": image,
        "command": command,
        "ports": [{"containerPort": number, "name": title} for title, number in ports.items()],
        "readinessProbe": {**health, "periodSeconds": 1},
        "livenessProbe": {**health, "periodSeconds": 10, "failureThreshold": 6},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [container], "volumes": [{"name": "data", "emptyDir": {}}]},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": selector},
            "strategy": {"type": "Recreate"},
            "template": template,
        },
    }
    # Dynamo's processes end when etcd cannot be reached at their start, so the Service lists it as soon as it runs.
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "labels": labels},
        "spec": {
            "selector": selector,
            "publishNotReadyAddresses": True,
            "ports": [{"name": title, "port": number, "targetPort": number} for title, number in ports.items()],
        },
    }
    return [deployment, service]
