"""The pod of a service, as the operator of 0.6.1 makes it: probes, variables, ports, shared memory, GPUs; the config's own wins.

Source: pods that the operator made on a real API server, and its code (dynamo, deploy/cloud/operator/internal/dynamo).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ngc.deploy import names
from ngc.deploy.graph import FRONTEND, FRONTEND_COMMAND, WORKER, Graph, Mount, Service

GRACE = 60  # seconds between SIGTERM and SIGKILL
GPU = "nvidia.com/gpu"
SHELL = ("/bin/sh", "-c")  # what the operator runs where a config has no command
MAIN = "main"
_PORTS = {
    FRONTEND: (names.HTTP_PORT, "http"),
    WORKER: (names.SYSTEM_PORT, "system"),
    "planner": (names.PLANNER_PORT, "metrics"),
}
# Fields of mainContainer that are merged with what the operator gives; each other one replaces it.
MERGED = ("env", "envFrom", "resources", "volumeMounts")


def pod(
    graph: Graph, service: Service, etcd: str, nats: str, serving: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The pod's spec. `etcd` and `nats` are URLs, without a scheme for etcd as the operator gives it."""
    extra = {key: value for key, value in (service.spec.get("extraPodSpec") or {}).items() if key != "mainContainer"}
    volumes = [*(extra.pop("volumes", None) or []), *claim_volumes(service.mounts), *_shared_memory(service)]
    others = extra.pop("containers", None) or []
    made: dict[str, Any] = {"terminationGracePeriodSeconds": GRACE, **extra}
    made["containers"] = [_container(graph, service, etcd, nats, serving or {}), *others]
    if volumes:
        made["volumes"] = volumes
    return made


def metrics_port(service: Service) -> int | None:
    """Where a service answers /metrics; None for one that does not, or whose config wants none collected."""
    known = service.type in (FRONTEND, WORKER)
    wanted = (service.spec.get("annotations") or {}).get(names.METRICS_ANNOTATION) != "false"
    return _PORTS[service.type][0] if known and wanted else None


def _container(graph: Graph, service: Service, etcd: str, nats: str, serving: Mapping[str, Any]) -> dict[str, Any]:
    """The container `main`: what the operator gives, then what the config says of it."""
    main, (words, args) = service.main, command(service)
    secret = [{"secretRef": {"name": service.env_from_secret}}] if service.env_from_secret else []
    made: dict[str, Any] = {
        "name": MAIN,
        "image": service.image,
        "workingDir": None,
        "command": words,
        "args": args,
        "ports": _ports(service),
        "env": _environment(graph, service, etcd, nats, serving),
        "envFrom": [*(main.get("envFrom") or []), *secret],
        "resources": resources(service),
        "volumeMounts": _mounts(service),
        **_probes(service),
        **{key: value for key, value in main.items() if key not in MERGED},
    }
    made["name"] = MAIN  # the operator and our own verbs find it by its name
    # A probe of the config's own, beside mainContainer, replaces one whole and wins over mainContainer's.
    made.update({key: service.spec[key] for key in ("readinessProbe", "livenessProbe") if service.spec.get(key)})
    return {key: value for key, value in made.items() if value not in (None, {}, [])}


def command(service: Service) -> tuple[list[str], list[str]]:
    """(command, args). A config that has only args gives them to the operator's command: a frontend's python3, else a shell."""
    first, rest = (FRONTEND_COMMAND[:1], FRONTEND_COMMAND[1:]) if service.type == FRONTEND else (SHELL, ())
    if service.command:
        return list(service.command), list(service.args)
    return list(first), list(service.args or rest)


