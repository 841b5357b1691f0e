"""The pod of a service, as the operator of 0.6.1 makes it: probes, variables, ports, shared memory, GPUs; the config's own wins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ngc.deploy import names
from ngc.deploy.graph import FRONTEND, FRONTEND_COMMAND, Graph, Service

GRACE = 60  # seconds between SIGTERM and SIGKILL
GPU = "nvidia.com/gpu"
SHELL = ("/bin/sh", "-c")
COMPILATION_CACHE = "/root/.cache/vllm"  # the operator's default for a mount that is a compilation cache
MAIN = "main"


def pod(graph: Graph, service: Service, etcd: str, nats: str) -> dict[str, Any]:
    """The pod's spec. `etcd` and `nats` are URLs, without a scheme for etcd as the operator gives it."""
    extra = {key: value for key, value in (service.spec.get("extraPodSpec") or {}).items() if key != "mainContainer"}
    volumes = [*_shared_memory(service), *_claims(graph, service), *(extra.pop("volumes", None) or [])]
    others = extra.pop("containers", None) or []
    made: dict[str, Any] = {"terminationGracePeriodSeconds": GRACE, **extra}
    made["containers"] = [_container(graph, service, etcd, nats), *others]
    if volumes:
        made["volumes"] = volumes
    return made


def _container(graph: Graph, service: Service, etcd: str, nats: str) -> dict[str, Any]:
    """The container `main`: what the operator gives, then what the config says of it."""
    own = {
        key: value for key, value in service.main.items() if key not in ("env", "volumeMounts", "ports", "resources")
    }
    made: dict[str, Any] = {
        "name": MAIN,
        **_command(service),
        "env": _environment(graph, service, etcd, nats),
        "envFrom": [{"secretRef": {"name": service.env_from_secret}}] if service.env_from_secret else None,
        "ports": [*_ports(service), *(service.main.get("ports") or [])] or None,
        "resources": _resources(service),
        "volumeMounts": _mounts(service) or None,
        **_probes(service),
        **own,
    }
    return {key: value for key, value in made.items() if value not in (None, {}, [])}


def _command(service: Service) -> dict[str, Any]:
    if service.type == FRONTEND and not service.command and not service.args:
        return {"command": list(FRONTEND_COMMAND)}
    return {} if service.command else {"command": list(SHELL)}


def _environment(graph: Graph, service: Service, etcd: str, nats: str) -> list[dict[str, Any]]:
    injected = names.injected(graph, service, etcd, nats)
    made: dict[str, dict[str, Any]] = {name: {"value": value} for name, value in injected.items()}
    made["DYN_PARENT_DGD_K8S_NAMESPACE"] = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
    made.update({name: dict(entry) for name, entry in service.environment.items()})
    return [{"name": name, **entry} for name, entry in sorted(made.items())]


def _ports(service: Service) -> list[dict[str, Any]]:
    known = {
        FRONTEND: (names.HTTP_PORT, "http"),
        "worker": (names.SYSTEM_PORT, "system"),
        "planner": (names.PLANNER_PORT, "metrics"),
    }
    if service.type not in known:
        return []
    number, name = known[service.type]
    return [{"containerPort": number, "name": name, "protocol": "TCP"}]


def _resources(service: Service) -> dict[str, Any]:
    given = service.spec.get("resources") or {}
    return {kind: _amounts(given[kind]) for kind in ("requests", "limits") if given.get(kind)}


def _amounts(given: Mapping[str, Any]) -> dict[str, str]:
    """Kubernetes' names of resources: gpu is nvidia.com/gpu, custom ones have their own."""
    made = {GPU if key == "gpu" else key: str(value) for key, value in given.items() if key != "custom"}
    return {**made, **{str(key): str(value) for key, value in (given.get("custom") or {}).items()}}


def _shared_memory(service: Service) -> list[dict[str, Any]]:
    if service.shared_memory is None:
        return []
    return [{"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": service.shared_memory}}]


def _claims(graph: Graph, service: Service) -> list[dict[str, Any]]:
    used = dict.fromkeys(mount.name for mount in service.mounts if mount.name in graph.claims)
    return [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in used]


def _mounts(service: Service) -> list[dict[str, Any]]:
    memory = [{"name": "shared-memory", "mountPath": "/dev/shm"}] if service.shared_memory is not None else []
    claims = [{"name": mount.name, "mountPath": mount.path} for mount in service.mounts]
    return [*memory, *claims, *(service.main.get("volumeMounts") or [])]


def _probes(service: Service) -> dict[str, Any]:
    """The operator's probes; a config's own replaces one whole."""
    made: dict[str, Any] = {}
    if service.type == FRONTEND:
        check = f"curl -s http://localhost:{names.HTTP_PORT}/health | jq -e '.status == \"healthy\"'"
        made["readinessProbe"] = _timing(
            {"exec": {"command": [*SHELL, check]}}, delay=60, period=60, timeout=30, failures=10
        )
        made["livenessProbe"] = _timing(_get("/health", "http"), delay=60, period=60, timeout=30, failures=10)
    elif service.type == "worker":
        made["readinessProbe"] = _timing(_get("/health", "system"), period=10, timeout=30, failures=60)
        made["livenessProbe"] = _timing(_get("/live", "system"), period=5, timeout=30, failures=1)
        made["startupProbe"] = _timing(
            _get("/live", "system"), period=10, timeout=5, failures=720
        )  # two hours to load a model
    given = {key: service.spec[key] for key in ("readinessProbe", "livenessProbe") if service.spec.get(key)}
    return {**made, **given}


def _get(path: str, port: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": port}}


def _timing(probe: Mapping[str, Any], *, period: int, timeout: int, failures: int, delay: int = 0) -> dict[str, Any]:
    """A probe with its times, in seconds."""
    start = {"initialDelaySeconds": delay} if delay else {}
    return {**probe, **start, "periodSeconds": period, "timeoutSeconds": timeout, "failureThreshold": failures}


def scraped(service: Service) -> dict[str, str]:
    """Annotations by which a Prometheus finds the service's metrics."""
    port = {FRONTEND: names.HTTP_PORT, "worker": names.SYSTEM_PORT}.get(service.type)
    if port is None:
        return {}
    return {"prometheus.io/scrape": "true", "prometheus.io/port": str(port), "prometheus.io/path": "/metrics"}
