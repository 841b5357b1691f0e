"""Nodes and pods of a cluster as a preflight needs them: two questions, and their answers as plain data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ngc.deploy.cluster.checking import Answer, columns, mapping, values

GPU = "nvidia.com/gpu"
_GPU_FIELD = r".resources.requests.nvidia\.com/gpu"
NODES = (
    "get", "nodes", columns(
        ".metadata.name", ".spec.unschedulable", ".status.nodeInfo.architecture", ".status.allocatable", ".metadata.labels",
        ".spec.taints", ".status.images[*].names",
    ),
)  # fmt: skip
# Pods that ended hold nothing, and a large cluster has many of them.
PODS = (
    "get", "pods", "--all-namespaces", "--field-selector=status.phase!=Succeeded,status.phase!=Failed", columns(
        ".metadata.namespace", ".metadata.name", ".spec.nodeName", '.status.conditions[?(@.type=="Ready")].status',
        f".spec.containers[*]{_GPU_FIELD}", f"{{range .spec.initContainers[*]}}{{.restartPolicy}}={{{_GPU_FIELD}}},{{end}}",
        ".metadata.labels",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Node:
    """A node. `allocatable` is what it gives to pods, by resource, as Kubernetes writes it; `images` are the names it reports (50 at most)."""

    name: str
    allocatable: Mapping[str, str]
    labels: Mapping[str, str]
    taints: tuple[Mapping[str, Any], ...] = ()
    cordoned: bool = False
    architecture: str = ""
    images: frozenset[str] = frozenset()

    @property
    def gpus(self) -> int:
        return self.has(GPU)

    def has(self, resource: str) -> int:
        """How many of a counted resource pods can get."""
        text = str(self.allocatable.get(resource, "0"))
        return int(text) if text.isdecimal() else 0


@dataclass(frozen=True)
class Pod:
    """A pod that has not ended. `node` is "" until it is bound; a bound one holds its GPUs, also while it is Pending."""

    namespace: str
    name: str
    node: str
    gpus: int
    labels: Mapping[str, str]
    ready: bool = False


def read_nodes(answer: Answer) -> list[Node]:
    """The nodes of an answer to NODES."""
    return [
        Node(
            name=name,
            allocatable=mapping(allocatable),
            labels=mapping(labels),
            taints=tuple(taint for found in values(taints) for taint in found),
            cordoned=cordoned == "true",
            architecture=architecture,
            # An image that lost its tag has null for names.
            images=frozenset(text for found in values(images) for text in found or ()),
        )
        for name, cordoned, architecture, allocatable, labels, taints, images in answer.rows
    ]


def read_pods(answer: Answer) -> list[Pod]:
    """The pods of an answer to PODS."""
    return [
        Pod(namespace, name, node, _gpus(containers, before), mapping(labels), ready == "True")
        for namespace, name, node, ready, containers, before, labels in answer.rows
    ]


def _gpus(containers: str, before: str) -> int:
    """What the scheduler counts: the containers together with the sidecars, or an init container with the sidecars begun before it."""
    sidecars, most = 0, 0
    for policy, count in re.findall(r"(\w*)=(\d*),", before):
        if policy == "Always":
            sidecars += int(count or 0)
        else:
            most = max(most, sidecars + int(count or 0))
    return max(most, sidecars + sum(int(count) for count in containers.split()))
