"""Applying objects: a strict dry run that names every unknown field, server-side apply under our own name, nothing taken from others."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ngc.deploy import names
from ngc.deploy.cluster import adapting, conflicts, kubectl
from ngc.deploy.cluster.adapting import Adapted, key
from ngc.deploy.cluster.kubectl import Cluster, Done
from ngc.deploy.cluster.observing import DCD
from ngc.deploy.cluster.revisions import MANAGED, MANAGED_LABEL, MANAGER, OWN_LABEL, Revision
from ngc.deploy.graph import KIND
from ngc.errors import Failed, Wrong

# What a graph has of ours beside the DynamoGraphDeployment, whatever its config.
PRUNED = "deployments.apps,services,configmaps"
# Never removed: claims hold models, Secrets are not made by a revision, and what is in no namespace may be another graph's too.
KEPT = ("PersistentVolumeClaim", "Secret", "Namespace", "PersistentVolume", "StorageClass", "PriorityClass", "CustomResourceDefinition")  # fmt: skip
Object = Mapping[str, Any]


def labelled(objects: Iterable[Object], graph: str) -> list[dict[str, Any]]:
    """The objects with labels by which we find them again."""
    made = []
    for entry in objects:
        metadata = entry.get("metadata") or {}
        labels = {**(metadata.get("labels") or {}), **MANAGED, OWN_LABEL: graph}
        made.append({**entry, "metadata": {**metadata, "labels": labels}})
    return made


def mine(graph: str) -> str:
    """The selector of what we have applied for a graph; revisions are kept under another."""
    return f"{OWN_LABEL}={graph},{MANAGED_LABEL}={MANAGER}"


def live(cluster: Cluster, objects: Sequence[Object]) -> dict[tuple[str, str], Object]:
    """Those of the objects that the cluster has, with who owns which field, by kind and name. One call."""
    words = ("get", "-f", "-", "--ignore-not-found", "--show-managed-fields", "--output", "json")
    done = kubectl.call(cluster, *words, text=listed(objects))
    if done.code:
        raise _refusal(cluster, done, ("get", "-f", "-"))
    data = json.loads(done.out) if done.out.strip() else {}
    return {key(entry): entry for entry in data.get("items", [data] if data else [])}


def ready(cluster: Cluster, objects: Sequence[Object], force: bool) -> Adapted:
    """The objects as they are to be applied, after a strict dry run of everything; nothing is changed.

    Raises Wrong for what the server will not take, Failed for conflicts.
    """
    made = adapting.adapted(objects, live(cluster, objects), force)
    for entry in made.there.values():
        if owner := next(
            (o for o in entry["metadata"].get("ownerReferences") or [] if o.get("kind") in _OPERATORS), None
        ):
            raise Wrong(
                f"{' '.join(key(entry))} belongs to {owner['kind']} {owner['name']}, which keeps it as it is; deploy with --to=dgd, or into another --namespace"
            )
    fresh = [entry for entry in made.objects if key(entry) not in made.there]
    known = [entry for entry in made.objects if key(entry) in made.there]
    if fresh:
        # `create`, because server-side apply names only some of the unknown fields.
        done = kubectl.call(cluster, "create", "--dry-run=server", "--validate=strict", "-f", "-", text=listed(fresh))
        if done.code:
            raise _refusal(cluster, done, ("create", "--dry-run=server"))
    if known:
        done = kubectl.call(cluster, *words(force), "--dry-run=server", text=listed(known))
        if done.code:
            raise _refusal(cluster, _every_field(cluster, known, done), ("apply", "--dry-run=server"), known)
    return made


def apply(cluster: Cluster, objects: Sequence[Object], force: bool) -> None:
    """Server-side apply of everything. Raises Failed with how far it came."""
    done = kubectl.call(cluster, *words(force), text=listed(objects))
    if done.code:
        raise _refusal(cluster, done, ("apply",), objects, len(done.out.splitlines()))


def kinds(revisions: Iterable[Revision]) -> list[str]:
    """PRUNED, and the kinds beside it that the revisions have had, as kubectl takes them: each to be asked about alone."""
    found = {(e["apiVersion"], e["kind"]) for revision in revisions for e in revision.objects}
    more = []
    for version, kind in sorted(found):
        group, _, number = version.rpartition("/")
        known = kind in ("Deployment", "Service", "ConfigMap", KIND, *KEPT) or kind.startswith("Cluster")
        if not known:
            more.append(f"{kind}.{number}.{group}".lower() if group else kind.lower())
    return [PRUNED, *more]


def surplus(cluster: Cluster, revision: Revision, before: Iterable[Revision]) -> list[str]:
    """What earlier revisions had and this one has not, as kind/name."""
    wanted = {key(entry) for entry in revision.objects}
    found = [
        entry for kind in kinds(before) for entry in kubectl.get(cluster, kind, "--selector", mine(revision.graph))
    ]
    gone = [entry for entry in found if key(entry) not in wanted]
    if revision.to == "dgd":
        # Whether the operator removes the component of a service that is gone is not known; by its label, for names may get a suffix.
        keys = {part.key for part in revision.parts}
        components = kubectl.get(
            cluster, DCD, "--selector", f"{names.GRAPH_LABEL}={revision.graph},{names.COMPONENT_LABEL}"
        )
        gone += [e for e in components if e["metadata"]["labels"][names.COMPONENT_LABEL] not in keys]
    return [_named(entry) for entry in gone]


def remove(cluster: Cluster, gone: Sequence[str]) -> None:
    """Remove objects, without waiting until they are gone."""
    kubectl.ask(cluster, "delete", "--wait=false", "--ignore-not-found", *gone)


def difference(cluster: Cluster, objects: Sequence[Object], force: bool) -> Done:
    """kubectl's own diff: exit code 0 the same, 1 differs, more: an error."""
    forced = ("--force-conflicts",) if force else ()
    done = kubectl.call(
        cluster, "diff", "--server-side", f"--field-manager={MANAGER}", *forced, "-f", "-", text=listed(objects)
    )
    if done.code > 1:
        raise _refusal(cluster, done, ("diff", "--server-side"), objects)
    return done


