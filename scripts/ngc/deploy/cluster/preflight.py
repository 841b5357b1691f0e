"""What must hold before a graph is applied, in the order in which a person would mend it; all questions are asked side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from ngc.deploy.cluster import gpufit, images, installed, nodes, quotas, rights, secretchecks, storage
from ngc.deploy.cluster.checking import (
    FAIL,
    PASS,
    WARN,
    Answer,
    Check,
    ask,
    command,
    not_told,
    together,
)  # fmt: skip
from ngc.deploy.cluster.images import Published
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.cluster.nodes import Node, Pod
from ngc.deploy.graph import Graph, Service
from ngc.deploy.lint import Finding
from ngc.deploy.prepare import Prepared
from ngc.deploy.render import DGD
from ngc.deploy.rules.rule import WARNING

__all__ = ["Check", "checks"]
NO_RDMA = "no-rdma"
SAID_HERE = ("mount-under-root",)  # of lint, which does not know whom the image runs as
NOT_ASKED = Answer(None, why="it was not asked")
# Kinds whose presence means that nodes are added for pods that find none.
GROWING = ("karpenter.sh", "autoscaling.x-k8s.io", "cluster.x-k8s.io")


def checks(
    cluster: Cluster,
    prepared: Prepared,
    to: str,
    findings: Sequence[Finding] = (),
    secrets: bool = False,
    fill: str | None = None,
) -> list[Check]:
    """Every check of a graph for a target (dgd or kubernetes). Nothing is changed. Raises Unreachable.

    `findings`: what lint says of the config; `secrets`: they will be made; `fill`: what --fill-cache is.
    """
    graph, own = prepared.graph, to == DGD
    version = str(graph.data.get("apiVersion", "")).rpartition("/")[2]
    asked_rights = rights.needed(graph, to, secrets, fill)
    tasks: dict[str, Callable[[], Any]] = {
        name: partial(ask, cluster, *words) for name, words in _questions(cluster, graph, own, version).items()
    }
    tasks["rights"] = partial(ask, cluster, *rights.QUESTION, text=rights.question(cluster, asked_rights))
    tasks |= {f"image {image}": partial(images.published, image) for image in images.named(graph)}
    told = together(tasks)
    known = installed.groups(told["groups"])
    here = nodes.read_nodes(told["nodes"]) if told["nodes"].out is not None else None
    pods = nodes.read_pods(told["pods"]) if told["pods"].out is not None else None
    said = {image: told[f"image {image}"] for image in images.named(graph)}
    found = [namespace(cluster, told["namespace"]), rights.check(cluster, asked_rights, told["rights"])]
    if own:
        seen = installed.operators(told["deployments"])
        found.append(installed.kind(cluster, prepared, version, told["kinds"], known))
        found.append(installed.operator(cluster, prepared, told["deployments"], seen))
        found += installed.platform(cluster, seen, pods, told["pods"])
        found += installed.prerequisites(cluster, seen)
        found += installed.orchestrator(cluster, prepared, known)
    found += secretchecks.variables(cluster, graph, told["secrets"])
    found += secretchecks.pulling(cluster, graph, to, told["secrets"], told.get("account"), said)
    found += storage.claims(cluster, graph, told.get("claims", NOT_ASKED), told.get("classes", NOT_ASKED))
    found.append(gpus(cluster, graph, told, here, pods, any(group in known for group in GROWING)))
    mine = [pod for pod in pods or () if gpufit.is_mine(pod, cluster.namespace, graph.name)]
    found += quotas.check(cluster, told["quotas"], quotas.wants(prepared, to, told["limits"]), mine)
    found += [images.check(image, said[image], here) for image in images.named(graph)]
    found += mounts(prepared, said)
    found += devices(cluster, graph, here, told["nodes"])
    return [*found, *warnings(findings, here)]


def warnings(findings: Sequence[Finding], here: Sequence[Node] | None) -> Iterator[Check]:
    """What lint warns of, and the way of the KV cache, which matters as soon as there are several nodes."""
    for finding in findings:
        between = finding.rule == NO_RDMA and (here is None or len(here) > 1)
        if (finding.severity == WARNING and finding.rule not in SAID_HERE) or between:
            yield Check(finding.rule, WARN, f"{finding.file}:{finding.line}: {finding.what}", finding.fix)


def _questions(cluster: Cluster, graph: Graph, own: bool, version: str) -> dict[str, tuple[str, ...]]:
    """kubectl's words for each question that this graph gives reason to ask."""
    asked = {
        "namespace": ("get", f"namespace/{cluster.namespace}", "--output=jsonpath={.status.phase}"),
        "nodes": nodes.NODES,
        "pods": nodes.PODS,
        "groups": installed.GROUPS,
        "secrets": secretchecks.SECRETS,
        "quotas": quotas.QUOTAS,
        "limits": quotas.LIMITS,
    }
    if own:
        asked |= {"deployments": installed.DEPLOYMENTS, "kinds": installed.resources(version)}
    else:
        asked["account"] = secretchecks.ACCOUNT
    if storage.existing(graph) or storage.created(graph):
        asked |= {"claims": storage.CLAIMS, "classes": storage.CLASSES}
    return asked


