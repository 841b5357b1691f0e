"""A graph as a Compose file: one service per replica, because each needs GPUs of its own. No Compose of our own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ngc.deploy import kubernetes, names, platform, podspec
from ngc.deploy.graph import FRONTEND, Graph, Keys, Service
from ngc.deploy.prepare import Prepared
from ngc.errors import Wrong

ETCD, NATS = "etcd-server", "nats-server"
ETCD_URL, NATS_URL = f"http://{ETCD}:2379", f"nats://{NATS}:4222"
# Dynamo's processes end at once when etcd or NATS cannot be reached, so these are asked often; others seldom.
PLATFORM_CHECK = {"interval": "1s", "timeout": "5s", "retries": 60}
OFFLINE = "HF_HUB_OFFLINE"
HF_HOME = "/huggingface"
_MAIN = ("extraPodSpec", "mainContainer")
_SIZES = {"Ki": "kb", "Mi": "mb", "Gi": "gb", "K": "kb", "M": "mb", "G": "gb"}


@dataclass(frozen=True)
class Host:
    """What one machine gives a stack. `gpus` None: as many as the graph asks for, numbered from 0."""

    port: int = names.HTTP_PORT
    gpus: tuple[int, ...] | None = None
    gpu: bool = True  # False: GPUs that the config asks for are left out
    ulimits: Mapping[str, int] = ()  # type: ignore[assignment]  # for services with a GPU; -1 for no limit
    cache: str | None = None  # folder of Hugging Face downloads on this machine
    binds: tuple[str, ...] = ()  # folders that every process sees at the same path


def replicas(graph: Graph) -> Iterator[tuple[str, Service, int]]:
    """(name of the Compose service, service, number) of every process."""
    for service in graph.services:
        for number in range(service.replicas):
            yield f"{service.key.lower()}-{number}", service, number


def document(prepared: Prepared, host: Host | None = None) -> dict[str, Any]:
    """The Compose file. Raises Wrong for what one machine cannot do, and for GPUs that it does not have."""
    graph, host = prepared.graph, host or Host(ulimits={"memlock": -1, "stack": 67108864})
    for text in _refusals(graph):
        raise Wrong(text)
    image = next(service.image for service in (graph.frontend, *graph.services) if service is not None)
    services = {ETCD: _etcd(image), NATS: _nats(image)}
    shares = _gpus(graph, host)
    for name, service, number in replicas(graph):
        services[name] = _process(graph, service, number, shares.get(name, ()), host)
    volumes: dict[str, Any] = {name: {} for name in graph.claims}
    return {"services": services, **({"volumes": volumes} if volumes else {})}


def files(graph: Graph) -> dict[str, str]:
    """Files that must lie beside the Compose file: the ConfigMaps of the config, by path."""
    return {
        f"{_name(entry)}/{key}": str(text)
        for entry in graph.beside
        if entry.get("kind") == "ConfigMap"
        for key, text in (entry.get("data") or {}).items()
    }


def _refusals(graph: Graph) -> Iterator[str]:
    """What one machine cannot do, with the place and what to do instead."""
    instead = "deploy it to a cluster, or take it out with --set"
    for keys, name in kubernetes.operators_own(graph):
        yield f"{kubernetes.place(graph, *keys)}: {name} is for Kubernetes; {instead}"
    for service in graph.services:
        for field, why in _not_compose(service):
            yield f"{kubernetes.place(graph, 'spec', 'services', service.key, *field)}: {service.key} {why}; {instead}"


def _not_compose(service: Service) -> Iterator[tuple[tuple[str, ...], str]]:
    """(field, what a service is or wants) of each thing that Compose has not."""
    spec, pod = service.spec, service.spec.get("extraPodSpec") or {}
    if service.nodes > 1:
        yield ("multinode",), f"runs on {service.nodes} nodes, and Compose is one machine"
    if service.type == "planner":
        yield ("componentType",), "is a planner, which asks Kubernetes to scale"
    if (spec.get("autoscaling") or {}).get("enabled"):
        yield ("autoscaling",), "wants autoscaling, which Compose does not do"
    if (spec.get("ingress") or {}).get("enabled"):
        yield ("ingress",), "wants an ingress, and Compose publishes a port"
    for field in ("containers", "initContainers"):
        if pod.get(field):
            yield ("extraPodSpec", field), "has more containers than one, and each would need a network of the pod"
    if service.main.get("envFrom"):
        yield (*_MAIN, "envFrom"), "takes variables from an object of Kubernetes (envFrom)"


def _etcd(image: str | None) -> dict[str, Any]:
    return _platform(image, platform.etcd("/tmp/etcd", ETCD_URL), "curl -fsS http://127.0.0.1:2379/health")


def _nats(image: str | None) -> dict[str, Any]:
    return _platform(image, platform.nats("/tmp/nats"), "curl -fsS http://127.0.0.1:8222/healthz")


def _platform(image: str | None, command: list[str], check: str) -> dict[str, Any]:
    return {
        "image": image,
        "entrypoint": command[:1],
        "command": command[1:],
        "restart": "always",
        "healthcheck": {"test": ["CMD-SHELL", check], **PLATFORM_CHECK},
    }


def _process(graph: Graph, service: Service, number: int, gpus: Sequence[int], host: Host) -> dict[str, Any]:
    entrypoint, command = podspec.command(service)
    environment = _environment(graph, service, host)
    made: dict[str, Any] = {
        "image": service.image,
        "entrypoint": [_expanded(word, environment) for word in entrypoint],
        "command": [_expanded(word, environment) for word in command],
        "working_dir": service.working_dir,
        "environment": environment,
        "user": _user(service),
        "ports": [f"127.0.0.1:{host.port + number}:{names.HTTP_PORT}"] if service.type == FRONTEND else None,
        "volumes": [*_volumes(graph, service), *_host_folders(service, host)] or None,
        "networks": {"default": {"aliases": [names.component(graph, service)]}},
        "shm_size": _size(service.shared_memory) if service.shared_memory else None,
        **_limits(service),
        **_devices(service, gpus, host),
        "init": True,
        # Frontends and workers end with 0 when etcd goes away: on-failure would not bring them back.
        "restart": "always",
        "depends_on": {name: {"condition": "service_healthy"} for name in (ETCD, NATS)},
        "healthcheck": _healthcheck(service),
    }
    return {key: value for key, value in made.items() if value is not None}


def _environment(graph: Graph, service: Service, host: Host) -> dict[str, str | None]:
    """Variables by name; None is taken from the shell that runs Compose, so no secret is ever in the file."""
    made: dict[str, str | None] = dict(names.injected(graph, service, ETCD_URL, NATS_URL))
    made["HF_TOKEN"] = None
    if host.cache is not None and not any(mount.path for mount in service.mounts):
        made["HF_HOME"] = HF_HOME
    for name, entry in service.environment.items():
        source = entry.get("valueFrom")
        if source is None:
            made[name] = str(entry.get("value", ""))
        elif "secretKeyRef" in source:
            made[name] = None
        else:
            where = kubernetes.place(graph, *_where(service, name))
            what = f"{service.key} takes {name} from {', '.join(source)}, which Compose has not"
            raise Wrong(f"{where}: {what}; give it a value with --set")
    done: dict[str, str | None] = {}
    for name, value in sorted(made.items()):  # in the order of the pod, where each may name those before it
        done[name] = None if value is None else _expanded(value, done)
    return done


def _where(service: Service, name: str) -> Keys:
    """The path of the entry that gives a variable: the container's, else the service's, else the graph's."""
    for keys, holder in (((*_MAIN, "env"), service.main), (("envs",), service.spec)):
        for number, entry in enumerate(holder.get(str(keys[-1])) or []):
            if entry.get("name") == name:
                return ("spec", "services", service.key, *keys, number)
    return ("spec", "envs")