def listed(objects: Iterable[Object]) -> str:
    """All objects as one text for kubectl's stdin: one after another, for it checks a List by itself and loses the paths."""
    return "\n".join(map(json.dumps, objects))


def words(force: bool) -> tuple[str, ...]:
    """kubectl's words for applying what comes on its stdin."""
    forced = ("--force-conflicts",) if force else ()
    return ("apply", "--server-side", "--validate=strict", f"--field-manager={MANAGER}", *forced, "-f", "-")


_OPERATORS = (KIND, "DynamoComponentDeployment")


def _named(entry: Object) -> str:
    group = entry["apiVersion"].rpartition("/")[0]
    return f"{entry['kind'].lower()}{f'.{group}' if group else ''}/{entry['metadata']['name']}"


def _every_field(cluster: Cluster, objects: Sequence[Object], done: Done) -> Done:
    """For an unknown field: what `create` says of the same objects under names of their own, for it names all of them."""
    if "field not declared in schema" not in done.err and "unknown field" not in done.err:
        return done
    nameless = [
        {**e, "metadata": {**e["metadata"], "name": None, "generateName": f"{e['metadata']['name']}-"}} for e in objects
    ]
    again = kubectl.call(cluster, "create", "--dry-run=server", "--validate=strict", "-f", "-", text=listed(nameless))
    return again if "unknown field" in again.err else done


def _refusal(
    cluster: Cluster, done: Done, asked: Sequence[str], objects: Sequence[Object] = (), applied: int = 0
) -> Wrong | Failed:
    """What to raise for refused objects, with who owns what and how far it came."""
    so_far = f" ({applied} objects were applied)" if applied else ""
    if fields := list(dict.fromkeys(re.findall(r'unknown field "([^"]+)"', done.err))):
        return Wrong(f"the cluster knows no field {', '.join(fields)}; take it out, or check the version of its CRDs")
    if said := conflicts.told(cluster, done, objects, words(False)):
        return Failed(f"others have set fields that the config sets: {said}; --force-conflicts takes them over{so_far}")
    if "exceeded quota" in done.err:
        what = re.search(r"exceeded quota: (.+?)(?:\n|$)", done.err)
        return Failed(
            f"the namespace's quota is used up: {what[1] if what else ''}; ask for more, or deploy fewer replicas{so_far}"
        )
    if invalid := re.findall(r"is invalid: (.+)", done.err):
        return Wrong(f"the cluster refuses it: {' '.join(' '.join(invalid).split())[:400]}")
    return Failed(kubectl.explain(cluster, done, asked) + so_far)
