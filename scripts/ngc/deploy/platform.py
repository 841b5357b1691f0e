"""etcd and NATS of a graph, where no Dynamo platform has them: from the runtime image's own binaries, their data in the pod.

One pod each, by a Deployment that recreates: two at once would share one Service, and clients would see now the one and now the other. Not
a StatefulSet: its pod stays away when a node dies, and there is no volume to keep for it.
"""

from __future__ import annotations

from typing import Any

from ngc.deploy import names
from ngc.deploy.graph import Graph, Service

ETCD, NATS = "etcd", "nats"
PART_OF, ROLE = "app.kubernetes.io/part-of", "app.kubernetes.io/name"
# As the platform's chart has it: a prompt travels in one message, and NATS' own limit of 1 MiB is about 150,000 tokens.
MAX_PAYLOAD = 10485760  # bytes
_LIKE_FRONTEND = ("imagePullSecrets", "nodeSelector", "tolerations", "serviceAccountName", "securityContext")


def url_of(graph: Graph, part: str) -> str:
    """What ETCD_ENDPOINTS and NATS_SERVER say; the operator gives etcd without a scheme."""
    return f"{graph.name}-etcd:2379" if part == ETCD else f"nats://{graph.name}-nats:4222"


def etcd(data: str, url: str) -> list[str]:
    """The command of etcd, with its folder and the URL that clients use."""
    return ["etcd", "--data-dir", data, "--listen-client-urls", "http://0.0.0.0:2379", "--advertise-client-urls", url]


def nats(data: str) -> list[str]:
    """The command of NATS with JetStream. It takes the size of messages only from a file."""
    said = f"mkdir -p {data} && echo 'max_payload: {MAX_PAYLOAD}' > {data}/server.conf"
    return ["/bin/sh", "-c", f"{said} && exec nats-server -js -sd {data} -m 8222 -c {data}/server.conf"]


def objects(graph: Graph, image: str | None) -> list[dict[str, Any]]:
    """A Deployment and a Service for each."""
    return [
        *_part(
            graph,
            ETCD,
            image,
            etcd("/data/etcd", f"http://{graph.name}-etcd:2379"),
            {"client": 2379},
            ("/health", 2379),
        ),
        *_part(graph, NATS, image, nats("/data/nats"), {"client": 4222, "monitor": 8222}, ("/healthz", 8222)),
    ]


def _part(
    graph: Graph, part: str, image: str | None, command: list[str], ports: dict[str, int], health: tuple[str, int]
) -> list[dict[str, Any]]:
    name = f"{graph.name}-{part}"
    # Not the operator's labels of a component: whoever looks for frontends and workers must not find these.
    selector = {ROLE: part, PART_OF: graph.name}
    metadata = {"name": name, "labels": {**selector, names.GRAPH_LABEL: graph.name}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": selector},
            "strategy": {"type": "Recreate"},
            "template": {
                "metadata": {"labels": metadata["labels"]},
                "spec": _pod(graph.frontend, _container(graph.frontend, part, image, command, ports, health)),
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "type": "ClusterIP",
            "selector": selector,
            # Dynamo's processes end when they cannot reach etcd at their start: it is listed as soon as it runs.
            "publishNotReadyAddresses": True,
            "ports": [
                {"name": title, "port": number, "protocol": "TCP", "targetPort": title}
                for title, number in ports.items()
            ],
        },
    }
    return [deployment, service]


def _container(
    frontend: Service | None,
    part: str,
    image: str | None,
    command: list[str],
    ports: dict[str, int],
    health: tuple[str, int],
) -> dict[str, Any]:
    path, port = health
    check = {"httpGet": {"path": path, "port": port}, "timeoutSeconds": 5}
    main = frontend.main if frontend else {}
    return {
        "name": part,
        **({"image": image} if image else {}),
        **{key: main[key] for key in ("imagePullPolicy", "securityContext") if key in main},
        "command": command,
        "ports": [{"name": title, "containerPort": number, "protocol": "TCP"} for title, number in ports.items()],
        # Enough not to be the first that a full node throws out: everything ends with them.
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "readinessProbe": {**check, "periodSeconds": 1},
        "livenessProbe": {**check, "periodSeconds": 10, "failureThreshold": 6},
    }


def _pod(frontend: Service | None, container: dict[str, Any]) -> dict[str, Any]:
    """They may run, and be pulled, where the frontend may."""
    extra = (frontend.spec.get("extraPodSpec") if frontend else None) or {}
    return {
        **{key: extra[key] for key in _LIKE_FRONTEND if key in extra},
        "containers": [container],
        "volumes": [{"name": "data", "emptyDir": {}}],
    }
