"""undeploy: remove a graph, and wait until its pods are gone too, for deleting the parent returns at once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ngc.deploy import names
from ngc.deploy.cluster import applying, kubectl, observing, revisions
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.watching import watching
from ngc.errors import Failed, Interrupted

POLL = 1.0  # seconds between two looks


def undeploy(cluster: Cluster, graph: str | None, timeout: float) -> str:
    """Remove a graph and its revisions; claims stay, they hold models. Returns its name. Raises Failed with what holds it."""
    revision = revisions.current(cluster, graph)
    name = revision.graph
    mine = f"{revisions.OWN_LABEL}={name},app.kubernetes.io/managed-by={applying.MANAGER}"
    try:
        if revision.to == "dgd":
            kubectl.ask(cluster, "delete", f"{observing.DGD}/{name}", "--wait=false", "--ignore-not-found")
        kubectl.ask(cluster, "delete", applying.PRUNED, "--selector", mine, "--wait=false")
        _wait(cluster, name, revision.to == "dgd", timeout)
        kubectl.ask(
            cluster, "delete", "configmaps", "--selector", f"{revisions.OWN_LABEL}={name}", "--ignore-not-found"
        )
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted: {name} is being removed; run the same command again to wait for the rest"
        ) from None
    return name


def _wait(cluster: Cluster, name: str, own: bool, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    kinds = f"deployments.apps,pods{f',{observing.DCD}' if own else ''}"
    with watching() as update:
        while True:
            found = kubectl.get(cluster, kinds, "--selector", f"{names.GRAPH_LABEL}={name}")
            update(
                {
                    "left": ", ".join(sorted(f"{entry['kind']} {entry['metadata']['name']}" for entry in found))
                    or "nothing"
                }
            )
            if not found:
                return
            if time.monotonic() > deadline:
                raise Failed(f"{name} is not gone after {timeout:.0f} s: {_held(found)}")
            time.sleep(POLL)


def _held(found: list[dict[str, Any]]) -> str:
    """What holds the rest: the operator's finalizer waits for its etcd without a limit."""
    holding = [
        entry for entry in found if entry["metadata"].get("finalizers") and "deletionTimestamp" in entry["metadata"]
    ]
    if holding:
        finalizers = ", ".join(sorted({text for entry in holding for text in entry["metadata"]["finalizers"]}))
        return f"{_listed(holding)} waits for {finalizers}; can the operator reach its etcd?"
    return f"{_listed(found)} is still there; run the same command again, or look at it with kubectl describe"


def _listed(entries: list[dict[str, Any]]) -> str:
    shown: list[Mapping[str, Any]] = [entry["metadata"] | {"kind": entry["kind"]} for entry in entries]
    return ", ".join(f"{one['kind']} {one['name']}" for one in shown)
