"""One look at a deployed graph: the DynamoGraphDeployment, its components, Deployments and pods. Each of them alone has lied."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ngc.deploy import names, platform
from ngc.deploy.cluster import kubectl, marking
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.cluster.revisions import Part, Revision

DGD = "dynamographdeployments.nvidia.com"
DCD = "dynamocomponentdeployments.nvidia.com"
# What the graph's own status says, beside what its operator says of it.
SILENT, FAILED = "the operator has not said anything yet; is it watching this namespace?", "failed"
REVISION, HASH = "deployment.kubernetes.io/revision", "pod-template-hash"
# A container that waits for one of these does not heal by waiting.
STUCK = (
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError",
    "CreateContainerError", "RunContainerError",
)  # fmt: skip


@dataclass(frozen=True)
class Pod:
    """A pod of the graph. `reason` is why its container waits, "" if it does not; `age` in seconds.

    `old`: of a template that is no longer its Deployment's; what is wrong with it will go with it.
    """

    name: str
    component: str
    ready: bool
    going: bool  # being deleted
    reason: str
    message: str
    restarts: int
    ended: str  # when a container of it ended last, as the API server writes times; "" if none did
    unschedulable: str
    age: float
    old: bool
    mark: str | None

    @property
    def awaited(self) -> bool:
        """True if it is still to become ready, and not on its way out."""
        return not (self.ready or self.going or self.old)


@dataclass(frozen=True)
class State:
    """How far a component is. `waits` says what is missing, "" when it is as the revision says."""

    part: Part
    ready: int
    wanted: int
    waits: str


@dataclass(frozen=True)
class Look:
    """One look. `graph` says what the DynamoGraphDeployment lacks, "" if nothing; `complaints` are of its components, by name.

    `refused`: why the API server lets a Deployment have no pods, by the Deployment's name. `platform`: those of the graph's own
    etcd and NATS that are not ready, `platform_since`: when both last became so, "" without any; before that, processes end.
    """

    graph: str
    states: tuple[State, ...]
    pods: tuple[Pod, ...]
    complaints: Mapping[str, str]
    refused: Mapping[str, str]
    platform: tuple[str, ...] = ()
    platform_since: str = ""

    @property
    def settled(self) -> bool:
        return not self.graph and not self.platform and all(not state.waits for state in self.states)


def look(cluster: Cluster, revision: Revision) -> Look:
    """Two calls of kubectl, three for a DynamoGraphDeployment. Raises Failed, Unreachable."""
    own = revision.to == "dgd"
    kinds = f"deployments.apps,replicasets.apps,pods{f',{DCD}' if own else ''}"
    every = kubectl.get(cluster, kinds, "--selector", f"{names.GRAPH_LABEL}={revision.graph}")
    # What another revision has and this one has not serves until this one does, or goes: it is not waited for. etcd and NATS have no key.
    keys = {None, *(part.key for part in revision.parts)}
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for entry in every:
        if (entry["metadata"].get("labels") or {}).get(names.COMPONENT_LABEL) in keys:
            by_kind.setdefault(entry["kind"], []).append(entry)
    deployments = {entry["metadata"]["name"]: entry for entry in by_kind.get("Deployment", [])}
    fresh = _fresh(by_kind.get("Deployment", []), by_kind.get("ReplicaSet", []))
    pods = tuple(_pod(entry, fresh) for entry in by_kind.get("Pod", []))
    states = tuple(_state(part, deployments.get(part.deployment), pods, own) for part in revision.parts)
    graph = _graph(kubectl.get(cluster, f"{DGD}/{revision.graph}")) if own else ""
    complaints = {
        entry["metadata"]["name"]: text
        for entry in by_kind.get("DynamoComponentDeployment", [])
        if (text := _complaint(entry))
    }
    refused = {name: text for name, entry in deployments.items() if (text := _refusal(entry))}
    return Look(graph, states, pods, complaints, refused, *_platform(deployments.values()))


def _platform(deployments: Iterable[Mapping[str, Any]]) -> tuple[tuple[str, ...], str]:
    """(which of the graph's own etcd and NATS are not ready, since when they are). A graph of the operator has none of its own."""
    here = {
        (entry["metadata"].get("labels") or {}).get(platform.ROLE): entry.get("status") or {} for entry in deployments
    }
    own = {name: here[name] for name in (platform.ETCD, platform.NATS) if name in here}
    times = [str(condition(status, "Available").get("lastTransitionTime") or "") for status in own.values()]
    return tuple(name for name, status in own.items() if not status.get("availableReplicas")), max(times, default="")


def _refusal(deployment: Mapping[str, Any]) -> str:
    """Why no pod may be made: a quota, a LimitRange, the namespace's PodSecurity. Only this condition and events tell."""
    failed = condition(deployment.get("status") or {}, "ReplicaFailure")
    # Each attempt has another name for the pod.
    text = re.sub(r'^pods? "[^"]*" is ', "", str(failed.get("message") or failed.get("reason") or ""))
    return " ".join(text.split()) if failed.get("status") == "True" else ""


def _graph(found: Sequence[Mapping[str, Any]]) -> str:
    """What the DynamoGraphDeployment's own status lacks. It says successful all through an update, so it never suffices."""
    if not found:
        return "the DynamoGraphDeployment is not there"
    status = found[0].get("status") or {}
    if not status:
        return SILENT
    seen, wanted = status.get("observedGeneration"), found[0]["metadata"].get("generation", 0)
    if seen is not None and seen < wanted:
        return "the operator has not seen the change yet"
    ready = condition(status, "Ready")
    if status.get("state") == "successful" and ready.get("status") == "True":
        return ""
    return f"{status.get('state') or 'no state'}: {ready.get('message') or ready.get('reason') or 'not Ready'}"


def _state(part: Part, deployment: Mapping[str, Any] | None, pods: Sequence[Pod], own: bool) -> State:
    if deployment is None:
        # With Grove there are no Deployments; pods carry the same labels.
        ready = sum(
            pod.ready and not pod.going and part.mark in (None, pod.mark) for pod in pods if pod.component == part.key
        )
        wanted = part.replicas if part.replicas is not None else 1
        grove = own and any(pod.component == part.key for pod in pods)
        missing = f"{ready} of {wanted} pods ready" if grove else "no Deployment yet"
        return State(part, ready, wanted, "" if grove and ready >= wanted else missing)
    spec, status = deployment["spec"], deployment.get("status") or {}
    wanted = spec.get("replicas", 1)
    ready = status.get("readyReplicas", 0)
    return State(part, ready, wanted, _lacks(part, deployment, pods, wanted, status))


def _lacks(
    part: Part, deployment: Mapping[str, Any], pods: Sequence[Pod], wanted: int, status: Mapping[str, Any]
) -> str:
    container: Mapping[str, Any] = next(
        (c for c in deployment["spec"]["template"]["spec"]["containers"] if c["name"] == "main"), {}
    )
    if part.image is not None and container.get("image") != part.image:
        return f"still has the image {container.get('image')}"
    if (part.command and tuple(container.get("command") or ()) != part.command) or (
        part.args and tuple(container.get("args") or ()) != part.args
    ):
        return "still has the old command line"
    if part.mark is not None and marking.of(deployment["spec"]["template"].get("metadata") or {}) != part.mark:
        return "the change is not taken up yet"
    if part.replicas is not None and wanted != part.replicas:
        return f"has {wanted} replicas, not {part.replicas}"
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return "the change is not seen yet"
    counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")]
    if counts != [wanted] * 3 or status.get("unavailableReplicas", 0):
        mine = [pod for pod in pods if pod.component == part.key and not pod.going]
        ready, before = sum(pod.ready and not pod.old for pod in mine), sum(pod.old for pod in mine)
        old = f", {before} of before the change still there" if before else ""
        return f"{ready} of {wanted}{' new' if old else ''} pods ready{old}"
    return ""


def condition(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """A condition of a status, {} without it."""
    return next((c for c in status.get("conditions") or [] if c.get("type") == kind), {})


def _complaint(component: Mapping[str, Any]) -> str:
    """An error that only a DynamoComponentDeployment's condition tells."""
    available = condition(component.get("status") or {}, "Available")
    text = str(available.get("message") or "")
    words = ("error", "fail", "invalid", "mismatch", "not found", "forbidden")
    return text if available.get("status") == "False" and any(word in text.lower() for word in words) else ""


def _fresh(deployments: Sequence[Mapping[str, Any]], sets: Sequence[Mapping[str, Any]]) -> set[str]:
    """Template hashes of the ReplicaSets that Deployments are moving to; a Deployment's controller numbers both."""
    numbers = {
        entry["metadata"]["name"]: (entry["metadata"].get("annotations") or {}).get(REVISION)
        for entry in deployments
        if (entry.get("status") or {}).get("observedGeneration", 0) >= entry["metadata"].get("generation", 0)
    }
    found = set()
    for entry in sets:
        metadata = entry["metadata"]
        owner = next((one["name"] for one in metadata.get("ownerReferences") or []), "")
        if numbers.get(owner) is not None and (metadata.get("annotations") or {}).get(REVISION) == numbers[owner]:
            found.add((metadata.get("labels") or {}).get(HASH, ""))
    return found


def _ended(container: Mapping[str, Any]) -> str:
    states = (container.get("state") or {}, container.get("lastState") or {})
    return next((str(one["terminated"].get("finishedAt") or "") for one in states if "terminated" in one), "")


def _pod(entry: Mapping[str, Any], fresh: set[str]) -> Pod:
    status, metadata = entry.get("status") or {}, entry["metadata"]
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    waiting: Mapping[str, Any] = next(
        (c["state"]["waiting"] for c in containers if "waiting" in (c.get("state") or {})), {}
    )
    scheduled = condition(status, "PodScheduled")
    created = datetime.fromisoformat(metadata["creationTimestamp"].replace("Z", "+00:00"))
    return Pod(
        name=metadata["name"],
        component=(metadata.get("labels") or {}).get(names.COMPONENT_LABEL, ""),
        ready=condition(status, "Ready").get("status") == "True",
        going="deletionTimestamp" in metadata,
        reason=waiting.get("reason", ""),
        message=waiting.get("message", ""),
        restarts=max((c.get("restartCount", 0) for c in containers), default=0),
        ended=max((_ended(c) for c in containers), default=""),
        unschedulable=str(scheduled.get("message", "")) if scheduled.get("reason") == "Unschedulable" else "",
        old=(metadata.get("labels") or {}).get(HASH, "") not in fresh and HASH in (metadata.get("labels") or {}),
        mark=marking.of(metadata),
        age=(datetime.now(timezone.utc) - created).total_seconds(),
    )
