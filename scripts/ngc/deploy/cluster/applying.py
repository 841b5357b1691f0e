"""Applying objects: a strict dry run that names every unknown field, server-side apply under our own name, nothing taken from others."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ngc.deploy import platform
from ngc.deploy.cluster import kubectl
from ngc.deploy.cluster.kubectl import Cluster, Done
from ngc.deploy.cluster.revisions import OWN_LABEL
from ngc.errors import Failed, Wrong

MANAGER = "ngc-dynamo"
MANAGED = {"app.kubernetes.io/managed-by": MANAGER}
# What of ours may be removed when a graph no longer has it; never claims, they hold models.
PRUNED = "deployments.apps,services,configmaps"
Object = Mapping[str, Any]


def labelled(objects: Iterable[Object], graph: str) -> list[dict[str, Any]]:
    """The objects with labels by which we find them again."""
    made = []
    for entry in objects:
        metadata = entry.get("metadata") or {}
        labels = {**(metadata.get("labels") or {}), **MANAGED, OWN_LABEL: graph}
        made.append({**entry, "metadata": {**metadata, "labels": labels}})
    return made


def live(cluster: Cluster, objects: Sequence[Object]) -> dict[tuple[str, str], Object]:
    """Those of the objects that the cluster has, with who owns which field, by kind and name. One call."""
    done = kubectl.call(
        cluster,
        "get",
        "-f",
        "-",
        "--ignore-not-found",
        "--show-managed-fields",
        "--output",
        "json",
        text=listed(objects),
    )
    if done.code:
        raise _refusal(cluster, done, ("get", "-f", "-"))
    data = json.loads(done.out) if done.out.strip() else {}
    return {_key(entry): entry for entry in data.get("items", [data] if data else [])}


def adapted(objects: Sequence[Object], there: Mapping[tuple[str, str], Object]) -> list[dict[str, Any]]:
    """The objects as they are to be applied: replicas that another decides are left out, etcd and NATS keep the image they run.

    A new image for etcd would restart it, and everything with it; its own version does not come from the graph's.
    """
    made = []
    for entry in objects:
        now = there.get(_key(entry))
        changed: dict[str, Any] = copy.deepcopy(dict(entry))
        if now is not None:
            for path in _replicas(changed):
                if _foreign(now, path):
                    _drop(changed, path)
            if _is_platform(changed):
                image = now["spec"]["template"]["spec"]["containers"][0]["image"]
                changed["spec"]["template"]["spec"]["containers"][0]["image"] = image
        made.append(changed)
    return made


def check(cluster: Cluster, objects: Sequence[Object], there: Mapping[tuple[str, str], Object], force: bool) -> None:
    """A strict dry run of everything; nothing is changed. Raises Wrong for what the server will not take, Failed for conflicts."""
    fresh = [entry for entry in objects if _key(entry) not in there]
    known = [entry for entry in objects if _key(entry) in there]
    if fresh:
        # `create`, because server-side apply names only some of the unknown fields.
        done = kubectl.call(cluster, "create", "--dry-run=server", "--validate=strict", "-f", "-", text=listed(fresh))
        if done.code:
            raise _refusal(cluster, done, ("create", "--dry-run=server"))
    if known:
        done = kubectl.call(cluster, *_apply(force), "--dry-run=server", text=listed(known))
        if done.code:
            raise _refusal(cluster, _every_field(cluster, known, done), ("apply", "--dry-run=server"))


def apply(cluster: Cluster, objects: Sequence[Object], force: bool) -> list[str]:
    """Server-side apply of everything; what became of each object. Raises Failed with how far it came."""
    done = kubectl.call(cluster, *_apply(force), text=listed(objects))
    if done.code:
        raise _refusal(cluster, done, ("apply",), tuple(done.out.splitlines()))
    return done.out.splitlines()


def prune(cluster: Cluster, graph: str, objects: Sequence[Object]) -> list[str]:
    """Remove what an earlier revision had and this one has not; what was removed."""
    wanted = {_key(entry) for entry in objects}
    selector = f"{OWN_LABEL}={graph},app.kubernetes.io/managed-by={MANAGER}"
    found = kubectl.get(cluster, PRUNED, "--selector", selector)
    gone = [f"{entry['kind'].lower()}/{entry['metadata']['name']}" for entry in found if _key(entry) not in wanted]
    if gone:
        kubectl.ask(cluster, "delete", "--wait=false", "--ignore-not-found", *gone)
    return gone


def difference(cluster: Cluster, objects: Sequence[Object], force: bool) -> Done:
    """kubectl's own diff: exit code 0 the same, 1 differs, more: an error."""
    words = [
        "diff",
        "--server-side",
        f"--field-manager={MANAGER}",
        *(["--force-conflicts"] if force else []),
        "-f",
        "-",
    ]
    return kubectl.call(cluster, *words, text=listed(objects))


