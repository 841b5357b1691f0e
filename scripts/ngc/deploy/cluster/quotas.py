"""Whether the quotas of a namespace have room for a graph's pods, and take them at all: a quota on CPU refuses who names no CPU."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ngc.deploy import platform, podspec, quantity
from ngc.deploy.cluster.checking import FAIL, WARN, Answer, Check, columns, command, mapping, values
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.cluster.nodes import GPU, Pod
from ngc.deploy.prepare import Prepared
from ngc.deploy.render import KUBERNETES

QUOTAS = (
    "get", "resourcequotas", columns(".metadata.name", ".status.hard", ".status.used", ".spec.scopes", ".spec.scopeSelector"),
)  # fmt: skip
LIMITS = ("get", "limitranges", columns(".metadata.name", ".spec.limits"))
PODS, GPUS = "pods", f"requests.{GPU}"
# What a quota names in two ways.
_SAME = {"cpu": "requests.cpu", "memory": "requests.memory", "count/pods": PODS}
# A container without an amount of these is refused where a quota counts them.
_ASKED_FOR = ("requests.cpu", "requests.memory", "limits.cpu", "limits.memory")


@dataclass(frozen=True)
class Want:
    """`count` pods alike, `amounts` of each by the names that quotas have; `open`: what a container of it does not say."""

    name: str
    count: int
    amounts: Mapping[str, Decimal]
    open: frozenset[str]
    ours: bool = False  # etcd or NATS, which the config says nothing of


def wants(prepared: Prepared, to: str, limits: Answer) -> list[Want]:
    """What the pods of a graph ask for, with what the namespace's LimitRanges give to who does not say."""
    graph, given = prepared.graph, _given(limits)
    found = [
        _want(s.key, s.replicas * s.nodes, podspec.pod(graph, s, "", "", prepared.serving), given)
        for s in graph.services
    ]
    if to == KUBERNETES:
        for entry in platform.objects(graph, prepared.image):
            if entry["kind"] == "Deployment":
                own = _want(entry["metadata"]["name"], 1, entry["spec"]["template"]["spec"], given, ours=True)
                found.append(own)
    return [want for want in found if want.count]


def _given(answer: Answer) -> dict[str, dict[str, Any]]:
    """(limits, requests) that LimitRanges give to a container which names none."""
    given: dict[str, dict[str, Any]] = {"limits": {}, "requests": {}}
    for row in answer.rows:
        for entry in (one for found in values(row[1]) for one in found if one.get("type") == "Container"):
            given["limits"].update(entry.get("default") or {})
            given["requests"].update({**(entry.get("default") or {}), **(entry.get("defaultRequest") or {})})
    return given


def _want(
    name: str, count: int, pod: Mapping[str, Any], given: Mapping[str, Mapping[str, Any]], ours: bool = False
) -> Want:
    every = [_amounts(c, given) for c in (*(pod.get("containers") or ()), *(pod.get("initContainers") or ()))]
    beside, before = every[: len(pod.get("containers") or ())], every[len(pod.get("containers") or ()) :]
    names = {key for amounts in every for key in amounts}
    amounts = {
        key: max([sum((a.get(key, Decimal(0)) for a in beside), Decimal(0)), *(a.get(key, Decimal(0)) for a in before)])
        for key in names
    }
    unsaid = frozenset(key for key in _ASKED_FOR if any(key not in a for a in every))
    return Want(name, count, {**amounts, PODS: Decimal(1)}, unsaid, ours)


def _amounts(container: Mapping[str, Any], given: Mapping[str, Mapping[str, Any]]) -> dict[str, Decimal]:
    """A container's amounts as admission counts them: a limit stands for a request that is not there."""
    resources = container.get("resources") or {}
    own = resources.get("limits") or {}
    limits = {**given["limits"], **own}
    requests = {**given["requests"], **own, **(resources.get("requests") or {})}
    named = {f"limits.{key}": value for key, value in limits.items()} | {
        f"requests.{k}": v for k, v in requests.items()
    }
    return {key: amount for key, value in named.items() if (amount := quantity.parse(str(value))) is not None}


def check(cluster: Cluster, answer: Answer, wanted: Sequence[Want], mine: Sequence[Pod]) -> list[Check]:
    """A line for each quota in the way. `mine`: pods of an earlier deployment of the graph, which it replaces."""
    found: list[Check] = []
    for name, hard, used, *scopes in answer.rows:
        if any(scopes):
            continue  # of some pods only, by class or lifetime
        now = {_SAME.get(key, key): quantity.parse(str(value)) or Decimal(0) for key, value in mapping(used).items()}
        for key, value in mapping(hard).items():
            resource, limit = _SAME.get(key, key), quantity.parse(str(value))
            if limit is not None:
                found += _of(cluster, name, resource, limit, now.get(resource, Decimal(0)), wanted, mine)
    return found


def _of(
    cluster: Cluster, name: str, resource: str, limit: Decimal, used: Decimal, wanted: Sequence[Want], mine: Sequence[Pod]
) -> Iterator[Check]:  # fmt: skip
    """What one line of a quota says to the graph."""
    look = command(cluster, "describe", f"resourcequota/{name}")
    if unsaid := [want for want in wanted if resource in want.open]:
        text = f"the quota {name} counts {resource}, and {', '.join(w.name for w in unsaid)} name none: their pods are refused"
        yield Check("quota", FAIL, text, _saying(cluster, resource, unsaid))
        return
    whole = sum((want.count * want.amounts.get(resource, Decimal(0)) for want in wanted), Decimal(0))
    back = {GPUS: Decimal(sum(pod.gpus for pod in mine)), PODS: Decimal(len(mine))}
    says = f"the quota {name} allows {_said(resource, limit)} {resource}, of which {_said(resource, used)} are used"
    # What its pods of before hold of anything else is not known.
    if (not mine or resource in back) and used - back.get(resource, Decimal(0)) + whole > limit and whole:
        yield Check("quota", FAIL, f"{says}; this needs {_said(resource, whole)}", look)
        return
    one = max((want.amounts.get(resource, Decimal(0)) for want in wanted if not want.ours), default=Decimal(0))
    if mine and one and used + one > limit:
        text = f"{says}; an update starts a new pod before an old one goes, which needs {_said(resource, one)} more: it waits for room"
        yield Check("quota", WARN, text, look)


def _saying(cluster: Cluster, resource: str, unsaid: Sequence[Want]) -> str:
    """How the pods come to name an amount: by the config, or for etcd and NATS by a default of the namespace."""
    kind, _, what = resource.partition(".")
    example = {"cpu": "4", "memory": "16Gi"}[what]
    own = [want.name for want in unsaid if not want.ours]
    if own:
        return " ".join(f"--set spec.services.{key}.resources.{kind}.{what}={example}" for key in own)
    small = {"cpu": "1", "memory": "512Mi"}
    spec = {"limits": [{"type": "Container", "default": small, "defaultRequest": small}]}
    entry = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "defaults"}, "spec": spec}
    return f"echo '{json.dumps(entry)}' | {command(cluster, 'create', '-f', '-')}"


def _said(resource: str, amount: Decimal) -> str:
    """An amount as people read it."""
    if not resource.endswith("memory"):
        return f"{amount.normalize():f}"
    return f"{float(amount) / 2**30:.4g}Gi"
