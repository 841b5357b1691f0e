"""deploy, diff, rollback: a plan first, then the steps; whatever ends it, it says what was changed, and the same command goes on."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ngc.catalog import Catalog
from ngc.deploy import lint, names, prepare, render
from ngc.deploy import promise as promises
from ngc.deploy.cluster import applying, images, kubectl, marking, modelcache, preflight, revisions, secrets, waiting
from ngc.deploy.cluster.kubectl import Cluster, Unreachable
from ngc.deploy.cluster.preflight import Check
from ngc.deploy.cluster.revisions import Part, Revision
from ngc.deploy.graph import Graph
from ngc.deploy.prepare import Prepared
from ngc.errors import Failed, Interrupted, Wrong

CLUSTER_TARGETS = (render.DGD, render.KUBERNETES)


@dataclass(frozen=True)
class Wish:
    """What a user asked `deploy` for, as typed."""

    config: str | None
    to: str = render.DGD
    sets: Sequence[str] = ()
    base: str | None = None
    image: str | None = None
    registry: str | None = None
    context: str | None = None
    namespace: str | None = None
    metrics: str | None = None
    create_secrets: bool = False
    force_conflicts: bool = False
    allow_stand_in: bool = False
    timeout: float = 1800.0
    fill_cache: str | None = None


@dataclass(frozen=True)
class Plan:
    """What a deploy will apply, and where."""

    cluster: Cluster
    prepared: Prepared
    objects: tuple[Mapping[str, Any], ...]
    revision: Revision  # as it will be kept; its number is given when it is applied


def plan(catalog: Catalog, wish: Wish) -> Plan:
    """Work out everything that can be known without changing anything. Raises Wrong."""
    prepared = prepare.prepare(catalog, wish.config, wish.sets, wish.base, wish.image, wish.registry)
    if wish.fill_cache is not None:
        prepared = modelcache.with_folder(prepared, wish.fill_cache)
    lint.refuse(catalog, prepared.graph)
    graph = prepared.graph
    if graph.frontend is None:
        raise Wrong(f"{graph.path} has no service with componentType frontend; nothing would answer")
    if exposed := secrets.literal_secrets(graph):
        raise Wrong(
            f"{', '.join(exposed)} in {graph.path} would be kept in the cluster as plain text; take it from a Secret by envFromSecret"
        )
    cluster = kubectl.choose(wish.context, wish.namespace)
    print(f"{cluster}", file=sys.stderr)
    stand_in = images.refuse_stand_ins(graph, wish.allow_stand_in)
    objects = marking.marked(applying.labelled(render.render(prepared, wish.to, None, wish.metrics), graph.name))
    revision = Revision(
        graph=graph.name,
        number=0,
        at=revisions.now(),
        config=str(wish.config),
        image=prepared.image or graph.frontend.image,
        to=wish.to,
        note="",
        state=revisions.APPLIED,
        parts=parts(graph),
        frontend=names.component(graph, graph.frontend),
        promise=promises.of(prepared, stand_in),
        objects=tuple(objects),
    )
    return Plan(cluster, prepared, tuple(objects), revision)


def parts(graph: Graph) -> tuple[Part, ...]:
    """What each component must become. A command line that the operator or the renderer fills in is not compared."""
    return tuple(
        Part(
            service.key, names.component(graph, service), service.replicas, service.image, service.command, service.args
        )
        for service in graph.services
    )


def deploy(catalog: Catalog, wish: Wish) -> Revision:
    """Apply a config and wait until it serves. Raises Wrong before anything was changed, Failed with the cause."""
    with _telling("nothing was changed") as changed:
        made = plan(catalog, wish)
        if wish.create_secrets:
            secrets.create(made.cluster, made.prepared)
        _report(preflight.checks(made.cluster, made.prepared, wish.to))
        if wish.fill_cache is not None:
            changed.append("the claim may be filled in part, nothing else was changed")
            modelcache.fill(made.cluster, made.prepared, wish.fill_cache)
    return bring(made.cluster, made.revision, wish.force_conflicts, wish.timeout)


def bring(cluster: Cluster, revision: Revision, force: bool, timeout: float) -> Revision:
    """Check, apply, keep and await a revision. Raises Wrong, Failed."""
    with _telling("nothing was changed") as changed:
        there = applying.live(cluster, revision.objects)
        objects = applying.adapted(revision.objects, there)
        applying.check(cluster, objects, there, force)
        before = revisions.history(cluster, revision.graph)
        # The same again, after an interruption for instance, is no new revision.
        same = bool(before) and list(before[-1].objects) == list(revision.objects)
        number = before[-1].number if same else (before[-1].number if before else 0) + 1
        revision = replace(revision, number=number, parts=tuple(_awaited(part, objects) for part in revision.parts))
        changed.append(f"revision {number} may be applied in part; run the same command again, it goes on")
        # Kept before it is applied: whatever happens then, there is a record of what was meant.
        revisions.write(cluster, revision)
        applying.apply(cluster, objects, force)
        applying.prune(cluster, revision.graph, objects)
        revisions.trim(cluster, revision.graph)
        changed.append(
            f"revision {number} is applied and stays; run the same command again to go on waiting, `invoke rollback` takes it back"
        )
        print(f"revision {number} of {revision.graph} is applied; waiting until it serves", file=sys.stderr)
        return _awaited_revision(cluster, revision, timeout)


def _awaited_revision(cluster: Cluster, revision: Revision, timeout: float) -> Revision:
    """Wait, and note how the revision did; a server that does not answer says nothing about it."""
    try:
        waiting.wait(cluster, revision, timeout)
    except Unreachable:
        raise
    except Failed:
        revisions.set_state(cluster, revision, revisions.FAILED)
        raise
    revisions.set_state(cluster, revision, revisions.SERVING)
    return replace(revision, state=revisions.SERVING)


def _awaited(part: Part, objects: Sequence[Mapping[str, Any]]) -> Part:
    """The part with the mark that the objects give it, and without a number of replicas where another decides it."""
    part = replace(part, mark=marking.mark(objects, part.key))
    for entry in objects:
        spec = entry.get("spec") or {}
        if entry["kind"] == "Deployment" and entry["metadata"]["name"] == part.deployment:
            return part if "replicas" in spec else replace(part, replicas=None)
        if part.key in (spec.get("services") or {}):
            return part if "replicas" in spec["services"][part.key] else replace(part, replicas=None)
    return part


def rollback(cluster: Cluster, graph: str | None, number: int | None, force: bool, timeout: float) -> Revision:
    """Apply an earlier revision again, as a new one, and wait the same way. Raises Wrong, Failed."""
    newest = revisions.current(cluster, graph)
    chosen = revisions.choose(revisions.history(cluster, newest.graph), number)
    again = replace(chosen, at=revisions.now(), note=f"revision {chosen.number} again", state=revisions.APPLIED)
    return bring(cluster, again, force, timeout)


def diff(catalog: Catalog, wish: Wish) -> tuple[int, str]:
    """(kubectl's exit code, what would change): 0 nothing, 1 something. Raises Failed for an error of kubectl."""
    made = plan(catalog, wish)
    there = applying.live(made.cluster, made.objects)
    done = applying.difference(made.cluster, applying.adapted(made.objects, there), wish.force_conflicts)
    if done.code > 1:
        raise Failed(kubectl.explain(made.cluster, done, ("diff", "--server-side")))
    return done.code, done.out


def described(made: Plan) -> str:
    """A plan for people: where, what, and the command that does the same by hand."""
    lines = [f"{made.cluster}", f"image {made.revision.image}"]
    lines += [f"apply {entry['kind']} {entry['metadata']['name']}" for entry in made.objects]
    words = " ".join(made.cluster.words)
    lines.append(f"by hand: invoke render ... | {words} apply --server-side --field-manager={applying.MANAGER} -f -")
    return "\n".join(lines)


def _report(checks: Sequence[Check]) -> None:
    """Print what was checked, a line each. Raises Failed when something would not work."""
    for check in checks:
        fix = f"\n         fix: {check.fix}" if check.fix and check.state != "pass" else ""
        print(f"{check.state:7}  {check.name}: {check.detail}{fix}", file=sys.stderr)
    wrong = [check.name for check in checks if check.state == "fail"]
    if wrong:
        raise Failed(f"not deployed: {', '.join(wrong)} would fail, as said above; nothing was changed")


@contextmanager
def _telling(changed: str) -> Iterator[list[str]]:
    """Whatever ends the work also says what was changed: the last of a list, to which the work adds as it goes on."""
    told = [changed]
    try:
        yield told
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted: {told[-1]}") from None
    except Unreachable as error:
        raise Failed(f"{error} ({told[-1]})") from None