def _environment(
    graph: Graph, service: Service, etcd: str, nats: str, serving: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Sorted by name, as the operator sorts them: $(NAME) in a value reaches the same variables here and there."""
    injected = {**names.injected(graph, service, etcd, nats), **_cache(service, serving)}
    made: dict[str, Mapping[str, Any]] = {name: {"value": value} for name, value in injected.items()}
    made["DYN_PARENT_DGD_K8S_NAMESPACE"] = {"valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
    made |= service.environment
    return [{"name": name, **entry} for name, entry in sorted(made.items())]


def _cache(service: Service, serving: Mapping[str, Any]) -> dict[str, str]:
    """The variable that tells an engine where its compilation cache is; not every engine has one."""
    variable = serving.get("compilation-cache")
    named = {str(e.get("name")) for e in service.spec.get("volumeMounts") or [] if e.get("useAsCompilationCache")}
    path = next((mount.path for mount in service.mounts if mount.name in named), None)
    return {str(variable): path} if variable and path and service.type == WORKER else {}


def _ports(service: Service) -> list[dict[str, Any]]:
    if service.type not in _PORTS:
        return []
    number, name = _PORTS[service.type]
    return [{"name": name, "containerPort": number, "protocol": "TCP"}]


def resources(service: Service) -> dict[str, Any]:
    """mainContainer's, with the service's own amounts put in."""
    own: Mapping[str, Any] = service.spec.get("resources") or {}
    made: dict[str, Any] = {**(service.main.get("resources") or {})}
    limited = "gpu" in (own.get("limits") or {})
    for kind in ("requests", "limits"):
        if amounts := {**(made.get(kind) or {}), **dict(_amounts(own.get(kind) or {}, limited))}:
            made[kind] = amounts
    if claims := [*(made.get("claims") or []), *(own.get("claims") or [])]:
        made["claims"] = claims
    return made


def _amounts(given: Mapping[str, Any], limited: bool) -> Iterator[tuple[str, str]]:
    """By Kubernetes' names. `limited` False: GPUs are requested and not limited, and the operator then gives none."""
    for key in ("cpu", "memory"):
        if key in given:
            yield key, str(given[key])
    if "gpu" in given and limited:
        yield GPU, str(given["gpu"])
    yield from ((str(name), str(amount)) for name, amount in (given.get("custom") or {}).items())


def _shared_memory(service: Service) -> list[dict[str, Any]]:
    if service.shared_memory is None:
        return []
    return [{"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": service.shared_memory}}]


def claim_volumes(mounts: Sequence[Mount]) -> list[dict[str, Any]]:
    """Volumes of the claims that are mounted, each once."""
    used = dict.fromkeys(mount.name for mount in mounts)
    return [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in used]


def claim_mounts(mounts: Sequence[Mount]) -> list[dict[str, Any]]:
    """Where claims are mounted."""
    return [{"name": mount.name, "mountPath": mount.path} for mount in mounts]


def _mounts(service: Service) -> list[dict[str, Any]]:
    memory = [{"name": "shared-memory", "mountPath": "/dev/shm"}] if service.shared_memory is not None else []
    return [*(service.main.get("volumeMounts") or []), *claim_mounts(service.mounts), *memory]


def _probes(service: Service) -> dict[str, Any]:
    """The operator's probes of a component type."""
    if service.type == FRONTEND:
        times = {"initialDelaySeconds": 60, "periodSeconds": 60, "timeoutSeconds": 30, "failureThreshold": 10}
        check = 'curl -s http://localhost:${DYNAMO_PORT}/health | jq -e ".status == \\"healthy\\""'
        return {
            "readinessProbe": {"exec": {"command": [*SHELL, check]}, **times},
            "livenessProbe": {**_get("/health", "http"), **times},
        }
    if service.type == WORKER:
        return {
            "readinessProbe": {**_get("/health", "system"), **_times(period=10, timeout=30, failures=60)},
            "livenessProbe": {**_get("/live", "system"), **_times(period=5, timeout=30, failures=1)},
            # Two hours to load a model.
            "startupProbe": {**_get("/live", "system"), **_times(period=10, timeout=5, failures=720)},
        }
    return {}


def _get(path: str, port: str) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": port}}


def _times(period: int, timeout: int, failures: int) -> dict[str, int]:
    """Seconds, seconds, and how often in a row."""
    return {"periodSeconds": period, "timeoutSeconds": timeout, "failureThreshold": failures}
