"""Is my KV cache on RDMA? Two pods like the deployment's workers, between them NIXL's own transfers, and what UCX took for them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ngc.deploy.cluster import kubectl, pods, revisions
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.cluster.revisions import Revision
from ngc.deploy.watching import watching
from ngc.errors import Failed, Wrong

LABEL = "ngc-dynamo/bench"
PORT = 19000
SIZES = "64K,1M,16M"  # bytes of one transfer; KV blocks of a prompt are handed over in pieces of this order
SECONDS = "1"  # for each size
# A GPU that the scheduler only counts is none: the tool measures GPU memory where the driver is.
START = 'memory=dram; if [ -e /dev/nvidiactl ]; then memory=vram; fi; exec bench-nixl --memory "$memory" "$@"'
# Settings of a worker that decide which way UCX takes.
DECIDING = ("UCX_", "NIXL_", "NCCL_IB")
SLOW = ("tcp",)
HERE = ("cuda_ipc", "sysv", "posix", "cma", "xpmem", "self")  # transports that never leave a machine


@dataclass(frozen=True)
class Row:
    """Transfers of one size; the latency is the median."""

    size_bytes: int
    gigabytes_per_second: float
    latency_us: float
    transport: str
    equal: bool


@dataclass(frozen=True)
class Measured:
    """What was measured from one node to another, and what it means for the hand-over."""

    image: str
    nodes: tuple[str, str]
    rows: tuple[Row, ...]
    verdict: str


def bench(cluster: Cluster, graph: str | None, image: str | None) -> Measured:
    """Measure between two pods with the workers' own settings; they are removed whatever happens. Raises Wrong, Failed."""
    revision = revisions.current(cluster, graph)
    pod = _like_a_worker(cluster, revision, image or _benchmark(revision.image))
    try:
        with watching() as update:
            listening = pods.create(cluster, _pod(revision, "listen", pod, ["--listen", str(PORT)]))
            pods.until(cluster, listening, update, lambda: "listening on" in pods.log(cluster, listening))
            address = pods.read(cluster, listening)["status"]["podIP"]
            words = ["--connect", f"{address}:{PORT}", "--op", "read", "--size", SIZES, "--seconds", SECONDS, "--json"]
            asking = pods.create(cluster, _pod(revision, "connect", pod, words))
            pods.until(cluster, asking, update, lambda: pods.ended(cluster, asking))
        return _measured(cluster, pod["containers"][0]["image"], listening, asking)
    finally:
        kubectl.call(
            cluster, "delete", "pods", "--selector", f"{LABEL}={revision.graph}", "--grace-period=1", "--wait=false"
        )


def _benchmark(runtime: str | None) -> str:
    """The benchmark image beside the runtime image. Raises Wrong where its name does not tell."""
    if runtime is None or "-runtime:" not in runtime:
        raise Wrong(
            f"which image has bench-nixl? {runtime or 'the deployment'} names none beside it; add --image=...-benchmark:TAG"
        )
    return runtime.replace("-runtime:", "-benchmark:")


def _like_a_worker(cluster: Cluster, revision: Revision, image: str) -> dict[str, Any]:
    """A pod's spec with what decides a worker's way through the network: devices, rights, NICs, and where it may run."""
    part = next((part for part in reversed(revision.parts) if part.deployment != revision.frontend), None)
    found = kubectl.get(cluster, f"deployment/{part.deployment}") if part else []
    if not found:
        raise Failed(
            f"{revision.graph} has no worker here to take devices and NICs from; `invoke status` says how it is"
        )
    spec = found[0]["spec"]["template"]["spec"]
    worker = next((c for c in spec["containers"] if c["name"] == "main"), spec["containers"][0])
    container = {
        "name": "main",
        "image": image,
        "env": [entry for entry in worker.get("env") or [] if entry["name"].startswith(DECIDING)],
        "resources": worker.get("resources") or {},
        "securityContext": worker.get("securityContext") or {},
    }
    keys = ("nodeSelector", "tolerations", "imagePullSecrets", "runtimeClassName", "hostNetwork", "serviceAccountName")
    return {**{key: spec[key] for key in keys if key in spec}, "containers": [container]}


def _pod(revision: Revision, side: str, spec: Mapping[str, Any], words: Sequence[str]) -> dict[str, Any]:
    labels = {LABEL: revision.graph}
    # Two nodes where there are two: on one of them RDMA may never be asked.
    apart = {"labelSelector": {"matchLabels": labels}, "topologyKey": "kubernetes.io/hostname"}
    affinity = {
        "podAntiAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": apart}]
        }
    }
    container = {**spec["containers"][0], "command": ["sh", "-c", START, "bench-nixl", *words]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": f"{revision.graph}-bench-{side}-", "labels": labels},
        "spec": {**spec, "restartPolicy": "Never", "affinity": affinity, "containers": [container]},
    }


def _measured(cluster: Cluster, image: str, listening: str, asking: str) -> Measured:
    both = [pods.read(cluster, name) for name in (listening, asking)]
    text = pods.log(cluster, asking)
    try:
        results = json.loads(text[text.index("{") :])["results"]
    except ValueError:
        last = [line for line in text.splitlines() if line.strip()][-1:]
        raise Failed(f"bench-nixl did not measure: {(last or ['it said nothing'])[0]}") from None
    rows = tuple(
        Row(
            r["size_bytes"],
            r["gigabytes_per_second"],
            r["latency_microseconds"]["p50"],
            r["transport"],
            bool(r["content"]),
        )
        for r in results
    )
    nodes = (both[0]["spec"].get("nodeName", ""), both[1]["spec"].get("nodeName", ""))
    return Measured(image, nodes, rows, verdict(rows, nodes))


def verdict(rows: Sequence[Row], nodes: tuple[str, str]) -> str:
    """One plain sentence. Source of the factor: upstream's disaggregation guide (200 to 500 times slower over TCP)."""
    if any(not row.equal for row in rows):
        return "the bytes that arrived are not those that were sent: do not serve over this network"
    transports = list(dict.fromkeys(row.transport for row in rows))
    used = ", ".join(transports)
    if any(transport.startswith(SLOW) for transport in transports):
        return (
            f"it fell back to TCP ({used}): between nodes the hand-over is 200 to 500 times slower than over RDMA; give the workers an RDMA "
            "resource and IPC_LOCK, and name the NICs in UCX_NET_DEVICES (configs/vllm-disagg-rdma.yaml)"
        )
    if nodes[0] == nodes[1] or all(transport.startswith(HERE) for transport in transports):
        return f"both pods ran on {nodes[0]} and used {used}: that says nothing about RDMA between nodes"
    return f"the KV cache goes over RDMA ({used})"


def as_data(measured: Measured) -> dict[str, Any]:
    """For programs."""
    return asdict(measured)


def page(measured: Measured) -> str:
    """For people: from where to where, a line for each size, the verdict."""
    lines = [f"bench-nixl of {measured.image}, from {measured.nodes[1]} to {measured.nodes[0]}, reads"]
    for row in measured.rows:
        lines.append(
            f"  {row.size_bytes / 2**10:8.0f} KiB  {row.gigabytes_per_second:9.3f} GB/s  p50 {row.latency_us:9.1f} us  {row.transport}"
        )
    return "\n".join([*lines, measured.verdict])
