"""What of the Dynamo platform a cluster has: the kinds it serves, the operator, etcd and NATS, and what multinode workers need.

Source of names, labels and arguments: the Helm chart dynamo-platform of 0.6.1.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ngc import reference as references
from ngc.deploy.cluster.checking import (
    FAIL,
    PASS,
    UNKNOWN,
    WARN,
    Answer,
    Check,
    ask,
    columns,
    command,
    not_told,
    together,
    values,
)
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.cluster.nodes import Pod
from ngc.deploy.graph import KIND
from ngc.deploy.prepare import Prepared
from ngc.errors import Wrong

PLURAL, GROUP = "dynamographdeployments", "nvidia.com"
CHARTS = "https://helm.ngc.nvidia.com/nvidia/ai-dynamo/charts"
CHART_VERSION = "0.6.1"  # where the graph's own version is not known
ORCHESTRATORS = {"grove.io": "Grove", "leaderworkerset.x-k8s.io": "LeaderWorkerSet"}
GROUPS = ("get", "--raw", "/apis")
DEPLOYMENTS = (
    "get", "deployments.apps", "--all-namespaces", columns(
        ".metadata.namespace", ".metadata.name", ".status.availableReplicas", ".spec.replicas",
        ".spec.template.spec.containers[*].image", ".spec.template.spec.containers[*].args", ".metadata.labels",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Operator:
    """A Deployment of the operator. `only` is the one namespace that it watches, "" for all."""

    namespace: str
    name: str
    available: bool
    version: str  # "" where its image's tag holds none
    arguments: Mapping[str, str]

    @property
    def only(self) -> str:
        return self.arguments.get("restrictedNamespace", "")


def resources(version: str) -> tuple[str, ...]:
    """The question which kinds of a version of Dynamo's API are served."""
    return ("get", "--raw", f"/apis/{GROUP}/{version}")


def groups(answer: Answer) -> dict[str, list[str]]:
    """API groups with the versions served; {} where it was not told."""
    found: Mapping[str, Any] = next(values((answer.out or "").strip()), {})
    return {group["name"]: [v["version"] for v in group["versions"]] for group in found.get("groups", [])}


def kind(
    cluster: Cluster, prepared: Prepared, version: str, served: Answer, known: Mapping[str, Sequence[str]]
) -> Check:
    """Whether the API server knows the graph's kind in this version; it is the only check that asks again, when it does not."""
    name = f"{KIND} {GROUP}/{version}"
    if served.out is not None and _has_kind(served):
        return Check("crd", PASS, f"{name} is served")
    if served.out is None and not served.missing:
        return not_told("crd", served, f"whether {name} is served is not known")
    others = [other for other in known.get(GROUP, ()) if other != version]
    having = [other for other in others if _has_kind(ask(cluster, *resources(other)))]
    if having:
        return Check(
            "crd",
            FAIL,
            f"{KIND} is served as {', '.join(having)}, not as {version}",
            "invoke deploy --to=kubernetes ...",
        )
    text = f"the cluster does not know {KIND}: the Dynamo platform is not installed; install it, or deploy plain objects with --to=kubernetes"
    return Check("crd", FAIL, text, _install(cluster, prepared))


def operators(answer: Answer) -> list[Operator]:
    """The operator's Deployments among all of an answer to DEPLOYMENTS, by label or image."""
    found = []
    for namespace, name, available, wanted, images, arguments, labels in answer.rows:
        match = re.search(r"\S*(?:kubernetes|dynamo)-operator\S*", images)
        if not match and "dynamo-operator" not in labels:
            continue
        given = dict(re.findall(r"^-+([\w-]+)=(.*)$", "\n".join(str(a) for v in values(arguments) for a in v), re.M))
        version = references.semantic_version(match[0].rpartition(":")[2]) if match else None
        found.append(Operator(namespace, name, available == wanted != "0", version or "", given))
    return found


def operator(cluster: Cluster, prepared: Prepared, answer: Answer, found: Sequence[Operator]) -> Check:
    """Whether an operator that watches the namespace is available."""
    if answer.out is None:
        return not_told(
            "operator", answer, "whether the operator runs is not known; a graph without a status after 30 s says no"
        )
    if not found:
        return Check("operator", WARN, "no Deployment of the Dynamo operator is seen; without one the graph gets no status, and deploying ends after 30 s",
                     _install(cluster, prepared))  # fmt: skip
    watching = [each for each in found if each.only in ("", cluster.namespace)]
    if not watching:
        seen = ", ".join(f"{each.namespace}/{each.name} watches {each.only} only" for each in found)
        return Check("operator", FAIL, f"no operator watches namespace {cluster.namespace}: {seen}",
                     f"invoke deploy --context={cluster.context} --namespace={found[0].only} ...")  # fmt: skip
    chosen = next((each for each in watching if each.available), watching[0])
    at = replace(cluster, namespace=chosen.namespace)
    if not chosen.available:
        return Check("operator", FAIL, f"{chosen.namespace}/{chosen.name} is not available",
                     command(at, "describe", f"deployment/{chosen.name}"))  # fmt: skip
    text = f"{chosen.namespace}/{chosen.name} {chosen.version or 'of unknown version'} is available"
    ours = prepared.base.version if prepared.base else ""
    if chosen.version and ours and _minor(chosen.version) != _minor(ours):
        return Check("operator", WARN, f"{text}, and the images are of {ours}: names and variables differ between releases",
                     _install(cluster, prepared, "upgrade"))  # fmt: skip
    return Check("operator", PASS, text)


