"""Checks of what a namespace gives: claims that exist and can be bound, and a storage class for new ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ngc.deploy.cluster.checking import FAIL, PASS, WARN, Answer, Check, columns, command, mapping, not_told
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.graph import Graph

_DEFAULT = "storageclass.kubernetes.io/is-default-class"
CLAIMS = ("get", "persistentvolumeclaims", columns(".metadata.name", ".status.phase", ".spec.storageClassName"))
CLASSES = ("get", "storageclasses", columns(".metadata.name", ".volumeBindingMode", ".metadata.annotations"))


def existing(graph: Graph) -> list[str]:
    """Claims that must be there already: of spec.pvcs without create, and of the pods' own volumes."""
    named = [name for name, entry in graph.claims.items() if entry.get("create") is not True]
    for service in graph.services:
        pod: Mapping[str, Any] = service.spec.get("extraPodSpec") or {}
        for volume in pod.get("volumes") or ():
            if claim := (volume.get("persistentVolumeClaim") or {}).get("claimName"):
                named.append(str(claim))
    return list(dict.fromkeys(named))


def created(graph: Graph) -> dict[str, str]:
    """Claims that the graph makes, with their storage class, "" for the cluster's default."""
    return {n: str(e.get("storageClass") or "") for n, e in graph.claims.items() if e.get("create") is True}


def claims(cluster: Cluster, graph: Graph, answer: Answer, classes: Answer) -> list[Check]:
    """A line for each claim of the graph."""
    if answer.out is None:
        names = [*existing(graph), *created(graph)]
        return (
            [not_told("storage", answer, f"whether the claims {', '.join(names)} are there is not known")]
            if names
            else []
        )
    here = {name: (phase, kind) for name, phase, kind in answer.rows}
    late = {name for name, mode, _ in classes.rows if mode == "WaitForFirstConsumer"}
    checks = [_existing(cluster, name, here.get(name), late) for name in existing(graph)]
    return checks + [_created(name, kind, classes) for name, kind in created(graph).items() if name not in here]


def _existing(cluster: Cluster, name: str, found: tuple[str, str] | None, late: set[str]) -> Check:
    if found is None:
        spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "100Gi"}}}
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}
        return Check("storage", FAIL, f"the claim {name} is not in namespace {cluster.namespace}",
                     f"echo '{json.dumps(claim)}' | {command(cluster, 'create', '-f', '-')}")  # fmt: skip
    phase, kind = found
    if phase == "Bound" or kind in late:
        return Check(
            "storage", PASS, f"the claim {name} is {'bound' if phase == 'Bound' else 'bound when a pod uses it'}"
        )
    look = command(cluster, "describe", f"persistentvolumeclaim/{name}")
    if phase == "Lost":
        return Check("storage", FAIL, f"the volume of the claim {name} is gone", look)
    return Check(
        "storage", WARN, f"the claim {name} is {phase or 'new'}, not Bound: pods that mount it wait for a volume", look
    )


def _created(name: str, kind: str, classes: Answer) -> Check:
    if classes.out is None:
        return not_told("storage", classes, f"whether there is a storage class for {name} is not known")
    known = {row[0]: mapping(row[2]) for row in classes.rows}
    defaults = [title for title, notes in known.items() if notes.get(_DEFAULT) == "true"]
    have = f"; there are: {', '.join(known)}" if known else "; the cluster has none at all"
    at = next(iter(known), "CLASS")
    fix = f"add --set 'spec.pvcs[0].storageClass={at}'" if kind else _default(at)
    if kind and kind not in known:
        return Check("storage", FAIL, f"{name} asks for the storage class {kind}, which is not there{have}", fix)
    if not kind and not defaults:
        return Check("storage", FAIL, f"{name} names no storage class, and none is the default{have}", fix)
    return Check("storage", PASS, f"{name} is made by the storage class {kind or defaults[0]}")


def _default(name: str) -> str:
    return f"kubectl annotate storageclass {name} {_DEFAULT}=true"
