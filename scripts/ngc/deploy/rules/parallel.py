"""Rules about GPUs: what a worker's flags and engine arguments ask for, and what its pod gets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ngc.deploy import serving
from ngc.deploy.commandline import flags
from ngc.deploy.graph import Service
from ngc.deploy.paths import Keys
from ngc.deploy.rules.engine import KINDS, by_engine
from ngc.deploy.rules.rule import ERROR, INFO, WARNING, Found, Subject, at, get, rule
from ngc.deploy.serving import Parallel

GPU = "nvidia.com/gpu"


def needed(subject: Subject, service: Service) -> Parallel:
    """What a worker really runs with: its flags, and over them its engine's arguments."""
    said = {kind: number for kind, (number, _) in by_engine(subject, service).items()}
    return replace(serving.parallel(service, subject.serving), **said)


def _counted(subject: Subject) -> Iterator[Service]:
    """The workers whose parallelism can be read; of the others flag-value says what is wrong."""
    aliases = subject.serving.get("aliases", {})
    for service in subject.workers:
        said = [serving.flag(service.words, subject.serving.get(f"{kind}-parallel"), aliases) for kind in KINDS]
        if all(value is None or (value.isdecimal() and int(value) > 0) for value in said):
            yield service


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
            yield Found(at(service, "resources", "requests", "gpu"), f"requests.gpu is {asked} and limits.gpu is {most}: Kubernetes refuses the pods",
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
    parts = [f"{kind} parallel {n}" for kind in KINDS if (n := getattr(parallel, kind)) > 1]
    nodes = f" on each of {service.nodes} nodes" if service.nodes > 1 else ""
    return (
        f"{' x '.join(parts) or 'it'} needs {_gpu_count(parallel.gpus)}, and it has {_gpus(service, 'limits')}{nodes}"
    )


def _gpu_count(number: int) -> str:
    return f"{number} GPU{'' if number == 1 else 's'}"


@rule("gpu-too-few", ERROR)
def gpu_too_few(subject: Subject) -> Iterator[Found]:
    """Fewer GPUs than tensor x pipeline x data parallel (times nodes): the engine ends, or the operator refuses the graph."""
    for service in _counted(subject):
        wanted, total = needed(subject, service), _total(service)
        if total is not None and total < wanted.gpus:
            gpus = -(-wanted.gpus // service.nodes)
            less = ", or less parallelism" if wanted.gpus > 1 else ""
            yield Found(_flag_place(subject, service), f"{_sum(service, wanted)}: the engine does not start",
                        f'write gpu: "{gpus}" in limits and requests{less}')  # fmt: skip


@rule("gpu-unused", WARNING)
def gpu_unused(subject: Subject) -> Iterator[Found]:
    """More GPUs than the parallelism uses: the others are reserved and idle."""
    for service in _counted(subject):
        wanted, total = needed(subject, service), _total(service)
        if total is not None and total > wanted.gpus:
            idle = f"{total - wanted.gpus} of them {'is' if total - wanted.gpus == 1 else 'are'} reserved and idle"
            yield Found(at(service, "resources", "limits", "gpu"), f"{_sum(service, wanted)}: {idle}",
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