def platform(cluster: Cluster, found: Sequence[Operator], pods: Sequence[Pod] | None, why: Answer) -> list[Check]:
    """etcd and NATS where the operator's own arguments say that they are."""
    chosen = _watching(cluster, found)
    if chosen is None:
        return []
    checks = []
    for name, argument in (("etcd", "etcdAddr"), ("nats", "natsAddr")):
        address = re.sub(r"^\w+://", "", chosen.arguments.get(argument, ""))
        namespace = re.match(r"[\w-]+\.([\w-]+)(?:\.svc[\w.]*)?(?::\d+)?$", address)
        if not address:
            continue  # newer platforms can do without
        if pods is None:
            checks.append(not_told(name, why, f"whether {address} is up is not known"))
        elif not namespace:
            checks.append(Check(name, UNKNOWN, f"{address} is outside the cluster"))
        else:
            checks.append(_part(cluster, name, namespace[1], pods))
    return checks


def _part(cluster: Cluster, name: str, namespace: str, pods: Sequence[Pod]) -> Check:
    mine = [p for p in pods if p.namespace == namespace and name in _names(p)]
    ready = sum(pod.ready for pod in mine)
    at = replace(cluster, namespace=namespace)
    if not mine:
        return Check(
            name,
            FAIL,
            f"no pod of {name} in namespace {namespace}: a frontend will see no workers",
            command(at, "get", "pods"),
        )
    if ready < len(mine):
        return Check(name, FAIL if not ready else WARN, f"{ready} of {len(mine)} pods ready in namespace {namespace}",
                     command(at, "describe", f"pod/{next(p.name for p in mine if not p.ready)}"))  # fmt: skip
    return Check(name, PASS, f"{ready} of {len(mine)} pods ready in namespace {namespace}")


def _names(pod: Pod) -> set[str]:
    return {str(pod.labels.get(key)) for key in ("app.kubernetes.io/name", "app.kubernetes.io/component", "app")}


def prerequisites(cluster: Cluster, found: Sequence[Operator]) -> list[Check]:
    """What the operator takes for granted: its MPI ssh key and the planner's ClusterRole. Without them every graph fails."""
    chosen = _watching(cluster, found)
    if chosen is None:
        return []
    asked = []
    if name := chosen.arguments.get("mpi-run-ssh-secret-name"):
        namespace = chosen.arguments.get("mpi-run-ssh-secret-namespace", chosen.namespace)
        asked.append(("mpi secret", replace(cluster, namespace=namespace), f"secret/{name}"))
    if name := chosen.arguments.get("planner-cluster-role-name"):
        asked.append(("planner role", cluster, f"clusterrole/{name}"))
    told = together({what: partial(ask, at, "get", what, "--output=name") for _, at, what in asked})
    checks = []
    for title, at, what in asked:
        answer = told[what]
        where = f" in namespace {at.namespace}" if title == "mpi secret" else ""
        if answer.missing:
            checks.append(Check(title, WARN, f"{what} is not there{where}: the operator then fails every graph",
                                f"helm --kube-context {cluster.context} --namespace {chosen.namespace} list"))  # fmt: skip
        elif answer.out is None:
            checks.append(not_told(title, answer, f"whether {what} is there{where} is not known"))
    return checks


def orchestrator(cluster: Cluster, prepared: Prepared, known: Mapping[str, Sequence[str]]) -> list[Check]:
    """Who starts the pods of a multinode worker together; none is asked for when no worker has several nodes."""
    many = [service.key for service in prepared.graph.services if service.nodes > 1]
    if not many:
        return []
    if not known:
        return [Check("multinode", UNKNOWN, "the API groups were not told")]
    here = [title for group, title in ORCHESTRATORS.items() if group in known]
    if here:
        return [Check("multinode", PASS, f"{' and '.join(here)} for {', '.join(many)}")]
    runs = "runs" if len(many) == 1 else "run"
    text = f"{' and '.join(many)} {runs} on several nodes, and the cluster has neither {' nor '.join(ORCHESTRATORS.values())}: the operator refuses that"
    # The operator looks for it when it starts, and not again.
    fix = f"kubectl --context {shlex.quote(cluster.context)} apply --server-side -f https://github.com/kubernetes-sigs/lws/releases/latest/download/manifests.yaml"
    return [Check("multinode", FAIL, f"{text}; restart the operator once one is installed", fix)]


def _watching(cluster: Cluster, found: Sequence[Operator]) -> Operator | None:
    watching = [each for each in found if each.only in ("", cluster.namespace)]
    return next((each for each in watching if each.available), next(iter(watching), None))


def _has_kind(answer: Answer) -> bool:
    data: Mapping[str, Any] = next(values((answer.out or "").strip()), {})
    return any(entry.get("name") == PLURAL for entry in data.get("resources", []))


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _install(cluster: Cluster, prepared: Prepared, verb: str = "install") -> str:
    version = (prepared.base.version if prepared.base else None) or ""
    for service in prepared.graph.workers:
        try:
            version = version or references.semantic_version(references.parse(service.image or "").tag) or ""
        except Wrong:
            continue
    match = re.match(r"\d+\.\d+\.\d+", version)
    number, helm = match[0] if match else CHART_VERSION, f"helm --kube-context {shlex.quote(cluster.context)} {verb}"
    # From 1.0 on the operator brings its own kinds.
    crds = (
        f"{helm} dynamo-crds {CHARTS}/dynamo-crds-{number}.tgz --namespace default && "
        if number.startswith("0.")
        else ""
    )
    return f"{crds}{helm} dynamo-platform {CHARTS}/dynamo-platform-{number}.tgz --namespace dynamo-system --create-namespace"
