"""undeploy: remove a graph, and wait until its pods are gone too, for deleting the parent returns at once."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ngc.asked.configs import Undeploy
from ngc.deploy import names
from ngc.deploy.cluster import applying, kubectl, observing, revisions, secrets
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.cluster.revisions import Revision
from ngc.deploy.cluster.telling import Told, telling
from ngc.deploy.watching import watching
from ngc.errors import Failed

POLL = 1.0  # seconds between two looks


@dataclass(frozen=True)
class Removed:
    """What was removed, from where, and Secrets of ours that others in the namespace may use."""

    cluster: Cluster
    name: str
    secrets: tuple[str, ...]

    def __str__(self) -> str:
        if not self.secrets:
            return f"{self.name} is gone"
        words = " ".join((*self.cluster.words, "delete", "secrets", *self.secrets))
        return f"{self.name} is gone; what --create-secrets made stays, for others may use it: `{words}` removes it"


def undeploy(asked: Undeploy) -> Removed:
    """Remove a graph and its revisions; claims stay, they hold models. Raises Wrong, Failed with what holds it."""
    with telling() as told:
        cluster = kubectl.choose(asked.context, asked.namespace)
        print(f"{cluster}", file=sys.stderr)
        name = revisions.current(cluster, asked.config).graph
        _remove(cluster, name, revisions.history(cluster, name), asked.timeout, told)
        # Of the graph nothing is left by now, so this is said whatever it can find out.
        return Removed(cluster, name, tuple(secrets.left(cluster)))


def _remove(cluster: Cluster, name: str, every: Sequence[Revision], timeout: float, told: Told) -> None:
    """Remove all that any revision has made, in both forms, and the revisions last: until then the same command goes on."""
    again = "run the same command again to wait for the rest"
    told.say(f"{name} may be removed in part", again, again)
    known = any(revision.to == "dgd" for revision in every)
    # One may be there of a revision that is no longer kept; where none is known of, not to be allowed to ask is no error.
    own = _delete(cluster, name, observing.DGD, must=known) or known
    for kinds in applying.kinds(every):
        _delete(cluster, name, kinds, must=True)
    told.say(f"{name} is being removed", again, again)
    _wait(cluster, name, own, timeout)
    told.say(f"all of {name} but its revisions is gone", again, again)
    kubectl.ask(cluster, "delete", "configmaps", "--selector", f"{revisions.OWN_LABEL}={name}", "--ignore-not-found")
    told.say(f"{name} is gone")


def _delete(cluster: Cluster, name: str, kinds: str, must: bool) -> bool:
    """Remove what is ours of a graph; True if there was any. Of kinds that a cluster does not have there is none. Raises Failed."""
    words = ("delete", kinds, "--selector", applying.mine(name), "--wait=false")
    done = kubectl.call(cluster, *words)
    if done.code and must and "the server doesn't have a resource type" not in done.err:
        raise Failed(kubectl.explain(cluster, done, words))
    return not done.code and "deleted" in done.out


def _wait(cluster: Cluster, name: str, own: bool, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    kinds = ["deployments.apps,pods", *([observing.DCD] if own else [])]
    with watching() as update:
        while True:
            selector = f"{names.GRAPH_LABEL}={name}"
            # Kinds that a cluster no longer has hide nothing of the others.
            found = [entry for kind in kinds for entry in kubectl.get(cluster, kind, "--selector", selector)]
            update({"left": _listed(sorted(found, key=_label)) or "nothing"})
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
    return f"{_listed(found)} is still there, and kubectl describe says more"


def _label(entry: Mapping[str, Any]) -> str:
    return f"{entry['kind']} {entry['metadata']['name']}"


def _listed(entries: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(map(_label, entries))