def namespace(cluster: Cluster, answer: Answer) -> Check:
    """Whether the namespace is there to be deployed to."""
    if answer.missing:
        return Check("namespace", FAIL, f"{cluster.namespace} is not there ({cluster})",
                     f"kubectl --context {cluster.context} create namespace {cluster.namespace}")  # fmt: skip
    if answer.out is None:
        return not_told("namespace", answer, f"whether {cluster.namespace} is there is not known")
    if answer.out.strip() == "Terminating":
        return Check("namespace", FAIL, f"{cluster.namespace} is being deleted",
                     f"kubectl --context {cluster.context} wait --for=delete namespace/{cluster.namespace}")  # fmt: skip
    return Check("namespace", PASS, f"{cluster}")


def gpus(
    cluster: Cluster, graph: Graph, told: Mapping[str, Any], here: Sequence[Node] | None, pods: Sequence[Pod] | None, grows: bool
) -> Check:  # fmt: skip
    """Whether GPUs are there."""
    wanted = gpufit.needs(graph)
    if here is not None:
        return gpufit.fit(cluster, graph.name, wanted, here, pods, grows)
    if not wanted:
        return Check("gpus", PASS, "none asked for")
    return not_told("gpus", told["nodes"], f"needs {' + '.join(map(str, wanted))} GPUs; what is free is not known")


def mounts(prepared: Prepared, said: Mapping[str, Any]) -> Iterator[Check]:
    """Volumes below /root in an image that runs as another user, who may not read them (dynamo#4290)."""
    for service in prepared.graph.services:
        user = _user(prepared, service, said.get(service.image or ""))
        paths = [mount.path for mount in service.mounts]
        paths += [str(entry.get("mountPath")) for entry in service.main.get("volumeMounts") or ()]
        for path in paths:
            if user not in ("", "0", "root") and (path == "/root" or path.startswith("/root/")):
                yield Check("mounts", WARN, f"{service.key} mounts {path} and runs as {user}, who may not look into /root",
                            "mount it at /models, and add --set 'spec.envs[+]={name: HF_HOME, value: /models}'")  # fmt: skip


def _user(prepared: Prepared, service: Service, said: Any) -> str:
    pod: Mapping[str, Any] = service.spec.get("extraPodSpec") or {}
    for security in (service.main.get("securityContext") or {}, pod.get("securityContext") or {}):
        if "runAsUser" in security:
            return str(security["runAsUser"])
    own = said.user if isinstance(said, Published) else (prepared.base.user or "") if prepared.base else ""
    return str(own).partition(":")[0]


def devices(cluster: Cluster, graph: Graph, here: Sequence[Node] | None, answer: Answer) -> list[Check]:
    """Counted resources other than GPUs, such as RDMA devices: some node must offer as many as a pod asks for."""
    wanted: dict[str, int] = {}
    for service in graph.services:
        limits: Mapping[str, Any] = ((service.spec.get("resources") or {}).get("limits") or {}).get("custom") or {}
        more: Mapping[str, Any] = (service.main.get("resources") or {}).get("limits") or {}
        for name, count in {**limits, **{key: value for key, value in more.items() if "/" in key}}.items():
            if name != nodes.GPU and str(count).isdecimal() and service.replicas:
                wanted[name] = max(wanted.get(name, 0), int(count))
    found = []
    table = "--output=custom-columns=NODE:.metadata.name,OFFERS:.status.allocatable"
    for name, count in wanted.items():
        having = [node.name for node in here or () if node.has(name) >= count]
        if here is None:
            found.append(not_told("devices", answer, f"whether a node offers {count} x {name} is not known"))
        elif having:
            found.append(Check("devices", PASS, f"{name} on {len(having)} of {len(here)} nodes"))
        else:
            text = f"no node offers {count} x {name}: pods that ask for it stay Pending; take the name that your device plugin gives"
            found.append(Check("devices", FAIL, text, command(cluster, "get", "nodes", table)))
    return found
