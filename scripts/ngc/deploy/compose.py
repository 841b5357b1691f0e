"""A graph as a Compose file: one service per replica, because each needs GPUs of its own. No Compose of our own."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ngc.deploy import composeresources as resources
from ngc.deploy import forms, healthcheck, kubernetes, names, platform, podspec
from ngc.deploy.composeresources import Host
from ngc.deploy.graph import FRONTEND, Graph, Keys, Service, at
from ngc.deploy.paths import text
from ngc.deploy.prepare import Prepared
from ngc.errors import Wrong

ETCD, NATS = "etcd-server", "nats-server"
ETCD_URL, NATS_URL = f"http://{ETCD}:2379", f"nats://{NATS}:4222"
# Dynamo's processes end at once when etcd or NATS cannot be reached, so these are asked often; others seldom.
PLATFORM_CHECK = {"interval": "1s", "timeout": "5s", "retries": 60}
HF_HOME = "/huggingface"
_MAIN = ("extraPodSpec", "mainContainer")
TAKEN = ("compose.yaml", "compose.json", "keep.json", "stack.json")  # files of ours that lie beside those of ConfigMaps
MOST_PROCESSES = 256  # of one machine; more is a slip of the finger, and takes Compose minutes to read


def document(prepared: Prepared, host: Host | None = None) -> dict[str, Any]:
    """The Compose file. Raises Wrong for what one machine cannot do, and for GPUs that it does not have."""
    graph, host = prepared.graph, host or Host(ulimits={"memlock": -1, "stack": 67108864})
    for refusal in _refusals(graph):
        raise Wrong(refusal)
    files(graph)  # their names are held to what a file may be called
    if (total := sum(service.replicas for service in graph.services)) > MOST_PROCESSES:
        raise Wrong(f"{graph.name} has {total} processes, and Compose is one machine; use fewer replicas with --set")
    image = next(service.image for service in (graph.frontend, *graph.services) if service is not None)
    services = {ETCD: _etcd(image), NATS: _nats(image)}
    shares = resources.gpus(graph, host)
    for name, service, number in resources.replicas(graph):
        services[name] = _process(graph, service, number, shares.get(name, ()), host)
    volumes: dict[str, Any] = {name: {} for name in graph.claims}
    return {"services": in_its_words(services), **({"volumes": volumes} if volumes else {})}


class Filled(str):
    """A text in which Compose is to put the values of variables: `${NAME}` is one, `$$` is a dollar sign."""

    __slots__ = ()


def in_its_words(data: Any) -> Any:
    """Data whose texts mean in Compose what they mean here: it looks for variables in all but those that are Filled."""
    if isinstance(data, Mapping):
        return {key: in_its_words(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [in_its_words(item) for item in data]
    if isinstance(data, str):
        return str(data) if isinstance(data, Filled) else data.replace("$", "$$")
    return data


def files(graph: Graph) -> dict[str, str]:
    """Files that must lie beside the Compose file: the ConfigMaps of the config, by path. Raises Wrong for a name that is none."""
    made = {}
    for folder, contents in graph.config_maps.items():
        if not forms.SUBDOMAIN.takes(folder) or folder in TAKEN:
            raise Wrong(
                f"{graph.path}: a ConfigMap is named '{folder}', and a folder must have its name; {forms.SUBDOMAIN.write}"
            )
        for key, content in contents.items():
            if not forms.DATA_KEY.takes(key):
                raise Wrong(
                    f"{graph.path}: the ConfigMap {folder} has the key '{key}', and a file must have its name; {forms.DATA_KEY.write}"
                )
            made[f"{folder}/{key}"] = content
    return made


def _refusals(graph: Graph) -> Iterator[str]:
    """What one machine cannot do, with the place and what to do instead."""
    for keys, name in kubernetes.operators_own(graph):
        yield _refusal(graph, keys, f"{name} is for Kubernetes")
    for service in graph.services:
        for field, why in _not_compose(service):
            yield _refusal(graph, ("spec", "services", service.key, *field), f"{service.key} {why}")


def _refusal(graph: Graph, keys: Sequence[str], what: str) -> str:
    # Without its type a planner would be a service of no type; without it all others still serve.
    out = keys[:-1] if keys[-1] == "componentType" else keys
    place = kubernetes.place(graph, *keys)
    return f"{place}: {what}; deploy it to a cluster, or take it out with --set {shlex.quote(f'{text(out)}=null')}"


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
    if (unknown := healthcheck.not_compose(service)) is not None:
        yield ("readinessProbe",), unknown
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
        "volumes": [*_volumes(graph, service), *_host_folders(graph, service, host)] or None,
        "networks": {"default": {"aliases": [names.component(graph, service)]}},
        **resources.limits(graph, service),
        **resources.devices(service, gpus, host),
        "init": True,
        # Frontends and workers end with 0 when etcd goes away: on-failure would not bring them back.
        "restart": "always",
        "depends_on": {name: {"condition": "service_healthy"} for name in (ETCD, NATS)},
        "healthcheck": healthcheck.of(service),
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


def _expanded(text: str, known: Mapping[str, str | None]) -> str:
    """Text as a pod gets it, where $(NAME) is a variable's value and $$ is $, in Compose's words. `known` is in them already."""

    def one(match: re.Match[str]) -> str:
        name = match["name"]
        if name is None:
            return "$$"
        if name not in known:
            return match[0].replace("$", "$$")
        value = known[name]
        return f"${{{name}}}" if value is None else value

    return Filled(re.sub(r"\$\$|\$\((?P<name>[^)]*)\)|\$", one, text))


def _volumes(graph: Graph, service: Service) -> list[str]:
    found = [_volume(graph, at(service, "volumeMounts"), mount.name, mount.path) for mount in service.mounts]
    volumes = {str(v["name"]): v for v in (service.spec.get("extraPodSpec") or {}).get("volumes") or [] if "name" in v}
    for number, mount in enumerate(service.main.get("volumeMounts") or []):
        volume, path = volumes.get(str(mount.get("name")), {}), str(mount.get("mountPath"))
        where = at(service, *_MAIN, "volumeMounts", number)
        mode = ["ro"] if mount.get("readOnly") else []
        if "configMap" in volume:
            name = str((volume["configMap"] or {}).get("name"))
            if name not in graph.config_maps:
                what = f"{service.key} mounts the ConfigMap {name}, which is not in this file"
                raise Wrong(f"{kubernetes.place(graph, *where)}: {what}; add it, or take the mount out")
            found.append(_volume(graph, where, f"./{name}", path, "ro"))
        elif "hostPath" in volume:
            folder = str((volume["hostPath"] or {}).get("path"))
            if not folder.startswith("/"):  # Compose would take it for a volume of that name, or one beside its file
                raise Wrong(
                    f"{kubernetes.place(graph, *where)}: {service.key} mounts {folder} of this machine; write an absolute path"
                )
            found.append(_volume(graph, where, folder, path, *mode))
        elif "emptyDir" in volume:
            found.append(_volume(graph, where, path))  # a volume without a name, gone with the container
        else:
            kind = ", ".join(sorted(set(volume) - {"name"})) or "nothing"
            what = f"{service.key} mounts {path} from {kind}, which Compose has not"
            raise Wrong(f"{kubernetes.place(graph, *where)}: {what}; use configMap, hostPath, emptyDir or spec.pvcs")
    return found


def _volume(graph: Graph, where: Keys, *parts: str) -> str:
    """A volume in Compose's short form. Raises Wrong for a part that it would take for two."""
    for part in parts:
        if ":" in part:
            raise Wrong(
                f"{kubernetes.place(graph, *where)}: '{part}' has a colon, which parts source and target in Compose; name another path"
            )
    return ":".join(parts)


def _host_folders(graph: Graph, service: Service, host: Host) -> list[str]:
    cache = host.cache if "HF_HOME" not in service.environment and not service.mounts else None
    own = [_volume(graph, at(service), cache, HF_HOME)] if cache else []
    return [*own, *(_volume(graph, at(service), folder, folder, "ro") for folder in host.binds)]


def _user(service: Service) -> str | None:
    context = service.main.get("securityContext") or {}
    if "runAsUser" not in context:
        return None
    return f"{context['runAsUser']}" + (f":{context['runAsGroup']}" if "runAsGroup" in context else "")
