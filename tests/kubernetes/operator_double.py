"""Stands in for the Dynamo operator of 0.6.1: makes its objects of each DynamoGraphDeployment, and lies in its status as it does.

Run as `python -m tests.kubernetes.operator_double --context=NAME --image=RUNTIME_IMAGE`. Every lie here was seen on the real operator,
without Grove; what was not seen is not imitated.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from tests.kubernetes.api import DCD, DGD, Api, Refused, connected
from tests.kubernetes.operator_objects import RELEASE, Component, Failure, components, platform_objects

from ngc.deploy import names, platform

POLL = 0.3  # seconds between two looks
HASH = "nvidia.com/last-applied-hash"
UNREACHABLE = "ngc-test/unreachable"  # on etcd's Service: the operator cannot reach it
PENDING, SUCCESSFUL, FAILED = "pending", "successful", "failed"
Object = Mapping[str, Any]
Key = tuple[str, str, str]  # kind, namespace, name


@dataclass(frozen=True)
class Double:
    """`prefix`: the beginning of the namespaces that it watches, as an operator may be told to watch one."""

    api: Api
    prefix: str
    platform: str

    def step(self) -> None:
        """Look at everything once, and do what is to be done."""
        graphs = self._watched(DGD)
        there = {_key(entry): entry for entry in (*self._watched(DCD), *self._watched("Deployment", names.GRAPH_LABEL))}
        if not self._finalize([entry for entry in there.values() if entry["kind"] == DCD]):
            return
        for graph in graphs:
            # A graph has no finalizer: it goes at once, and the garbage collector then deletes what it owns.
            if "deletionTimestamp" not in graph["metadata"]:
                self._graph(graph, there)

    def _watched(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        found = self.api.every(kind, selector)
        # Items of a list come without their kind.
        return [{**entry, "kind": kind} for entry in found if entry["metadata"]["namespace"].startswith(self.prefix)]

    def _finalize(self, present: Sequence[Object]) -> bool:
        """Let deleted components go. False while etcd is away: that has no time limit, and the one worker does nothing else."""
        for entry in present:
            if "deletionTimestamp" in entry["metadata"] and entry["metadata"].get("finalizers"):
                if not self._etcd():
                    return False
                self.api.release(entry)
        return True

    def _etcd(self) -> bool:
        """True if the operator reaches its etcd."""
        name = f"{RELEASE}-{platform.ETCD}"
        service = self.api.get("Service", self.platform, name) or {"metadata": {}}
        deployment = self.api.get("Deployment", self.platform, name) or {}
        away = (service["metadata"].get("annotations") or {}).get(UNREACHABLE) == "true"
        return not away and bool((deployment.get("status") or {}).get("availableReplicas"))

    def _graph(self, graph: Object, there: Mapping[Key, Object]) -> None:
        """One graph: its components, then what it says of itself."""
        try:
            self._claims(graph)
            waiting = [
                component.name
                for component in components(graph, self.platform)
                if not self._component(graph, component, there)
            ]
        except (Failure, Refused) as error:
            self._say(graph, "Ready", False, "failed_to_reconcile_the_resources", str(error), FAILED)
            return
        if waiting:
            # Generic, whatever the reason: that is on the component.
            text = f"{len(waiting)} resources not ready: [{' '.join(waiting)}]"
            self._say(graph, "Ready", False, "some_resources_are_not_ready", text, PENDING)
        else:
            self._say(graph, "Ready", True, "all_resources_are_ready", "All resources are ready", SUCCESSFUL)

    def _claims(self, graph: Object) -> None:
        """A claim that is to be there already must be, or the whole graph fails."""
        namespace = graph["metadata"]["namespace"]
        for entry in graph["spec"].get("pvcs") or []:
            name = entry.get("name", "")
            if self.api.get("PersistentVolumeClaim", namespace, name) is not None:
                continue
            if not entry.get("create"):
                raise Failure(f'failed to reconcile top-level PVCs: PersistentVolumeClaim "{name}" not found')
            self.api.apply(
                {
                    "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name, "namespace": namespace},
                    "spec": {
                        "accessModes": [entry["volumeAccessMode"]], "storageClassName": entry["storageClass"],
                        "resources": {"requests": {"storage": entry["size"]}},
                    },
                }
            )  # fmt: skip

    def _component(self, graph: Object, component: Component, there: Mapping[Key, Object]) -> bool:
        """One component: its objects, then its condition. True if it is available."""
        own = self._synced(component.component, graph, there)
        if component.error:
            self._say(own, "Available", False, "Reconciling", component.error)
            return False
        try:
            deployment, *_ = [self._synced(entry, own, there) for entry in component.objects]
        except Refused as error:
            self._say(own, "Available", False, "Reconciling", f"Failed to reconcile DynamoComponentDeployment: {error}")
            return False
        # The Deployment's own word, which is True during an update as long as old pods answer. So the graph stays successful all
        # through an update, for ever if the new pods never come.
        conditions = (deployment.get("status") or {}).get("conditions") or []
        available = any(c["type"] == "Available" and c["status"] == "True" for c in conditions)
        if available:
            self._say(own, "Available", True, "DeploymentReady", "Deployment is ready")
        else:
            self._say(own, "Available", False, "DeploymentNotReady", "Deployment is not ready")
        return available

    def _synced(self, wanted: Object, owner: Object, there: Mapping[Key, Object]) -> Object:
        """Apply an object if it is missing or was made of something else. What others have changed since is not looked at."""
        digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()[:16]
        key = _key(wanted)
        now = there[key] if key in there else self.api.get(*key)
        metadata = (now or {}).get("metadata") or {}
        if now is not None and (
            (metadata.get("annotations") or {}).get(HASH) == digest or "deletionTimestamp" in metadata
        ):
            return {**now, "kind": wanted["kind"]}
        annotations = {**(wanted["metadata"].get("annotations") or {}), HASH: digest}
        reference = {
            "apiVersion": "nvidia.com/v1alpha1", "kind": owner["kind"], "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"], "controller": True, "blockOwnerDeletion": True,
        }  # fmt: skip
        print(f"{'change' if now else 'create'} {' '.join(key)}", file=sys.stderr, flush=True)
        more = {"annotations": annotations, "ownerReferences": [reference]}
        return self.api.apply({**wanted, "metadata": {**wanted["metadata"], **more}})

    def _say(self, entry: Object, kind: str, good: bool, reason: str, message: str, state: str | None = None) -> None:
        """Write a condition, and a graph's state, if they are new. There is no observedGeneration: nobody sees what it is about."""
        condition = {"type": kind, "status": str(good), "reason": reason, "message": message}
        status = entry.get("status") or {}
        before: Mapping[str, Any] = next((c for c in status.get("conditions") or [] if c["type"] == kind), {})
        if all(before.get(key) == value for key, value in condition.items()) and status.get("state") == state:
            return
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        moved = now if before.get("status") != condition["status"] else before["lastTransitionTime"]
        self.api.status(
            entry,
            {"conditions": [{**condition, "lastTransitionTime": moved}], **({"state": state} if state else {})},
        )
        print(f"status of {' '.join(_key(entry))}: {state or good}, {message}", file=sys.stderr, flush=True)


def _key(entry: Object) -> Key:
    return entry["kind"], entry["metadata"]["namespace"], entry["metadata"]["name"]


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--context", required=True, help="context of the kubeconfig")
    parser.add_argument("--image", required=True, help="a runtime image; etcd and NATS run from it")
    parser.add_argument("--prefix", default="", help="watch namespaces that begin with this (default: all)")
    parser.add_argument(
        "--platform", default="dynamo-system", help="namespace of etcd and NATS (default: dynamo-system)"
    )
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with connected(given.context) as api:
        if api.get("Namespace", "", given.platform) is None:
            api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": given.platform}})
        for entry in platform_objects(given.image, given.platform):
            api.apply(entry)
        double = Double(api, given.prefix, given.platform)
        print("watching", file=sys.stderr, flush=True)
        while True:
            try:
                double.step()
            except Refused as error:  # the API server may be away for a while
                print(f"refused: {error}", file=sys.stderr, flush=True)
            time.sleep(POLL)


if __name__ == "__main__":
    main()