def _literal(text: str) -> str:
    """Text that Compose must not look for variables in."""
    return text.replace("$", "$$")


def _expanded(text: str, known: Mapping[str, str | None]) -> str:
    """Text as a pod gets it, where $(NAME) is a variable's value and $$ is $, in Compose's words. `known` is in them already."""

    def one(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return "$$"
        if name not in known:
            return _literal(match[0])
        value = known[name]
        return f"${{{name}}}" if value is None else value

    return re.sub(r"\$\$|\$\((?P<name>[^)]*)\)|\$", one, text)


def _volumes(graph: Graph, service: Service) -> list[str]:
    found = [f"{mount.name}:{mount.path}" for mount in service.mounts]
    volumes = {str(v["name"]): v for v in (service.spec.get("extraPodSpec") or {}).get("volumes") or [] if "name" in v}
    for number, mount in enumerate(service.main.get("volumeMounts") or []):
        volume, path = volumes.get(str(mount.get("name")), {}), str(mount.get("mountPath"))
        read_only = ":ro" if mount.get("readOnly") else ""
        if "configMap" in volume:
            found.append(f"./{volume['configMap']['name']}:{path}:ro")
        elif "hostPath" in volume:
            found.append(f"{volume['hostPath']['path']}:{path}{read_only}")
        elif "emptyDir" in volume:
            found.append(path)  # a volume without a name, gone with the container
        else:
            kind = ", ".join(sorted(set(volume) - {"name"})) or "nothing"
            where = kubernetes.place(graph, "spec", "services", service.key, *_MAIN, "volumeMounts", number)
            what = f"{service.key} mounts {path} from {kind}, which Compose has not"
            raise Wrong(f"{where}: {what}; use configMap, hostPath, emptyDir or spec.pvcs")
    return found


def _host_folders(service: Service, host: Host) -> list[str]:
    cache = host.cache if "HF_HOME" not in service.environment and not service.mounts else None
    return [*([f"{cache}:{HF_HOME}"] if cache else []), *(f"{folder}:{folder}:ro" for folder in host.binds)]


def _gpus(graph: Graph, host: Host) -> dict[str, tuple[int, ...]]:
    """GPU numbers of each process. `count: n` would always mean 0..n-1, and prefill and decode would share GPU 0."""
    wanted = {name: service.gpus for name, service, _ in replicas(graph) if service.gpus}
    if not host.gpu or not wanted:
        return {}
    total = sum(wanted.values())
    free = list(range(total)) if host.gpus is None else list(host.gpus)
    if total > len(free):
        needs = ", ".join(f"{name} {count}" for name, count in wanted.items())
        raise Wrong(
            f"{graph.name} needs {total} GPUs ({needs}) and {len(free)} {'is' if len(free) == 1 else 'are'} here; "
            "use fewer replicas with --set, a config for one GPU, or --base=stand-in, which needs none"
        )
    shares = {}
    for name, count in wanted.items():
        shares[name], free = tuple(free[:count]), free[count:]
    return shares


def _devices(service: Service, gpus: Sequence[int], host: Host) -> dict[str, Any]:
    """GPUs and RDMA devices, and the limits that they need: only there, for not every host can raise them."""
    made: dict[str, Any] = {}
    if gpus:
        device = {"driver": "nvidia", "device_ids": [str(number) for number in gpus], "capabilities": ["gpu"]}
        made["deploy"] = {"resources": {"reservations": {"devices": [device]}}}
    rdma = host.gpu and any(name.startswith("rdma/") for name in _custom(service))
    if rdma:
        made["devices"] = ["/dev/infiniband:/dev/infiniband"]
    if (gpus or rdma) and host.ulimits:
        made["ulimits"] = {name: {"soft": value, "hard": value} for name, value in host.ulimits.items()}
    capabilities = ((service.main.get("securityContext") or {}).get("capabilities") or {}).get("add") or []
    return {**made, **({"cap_add": list(capabilities)} if capabilities and (gpus or rdma) else {})}


def _custom(service: Service) -> Mapping[str, Any]:
    return ((service.spec.get("resources") or {}).get("limits") or {}).get("custom") or {}


def _limits(service: Service) -> dict[str, Any]:
    limits = (service.spec.get("resources") or {}).get("limits") or {}
    made: dict[str, Any] = {"mem_limit": _size(limits["memory"])} if "memory" in limits else {}
    if "cpu" in limits:
        text = str(limits["cpu"])
        made["cpus"] = float(text[:-1]) / 1000 if text.endswith("m") else float(text)
    return made


def _size(quantity: str) -> str:
    """A Kubernetes quantity in Compose's words: 8Gi is 8gb, both 2^33 bytes."""
    for unit, word in _SIZES.items():
        if quantity.endswith(unit):
            return quantity[: -len(unit)] + word
    return quantity


def _user(service: Service) -> str | None:
    context = service.main.get("securityContext") or {}
    if "runAsUser" not in context:
        return None
    return f"{context['runAsUser']}" + (f":{context['runAsGroup']}" if "runAsGroup" in context else "")


def _healthcheck(service: Service) -> dict[str, Any] | None:
    probe = service.spec.get("readinessProbe") or {}
    port, path = (names.HTTP_PORT, "/health") if service.type == FRONTEND else (names.SYSTEM_PORT, "/health")
    if "exec" in probe:
        test = ["CMD", *(_literal(word) for word in probe["exec"]["command"])]
    elif service.type in (FRONTEND, "worker"):
        asked = probe.get("httpGet") or {}
        test = ["CMD-SHELL", f"curl -fsS http://127.0.0.1:{asked.get('port', port)}{asked.get('path', path)}"]
    else:
        return None
    # A worker may load its model for two hours, as long as the operator's start-up probe lets it.
    return {"test": test, "interval": "10s", "timeout": "5s", "retries": 6, "start_period": "7200s"}


def _name(entry: Mapping[str, Any]) -> str:
    return str(PurePosixPath((entry.get("metadata") or {}).get("name", "config")).name)
