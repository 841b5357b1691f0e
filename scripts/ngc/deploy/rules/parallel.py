"""Rules about GPUs: what a worker's flags and engine file ask for, and what its pod gets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from posixpath import join, normpath
from typing import Any

from ngc.deploy import serving
from ngc.deploy.commandline import flags
from ngc.deploy.graph import Graph, Service, plain
from ngc.deploy.paths import Keys
from ngc.deploy.rules.rule import ERROR, INFO, WARNING, Found, Subject, at, entries, get, in_main, rule
from ngc.deploy.serving import Parallel

GPU = "nvidia.com/gpu"
KINDS = ("tensor", "pipeline", "data")  # the fields of Parallel


@dataclass(frozen=True)
class EngineFile:
    """The engine file that a worker is given, where it comes from a ConfigMap of the same file. `text` None: the map lacks it."""

    path: str
    config_map: str
    text: str | None

    @property
    def data(self) -> Mapping[str, Any] | None:
        """Its content, None where that is no mapping."""
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        try:
            data = plain(YAML(typ="safe").load(self.text or ""))
        except YAMLError:
            return None
        return {} if data is None else data if isinstance(data, Mapping) else None


def config_maps(graph: Graph, service: Service) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """(mount path, name, files) of each ConfigMap of the file that a service mounts whole."""
    maps = {str(get(m, "metadata", "name")): m for m in graph.beside if m.get("kind") == "ConfigMap"}
    volumes = {
        str(v.get("name")): get(v, "configMap", "name") for v in entries(get(service.spec, "extraPodSpec", "volumes"))
    }
    for mount in entries(service.main.get("volumeMounts")):
        name = volumes.get(str(mount.get("name")))
        if name in maps and "subPath" not in mount:
            yield str(mount.get("mountPath")), str(name), get(maps[name], "data") or {}


def engine_file(subject: Subject, service: Service) -> EngineFile | None:
    """The worker's engine file, where its content can be known."""
    path = serving.flag(service.words, subject.serving.get("engine-file"), subject.serving.get("aliases", {}))
    if not path:
        return None
    path = normpath(join(service.working_dir or "/", path))
    for folder, name, files in config_maps(subject.graph, service):
        if path.startswith(folder.rstrip("/") + "/"):
            return EngineFile(path, name, files.get(path[len(folder.rstrip("/")) + 1 :]))
    return None


def _by_file(subject: Subject, service: Service) -> dict[str, int]:
    """The parallelism that the engine file says: kind to number. Its keys are named as the flags are."""
    file = engine_file(subject, service)
    data = (file.data if file else None) or {}
    keys = {kind: str(subject.serving.get(f"{kind}-parallel", "")).lstrip("-").replace("-", "_") for kind in KINDS}
    return {kind: data[key] for kind, key in keys.items() if isinstance(data.get(key), int)}


def needed(subject: Subject, service: Service) -> Parallel:
    """What a worker really runs with: its flags, and over them its engine file."""
    return replace(serving.parallel(service, subject.serving), **_by_file(subject, service))


def _gpus(service: Service, kind: str) -> Any:
    """The GPUs of `requests` or `limits`, also where they are not said by the field `gpu`; None for nothing said."""
    resources = get(service.spec, "resources", kind)
    own = get(service.main, "resources", kind, GPU)
    return next((v for v in (get(resources, "gpu"), get(resources, "custom", GPU), own) if v is not None), None)


def _flag_place(subject: Subject, service: Service) -> Keys:
    """Where a worker's parallelism is said first."""
    names = {subject.serving.get(f"{kind}-parallel") for kind in KINDS}
    table = subject.worker_flags
    found = (f.keys for f in flags(service) if table and table.name(f.head) in names)
    return next(found, at(service, "resources", "limits", "gpu"))


@rule("gpu-only-requested", ERROR)
def gpu_only_requested(subject: Subject) -> Iterator[Found]:
    """`requests.gpu` without `limits.gpu`: the pod gets no GPU, and the graph is called successful."""
    for service in subject.graph.services:
        if _gpus(service, "requests") is not None and _gpus(service, "limits") is None:
            yield Found(at(service, "resources", "requests", "gpu"), "gpu is requested and not limited: the pod gets no GPU",
                        f'add resources.limits.gpu: "{_gpus(service, "requests")}"')  # fmt: skip


@rule("gpu-not-a-number", ERROR)
def gpu_not_a_number(subject: Subject) -> Iterator[Found]:
    """A number of GPUs that is none: the graph stays pending, and only a child object says why."""
    for service in subject.graph.services:
        for kind in ("requests", "limits"):
            value = get(service.spec, "resources", kind, "gpu")
            if isinstance(value, str) and not re.fullmatch(r"\d+", value):
                yield Found(at(service, "resources", kind, "gpu"), f"'{value}' is no number of GPUs: the graph stays pending",
                            'write a number in quotes, such as "1"')  # fmt: skip


