"""Every apply is kept in the namespace as a numbered ConfigMap, so that an older one can be applied again. No secret is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any

from ngc.deploy import promise as promises
from ngc.deploy.cluster import kubectl
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.cluster.telling import flags
from ngc.deploy.promise import Promise
from ngc.errors import Wrong

OWN_LABEL, NUMBER_LABEL = "ngc-dynamo/graph", "ngc-dynamo/revision"
MANAGER, MANAGED_LABEL = "ngc-dynamo", "app.kubernetes.io/managed-by"
MANAGED = {MANAGED_LABEL: MANAGER}
STATE = "ngc-dynamo/state"
FORMS = {"dgd": "a DynamoGraphDeployment", "kubernetes": "plain objects"}
APPLIED, SERVING, FAILED = "applied", "serving", "failed"
KEPT = 10  # revisions; older ones are removed


@dataclass(frozen=True)
class Part:
    """What a component must become: its Deployment's replicas (None: another decides), image, command line, and its pods' mark."""

    key: str
    deployment: str
    replicas: int | None
    image: str | None
    command: tuple[str, ...]
    args: tuple[str, ...]
    mark: str | None = None  # None: nothing but the Deployment's own generation is needed


@dataclass(frozen=True)
class Revision:
    """One apply of a graph. `to`: dgd or kubernetes; `state`: applied, serving or failed; `objects` are plain data."""

    graph: str
    number: int
    at: str
    config: str
    image: str | None
    to: str
    note: str
    state: str
    parts: tuple[Part, ...]
    frontend: str  # the Service that answers
    promise: Promise
    objects: tuple[Mapping[str, Any], ...]


def name(graph: str, number: int) -> str:
    """The name of a revision's ConfigMap."""
    return f"{graph}-revision-{number}"


def history(cluster: Cluster, graph: str | None = None) -> list[Revision]:
    """Revisions in the namespace, oldest first; of one graph or of all."""
    selector = f"{OWN_LABEL}={graph},{NUMBER_LABEL}" if graph else NUMBER_LABEL
    found = [_read(entry) for entry in kubectl.get(cluster, "configmaps", "--selector", selector)]
    return sorted(found, key=lambda revision: (revision.graph, revision.number))


def current(cluster: Cluster, graph: str | None) -> Revision:
    """The newest revision of a graph, or of the only one. Raises Wrong with the names there are."""
    every = history(cluster)
    names = list(dict.fromkeys(revision.graph for revision in every))
    if graph is None and len(names) == 1:
        graph = names[0]
    if graph is None and names:
        raise Wrong(
            f"namespace {cluster.namespace} has several deployments; name one with --config: {', '.join(names)}"
        )
    newest = [revision for revision in every if revision.graph == graph or revision.config == graph]
    if not newest:
        here = f"; what is there: {', '.join(names)}" if names else ""
        raise Wrong(
            f"nothing of ours{f' named {graph}' if graph else ''} is deployed in namespace {cluster.namespace}{here}; `invoke deploy` does it, --namespace names another"
        )
    return newest[-1]


def write(cluster: Cluster, revision: Revision) -> Revision:
    """Keep a revision. Raises Failed."""
    kubectl.ask(
        cluster,
        "apply",
        "--server-side",
        f"--field-manager={MANAGER}",
        "--force-conflicts",
        "-f",
        "-",
        text=json.dumps(_entry(revision)),
    )
    return revision


def set_state(cluster: Cluster, revision: Revision, state: str) -> None:
    """Note how a revision did."""
    kubectl.ask(
        cluster, "annotate", "--overwrite", f"configmap/{name(revision.graph, revision.number)}", f"{STATE}={state}"
    )


def trim(cluster: Cluster, graph: str) -> None:
    """Remove all but the newest revisions; the newest that served is kept whatever its age."""
    every = history(cluster, graph)
    served = [revision.number for revision in every if revision.state == SERVING][-1:]
    old = [revision.number for revision in every[:-KEPT] if revision.number not in served]
    if old:
        kubectl.ask(cluster, "delete", "configmap", "--ignore-not-found", *(name(graph, number) for number in old))


def now() -> str:
    """The time in UTC, as people read it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def choose(every: Sequence[Revision], number: int | None) -> Revision:
    """The revision to go back to: the named one, else the newest before the current that served. Raises Wrong with what there is."""
    numbers = ", ".join(f"{r.number} ({r.state}, {r.at})" for r in every)
    if number is not None:
        for revision in every:
            if revision.number == number:
                return revision
        raise Wrong(f"there is no revision {number}; choose from: {numbers}")
    served = [revision for revision in every[:-1] if revision.state == SERVING]
    if not served:
        raise Wrong(f"no earlier revision is known to have served; name one with --revision, of: {numbers}")
    return served[-1]


def refuse_move(cluster: Cluster, every: Sequence[Revision], to: str) -> None:
    """Raise Wrong where a graph is there in the other form: both use the same names, so one would go while it serves."""
    if not every or every[-1].to == to:
        return
    newest = every[-1]
    where = flags(cluster, newest.graph)
    raise Wrong(
        f"{newest.graph} is there as {FORMS[newest.to]} (revision {newest.number}, {newest.state}), and {FORMS[to]} would take its place "
        f"while it serves; --to={newest.to} keeps it so, `invoke undeploy {where}` removes it first, or another --namespace takes the new one beside it"
    )


def _entry(revision: Revision) -> dict[str, Any]:
    about = {key: value for key, value in asdict(revision).items() if key not in ("objects", "state")}
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name(revision.graph, revision.number),
            "labels": {OWN_LABEL: revision.graph, NUMBER_LABEL: str(revision.number)},
            "annotations": {STATE: revision.state},
        },
        "data": {
            "revision.json": json.dumps(about, indent=1),
            "objects.json": json.dumps(list(revision.objects), indent=1),
        },
    }


def _read(entry: Mapping[str, Any]) -> Revision:
    about = json.loads(entry["data"]["revision.json"])
    parts = tuple(Part(**{**p, "command": tuple(p["command"]), "args": tuple(p["args"])}) for p in about.pop("parts"))
    state = (entry["metadata"].get("annotations") or {}).get(STATE, APPLIED)
    objects = tuple(json.loads(entry["data"]["objects.json"]))
    return Revision(
        **{**about, "parts": parts, "promise": promises.from_data(about["promise"]), "state": state, "objects": objects}
    )
