"""What the processes of a Compose file share of one machine: GPUs, RDMA devices, memory, cores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ngc.deploy import kubernetes, names, quantity
from ngc.deploy.graph import Graph, Service
from ngc.deploy.paths import text
from ngc.errors import Wrong

_SIZES = {"gb": 2**30, "mb": 2**20, "kb": 2**10}


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


def gpus(graph: Graph, host: Host) -> dict[str, tuple[int, ...]]:
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


def devices(service: Service, gpus: Sequence[int], host: Host) -> dict[str, Any]:
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


def limits(graph: Graph, service: Service) -> dict[str, Any]:
    """Shared memory, memory and cores that a process may use."""
    where = ("spec", "services", service.key, "resources", "limits")
    most = (service.spec.get("resources") or {}).get("limits") or {}
    made: dict[str, Any] = {}
    if service.shared_memory:
        made["shm_size"] = _size(graph, service.shared_memory, "spec", "services", service.key, "sharedMemory", "size")
    if "memory" in most:
        made["mem_limit"] = _size(graph, most["memory"], *where, "memory")
    if "cpu" in most:
        made["cpus"] = float(_amount(graph, most["cpu"], *where, "cpu"))
    return made


def _size(graph: Graph, value: Any, *keys: str) -> str:
    """A Kubernetes quantity in Compose's words, whose gb, mb and kb are powers of 1024: 8Gi is 8gb, 1M is 1000000b."""
    size = int(_amount(graph, value, *keys))
    unit = next((unit for unit, one in _SIZES.items() if size and size % one == 0), "b")
    return f"{size // _SIZES.get(unit, 1)}{unit}"


def _amount(graph: Graph, value: Any, *keys: str) -> Decimal:
    amount = quantity.parse(str(value))
    if amount is None or amount < 0:
        raise Wrong(
            f"{kubernetes.place(graph, *keys)}: {text(keys)} is '{value}'; write a quantity such as 500m, 2 or 8Gi"
        )
    return amount
