"""Whether the pods of a graph find their GPUs: each is placed on a node that it suits and that has a free block of the size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ngc.deploy import names
from ngc.deploy.cluster.checking import FAIL, PASS, UNKNOWN, WARN, Check, command
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.cluster.nodes import GPU, Node, Pod
from ngc.deploy.graph import Graph

PRESENT_LABEL = "nvidia.com/gpu.present"  # set by GPU feature discovery before the device plugin counts anything
KEEPS_OUT = ("NoSchedule", "NoExecute")
TRIES = 20_000  # blocks put somewhere before the question counts as open; the scheduler has no such patience
SHOWN = 6  # nodes in a message


@dataclass(frozen=True)
class Need:
    """`pods` pods of one service, `gpus` each. `group`: how many of them are replaced together (the nodes of a multinode worker)."""

    key: str
    pods: int
    gpus: int
    group: int = 1
    selector: Mapping[str, str] | None = None
    tolerations: tuple[Mapping[str, Any], ...] = ()
    affinity: bool = False  # asks for nodes in a way that is not looked at here

    def __str__(self) -> str:
        return f"{self.key} {self.pods} x {self.gpus}"


def needs(graph: Graph) -> list[Need]:
    """What the services with GPUs need."""
    found = []
    for service in graph.services:
        pod: Mapping[str, Any] = service.spec.get("extraPodSpec") or {}
        required = ((pod.get("affinity") or {}).get("nodeAffinity") or {}).get(
            "requiredDuringSchedulingIgnoredDuringExecution"
        )
        found.append(
            Need(
                service.key,
                service.replicas * service.nodes,
                service.gpus,
                service.nodes,
                pod.get("nodeSelector"),
                tuple(pod.get("tolerations") or ()),
                bool(required or pod.get("nodeName")),
            )
        )
    return [need for need in found if need.pods and need.gpus]


def free(nodes: Iterable[Node], pods: Iterable[Pod]) -> dict[str, int]:
    """GPUs that no bound pod holds, by node."""
    held = Counter[str]()
    for pod in pods:
        held[pod.node] += pod.gpus
    return {node.name: max(0, node.gpus - held[node.name]) for node in nodes}


def suits(need: Need, node: Node) -> bool:
    """True if the scheduler may put a pod there: not cordoned, the labels asked for, every taint tolerated."""
    if node.cordoned or any(node.labels.get(key) != value for key, value in (need.selector or {}).items()):
        return False
    taints = [taint for taint in node.taints if taint.get("effect") in KEEPS_OUT]
    return all(any(_tolerates(toleration, taint) for toleration in need.tolerations) for taint in taints)


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint.get("key"))
    same_value = (toleration.get("value") or "") == (taint.get("value") or "")
    return toleration.get("key") == taint.get("key") and same_value


def place(wanted: Sequence[Need], nodes: Sequence[Node], left: Mapping[str, int]) -> bool | None:
    """Whether all pods can be placed; None when that was not settled in reasonable time. Largest first, tightest node first."""
    suited = [(need, [n.name for n in nodes if suits(need, n)]) for need in wanted]
    blocks = [(need, names) for need, names in suited for _ in range(need.pods)]
    blocks.sort(key=lambda block: (-block[0].gpus, len(block[1])))
    if any(all(left[name] < need.gpus for name in names) for need, names in blocks):
        return False
    reachable = {name for _, names in blocks for name in names}
    if sum(need.gpus for need, _ in blocks) > sum(left[name] for name in reachable):
        return False
    # Nodes with as many free GPUs, open to the same services, are one and the same to try.
    alike = {n.name: tuple(suits(need, n) for need in wanted) for n in nodes}
    now, tries = dict(left), 0
    chosen: list[str] = []
    waiting = [_candidates(blocks[0], now, alike)] if blocks else []
    while waiting:
        name = next(waiting[-1], None)
        tries += 1
        if tries > TRIES:
            return None
        if name is None:
            waiting.pop()
            if not chosen:
                return False
            back = chosen.pop()
            now[back] += blocks[len(chosen)][0].gpus
            continue
        now[name] -= blocks[len(chosen)][0].gpus
        chosen.append(name)
        if len(chosen) == len(blocks):
            return True
        waiting.append(_candidates(blocks[len(chosen)], now, alike))
    return True


def _candidates(block: tuple[Need, list[str]], now: Mapping[str, int], alike: Mapping[str, tuple[bool, ...]]) -> Any:
    need, names = block
    fitting = sorted((name for name in names if now[name] >= need.gpus), key=lambda name: (now[name], name))
    return iter(list({(now[name], alike[name]): name for name in reversed(fitting)}.values())[::-1])


def fit(
    cluster: Cluster, graph: str, wanted: Sequence[Need], nodes: Sequence[Node], pods: Sequence[Pod] | None, grows: bool = False
) -> Check:  # fmt: skip
    """The check. `pods` None: who holds GPUs was not told; `grows`: something adds nodes when pods wait for them."""
    found = _fit(cluster.namespace, graph, wanted, nodes, pods, grows)
    if found.state == PASS or found.fix:
        return found
    return replace(found, fix=_plugin(cluster) if _hidden(nodes) else _holders(cluster))


def _fit(
    namespace: str, graph: str, wanted: Sequence[Need], nodes: Sequence[Node], pods: Sequence[Pod] | None, grows: bool
) -> Check:  # fmt: skip
    if not wanted:
        return Check("gpus", PASS, "none asked for")
    what = f"{' + '.join(map(str, wanted))} GPUs"
    mine = [pod for pod in pods or () if is_mine(pod, namespace, graph)]
    others = [pod for pod in pods or () if not is_mine(pod, namespace, graph)]
    if not any(node.gpus for node in nodes):
        return _none(what, nodes, grows)
    left = free(nodes, others)
    says = f"needs {what}; free per node: {_listed(nodes, left)}{', its own pods aside' if any(p.gpus for p in mine) else ''}"
    fits = place(wanted, nodes, left)
    if fits is False:
        return _lacking(wanted, nodes, left, says, grows)
    if fits is None:
        return Check("gpus", UNKNOWN, f"{says}; whether they fit could not be worked out")
    if pods is None:
        return Check("gpus", WARN, f"{says}, if nobody else held any: who does was not told")
    if affinity := [need.key for need in wanted if need.affinity]:
        return Check("gpus", UNKNOWN, f"{says}; node affinity of {', '.join(affinity)} is not looked at")
    return _update(wanted, nodes, pods, mine) or Check("gpus", PASS, says)


def is_mine(pod: Pod, namespace: str, graph: str) -> bool:
    """True for a pod of an earlier deployment of the same graph."""
    return pod.namespace == namespace and pod.labels.get(names.GRAPH_LABEL) == graph


def _hidden(nodes: Sequence[Node]) -> list[str]:
    """Nodes that have GPUs and offer none to pods."""
    return [node.name for node in nodes if node.labels.get(PRESENT_LABEL) == "true" and not node.gpus]


def _none(what: str, nodes: Sequence[Node], grows: bool) -> Check:
    if hidden := _hidden(nodes):
        text = f"{', '.join(hidden[:SHOWN])} have GPUs and offer none to pods: the GPU operator is not ready"
        return Check("gpus", FAIL, f"needs {what}; {text}")
    text = f"needs {what}; no node offers {GPU}"
    return Check("gpus", WARN if grows else FAIL, text + (", unless nodes are added for them" if grows else ""))


def _plugin(cluster: Cluster) -> str:
    return command(cluster, "get", "pods", "--all-namespaces", "--selector=app=nvidia-device-plugin-daemonset")


def _holders(cluster: Cluster) -> str:
    table = (
        "NODE:.spec.nodeName,NAMESPACE:.metadata.namespace,POD:.metadata.name,"
        "GPUS:.spec.containers[*].resources.requests.nvidia\\.com/gpu"
    )
    return command(
        cluster, "get", "pods", "--all-namespaces", "--sort-by=.spec.nodeName", f"--output=custom-columns={table}"
    )


def _lacking(wanted: Sequence[Need], nodes: Sequence[Node], left: Mapping[str, int], says: str, grows: bool) -> Check:
    # GKE and others let every pod that asks for GPUs tolerate a taint of their name, by an admission plugin.
    untainted = [replace(n, taints=tuple(t for t in n.taints if t.get("key") != GPU)) for n in nodes]
    if place(wanted, untainted, left):
        key = wanted[0].key
        return Check(
            "gpus",
            WARN,
            f"{says}, on nodes with the taint {GPU}, which the pods do not tolerate: they wait unless the cluster adds that itself",
            f"add --set 'spec.services.{key}.extraPodSpec.tolerations[+]={{key: {GPU}, operator: Exists}}'"
            + (" and the same for the others" if len(wanted) > 1 else ""),
        )
    closed = [n.name for n in nodes if n.gpus and not any(suits(need, n) for need in wanted)]
    says += f" ({', '.join(closed[:SHOWN])} closed to them by taint, label or cordon)" if closed else ""
    return Check("gpus", WARN if grows else FAIL, says + ("; nodes may be added for them" if grows else ""))


def _update(wanted: Sequence[Need], nodes: Sequence[Node], pods: Sequence[Pod], mine: Sequence[Pod]) -> Check | None:
    """A warning when an update cannot begin: every Deployment starts a new pod before an old one goes, all at the same time."""
    here = Counter(pod.labels.get(names.COMPONENT_LABEL, "") for pod in mine if pod.gpus)
    if not here:
        return None
    # More than it will have: the surplus goes first and makes room.
    extra = [replace(need, pods=max(0, need.pods + need.group - here[need.key])) for need in wanted if here[need.key]]
    extra += [need for need in wanted if not here[need.key]]
    extra = [need for need in extra if need.pods]
    left = free(nodes, pods)
    if not extra or place(extra, nodes, left) is not False:
        return None
    return Check(
        "gpus",
        WARN,
        f"an update starts new pods before old ones go, which needs {' + '.join(map(str, extra))} GPUs more; "
        f"free per node: {_listed(nodes, left)}: if its pods change, it waits for room",
    )


def _listed(nodes: Sequence[Node], left: Mapping[str, int]) -> str:
    rows = sorted((node for node in nodes if node.gpus), key=lambda node: (-left[node.name], node.name))
    shown = [f"{node.name} {left[node.name]} of {node.gpus}" for node in rows[:SHOWN]]
    more = f", and {len(rows) - SHOWN} nodes with no more than that" if len(rows) > SHOWN else ""
    return (", ".join(shown) or "none") + more