def listed(objects: Iterable[Object]) -> str:
    """All objects as one text for kubectl's stdin: one after another, for it checks a List by itself and loses the paths."""
    return "\n".join(map(json.dumps, objects))


def _apply(force: bool) -> tuple[str, ...]:
    forced = ("--force-conflicts",) if force else ()
    return ("apply", "--server-side", "--validate=strict", f"--field-manager={MANAGER}", *forced, "-f", "-")


def _key(entry: Object) -> tuple[str, str]:
    return entry["kind"], entry["metadata"]["name"]


def _is_platform(entry: Object) -> bool:
    return entry["kind"] == "Deployment" and (entry["metadata"].get("labels") or {}).get(platform.ROLE) in (
        platform.ETCD,
        platform.NATS,
    )


def _replicas(entry: Object) -> Iterator[tuple[str, ...]]:
    """Where an object says how many pods there are."""
    spec = entry.get("spec") or {}
    if entry["kind"] == "Deployment" and "replicas" in spec:
        yield ("spec", "replicas")
    for key, service in (spec.get("services") or {}).items() if isinstance(spec.get("services"), dict) else ():
        if "replicas" in service:
            yield ("spec", "services", key, "replicas")


def _foreign(now: Object, path: tuple[str, ...]) -> bool:
    """True if a planner or autoscaler has set the field; a person's kubectl is no such owner, that is a conflict to be shown."""
    for owner in now["metadata"].get("managedFields") or []:
        name = str(owner.get("manager", ""))
        node: Any = owner.get("fieldsV1") or {}
        for key in path:
            node = node.get(f"f:{key}") if isinstance(node, dict) else None
        if node is not None and name != MANAGER and not name.startswith("kubectl"):
            return True
    return False


def _drop(entry: dict[str, Any], path: tuple[str, ...]) -> None:
    for key in path[:-1]:
        entry = entry[key]
    entry.pop(path[-1])


def _every_field(cluster: Cluster, objects: Sequence[Object], done: Done) -> Done:
    """For an unknown field: what `create` says of the same objects under names of their own, for it names all of them."""
    if "field not declared in schema" not in done.err and "unknown field" not in done.err:
        return done
    nameless = [
        {**e, "metadata": {**e["metadata"], "name": None, "generateName": f"{e['metadata']['name']}-"}} for e in objects
    ]
    again = kubectl.call(cluster, "create", "--dry-run=server", "--validate=strict", "-f", "-", text=listed(nameless))
    return again if "unknown field" in again.err else done


def _refusal(cluster: Cluster, done: Done, words: Sequence[str], applied: Sequence[str] = ()) -> Wrong | Failed:
    """What to raise for a refused apply, with who owns what and how far it came."""
    so_far = f" ({len(applied)} objects were applied; the same command goes on)" if applied else ""
    if fields := list(dict.fromkeys(re.findall(r'unknown field "([^"]+)"', done.err))):
        return Wrong(f"the cluster knows no field {', '.join(fields)}; take it out, or check the version of its CRDs")
    owners = re.findall(
        r'conflicts? with "([^"]+)"(?: with subresource "[^"]+")?(?: using [^:\n]+)?:?((?:\n?\s*-? ?\.[^\s,]+)*)',
        done.err,
    )
    if "conflict" in done.err and owners:
        said = "; ".join(f"{who} owns {_fields(what)}" for who, what in owners)
        return Failed(f"others have set fields that the config sets: {said}; --force-conflicts takes them over{so_far}")
    if "exceeded quota" in done.err:
        what = re.search(r"exceeded quota: (.+?)(?:\n|$)", done.err)
        return Failed(
            f"the namespace's quota is used up: {what[1] if what else ''}; ask for more, or deploy fewer replicas{so_far}"
        )
    if invalid := re.findall(r"is invalid: (.+)", done.err):
        return Wrong(f"the cluster refuses it: {' '.join(' '.join(invalid).split())[:400]}")
    return Failed(kubectl.explain(cluster, done, words) + so_far)


def _fields(text: str) -> str:
    return ", ".join(re.findall(r"\.[^\s,]+", text)) or "fields of it"