@rule("gpu-differs", ERROR)
def gpu_differs(subject: Subject) -> Iterator[Found]:
    """Different numbers of GPUs in requests and limits: Kubernetes refuses the pods."""
    for service in subject.graph.services:
        asked, most = _gpus(service, "requests"), _gpus(service, "limits")
        if asked is not None and most is not None and str(asked) != str(most):
            yield Found(at(service, "resources", "requests", "gpu"), f"{asked} GPUs are requested and {most} are the limit: Kubernetes refuses the pods",
                        "write the same number in both")  # fmt: skip


@rule("no-gpu", ERROR)
def no_gpu(subject: Subject) -> Iterator[Found]:
    """A worker without any GPU: its engine finds none and ends."""
    for service in subject.workers:
        if _gpus(service, "requests") is None and _gpus(service, "limits") is None:
            yield Found(at(service, "resources"), "it has no GPU: the engine finds none and ends",
                        f'add resources.limits.gpu: "{max(1, needed(subject, service).gpus // service.nodes)}"')  # fmt: skip


def _total(service: Service) -> int | None:
    value = str(_gpus(service, "limits"))
    return int(value) * service.nodes if value.isdecimal() else None


def _sum(service: Service, parallel: Parallel) -> str:
    parts = [f"{kind} {n}" for kind in KINDS if (n := getattr(parallel, kind)) > 1] or ["one GPU"]
    nodes = f" on each of {service.nodes} nodes" if service.nodes > 1 else ""
    return f"{' x '.join(parts)} wants {parallel.gpus}, and it has {_gpus(service, 'limits')}{nodes}"


@rule("gpu-too-few", ERROR)
def gpu_too_few(subject: Subject) -> Iterator[Found]:
    """Fewer GPUs than tensor x pipeline x data parallel (times nodes): the engine ends, or the operator refuses the graph."""
    for service in subject.workers:
        wanted, total = needed(subject, service), _total(service)
        if total is not None and total < wanted.gpus:
            gpus = -(-wanted.gpus // service.nodes)
            yield Found(_flag_place(subject, service), f"{_sum(service, wanted)}: the engine does not start",
                        f'write gpu: "{gpus}" in limits and requests, or less parallelism')  # fmt: skip


@rule("gpu-unused", WARNING)
def gpu_unused(subject: Subject) -> Iterator[Found]:
    """More GPUs than the parallelism uses: the others are reserved and idle."""
    for service in subject.workers:
        wanted, total = needed(subject, service), _total(service)
        if total is not None and total > wanted.gpus:
            yield Found(at(service, "resources", "limits", "gpu"), f"{_sum(service, wanted)}: {total - wanted.gpus} of them are reserved and idle",
                        "raise the parallelism, or lower gpu")  # fmt: skip


@rule("shared-memory-off", WARNING)
def shared_memory_off(subject: Subject) -> Iterator[Found]:
    """Shared memory switched off with several GPUs: their processes talk through /dev/shm, and fail (dynamo#2616)."""
    for service in subject.workers:
        if service.shared_memory is None and needed(subject, service).gpus > 1:
            yield Found(at(service, "sharedMemory", "disabled"), "its processes on several GPUs talk through /dev/shm, which is 64 MiB then: they fail",
                        "take `disabled` out; the default is 8Gi")  # fmt: skip


@rule("multinode-orchestrator", INFO)
def multinode_orchestrator(subject: Subject) -> Iterator[Found]:
    """A worker over several nodes: without Grove or LeaderWorkerSet in the cluster the graph fails."""
    for service in subject.graph.services:
        if service.nodes > 1:
            yield Found(at(service, "multinode"), "it needs Grove or LeaderWorkerSet in the cluster; without, the graph fails",
                        "install one of them before the Dynamo operator starts")  # fmt: skip


@rule("engine-file", ERROR)
def engine_file_is_there(subject: Subject) -> Iterator[Found]:
    """An engine file that the mounted ConfigMap does not have, or that is no YAML mapping: the worker ends at once."""
    for service in subject.workers:
        file = engine_file(subject, service)
        if file is not None and (file.text is None or file.data is None):
            state = "has no such file" if file.text is None else "holds no YAML mapping there"
            keys = next(
                (f.keys for f in flags(service) if f.head == subject.serving["engine-file"]), in_main(service, "args")
            )
            yield Found(keys, f"{file.path}: the ConfigMap {file.config_map} {state}: the worker ends at once",
                        "name a key of the ConfigMap" if file.text is None else "mend the text in the ConfigMap")  # fmt: skip


@rule("engine-file-wins", WARNING)
def engine_file_wins(subject: Subject) -> Iterator[Found]:
    """Parallelism in the engine file that contradicts the flags: the file wins, and the operator believes the flags."""
    for service in subject.workers:
        said = serving.parallel(service, subject.serving)
        for kind, number in _by_file(subject, service).items():
            if getattr(said, kind) != number:
                what = f"the engine file says {kind} parallel {number}, the flags {getattr(said, kind)}: the file wins, the operator reads the flags"
                yield Found(
                    _flag_place(subject, service), what, f'write {subject.serving[f"{kind}-parallel"]} "{number}"'
                )
