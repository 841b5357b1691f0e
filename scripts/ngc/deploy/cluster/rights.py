"""What a login must be allowed for a deployment; the API server is asked about all of it in one call."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from ngc.deploy.cluster.checking import FAIL, PASS, UNKNOWN, WARN, Answer, Check, ask, grant
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.cluster.modelcache import HUB
from ngc.deploy.graph import Graph
from ngc.deploy.render import DGD

APPLY = ("get", "create", "patch")
QUESTION = ("create", "--validate=false", "-f", "-", '--output=jsonpath={.status.allowed}{"\\n"}')


@dataclass(frozen=True)
class Right:
    """Verbs on a resource (`name[/sub][.group]`). Without a `needed` one nothing is deployed; others are missed later."""

    resource: str
    verbs: tuple[str, ...]
    needed: bool = True


def needed(graph: Graph, to: str, secrets: bool = False, fill: str | None = None) -> list[Right]:
    """What deploying, waiting and asking the result takes; `secrets`: and making Secrets, `fill`: and what --fill-cache is."""
    applied = ["configmaps"]  # the revisions, and those of the config
    applied += ["dynamographdeployments.nvidia.com"] if to == DGD else ["deployments.apps", "services"]
    if to != DGD and any(claim.get("create") for claim in graph.claims.values()):
        applied.append("persistentvolumeclaims")
    seen = [
        "pods",
        "deployments.apps",
        "replicasets.apps",
        "services",
        *(["dynamocomponentdeployments.nvidia.com"] if to == DGD else []),
    ]
    return [
        *(Right(resource, APPLY) for resource in applied),
        *(Right(resource, ("list",)) for resource in ("configmaps", *seen)),
        Right("pods/portforward", ("create",)),
        Right("configmaps", ("delete",)),
        *(Right(resource, ("delete",), needed=False) for resource in applied[1:]),
        # The component of a service that the config no longer has.
        *([Right("dynamocomponentdeployments.nvidia.com", ("delete",), needed=False)] if to == DGD else []),
        Right("pods/log", ("get",), needed=False),
        Right("events", ("list",), needed=False),
        *([Right("secrets", APPLY)] if secrets else []),
        *(_filling(fill) if fill is not None else []),
    ]


def _filling(source: str) -> list[Right]:
    """What a download or a copy into a claim takes: a job that is read, or a pod that is written to."""
    if source == HUB:
        return [Right("jobs.batch", ("create", "delete")), Right("pods", ("get",)), Right("pods/log", ("get",))]
    return [Right("pods", ("get", "create", "delete")), Right("pods/exec", ("create",))]


def question(cluster: Cluster, rights: Sequence[Right]) -> str:
    """The objects that QUESTION sends: a SelfSubjectAccessReview for each verb, answered in their order."""
    items = []
    for right, verb in _each(rights):
        name, _, group = right.resource.partition(".")
        resource, _, sub = name.partition("/")
        attributes = {
            "namespace": cluster.namespace,
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": sub,
        }
        items.append(
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            }
        )
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def check(cluster: Cluster, rights: Sequence[Right], answer: Answer) -> Check:
    """The check of an answer to QUESTION; missing rights are listed by verb."""
    told = [line.strip() for line in (answer.out or "").splitlines() if line.strip()]
    every = list(_each(rights))
    if answer.out is None or len(told) != len(every):
        return Check("rights", UNKNOWN, answer.why or "the API server did not say what this login may do", answer.fix)
    missing = [(right, verb) for (right, verb), allowed in zip(every, told, strict=True) if allowed != "true"]
    if not missing:
        return Check("rights", PASS, f"all {len(every)} that a deployment uses")
    lacking = [entry for entry in missing if entry[0].needed] or missing
    by_verb: dict[str, list[str]] = {}
    for right, verb in lacking:
        by_verb.setdefault(verb, []).append(right.resource)
    said = "; ".join(f"{verb} {', '.join(resources)}" for verb, resources in by_verb.items())
    user = ask(cluster, "auth", "whoami", "--output=jsonpath={.status.userInfo.username}").out or "USER"
    state = FAIL if lacking[0][0].needed else WARN
    where = f"in namespace {cluster.namespace}"
    verbs = ",".join(dict.fromkeys(verb for _, verb in missing))
    resources = ",".join(dict.fromkeys(right.resource for right, _ in missing))
    return Check(
        "rights",
        state,
        f"this login ({user}) may not {said} {where}",
        grant(cluster, user, verbs, resources, wide=False, role="ngc-dynamo-deploy"),
    )


def _each(rights: Sequence[Right]) -> list[tuple[Right, str]]:
    return [(right, verb) for right in rights for verb in right.verbs]
