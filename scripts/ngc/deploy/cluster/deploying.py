"""deploy, diff, rollback: a plan first, then the steps; whatever ends it, it says what was changed, and the same command goes on."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ngc.asked.configs import Deploy, Diff, Rollback
from ngc.catalog import Catalog
from ngc.deploy import edit, lint, names, prepare, render
from ngc.deploy import promise as promises
from ngc.deploy.cluster import (
    adapting,
    applying,
    images,
    installed,
    kubectl,
    marking,
    modelcache,
    preflight,
    pullsecrets,
    revisions,
    secretchecks,
    secrets,
    waiting,
)
from ngc.deploy.cluster.adapting import Adapted
from ngc.deploy.cluster.checking import ask
from ngc.deploy.cluster.kubectl import Cluster, Unreachable
from ngc.deploy.cluster.preflight import Check
from ngc.deploy.cluster.revisions import Part, Revision
from ngc.deploy.cluster.telling import NOTHING, Told, flags, telling
from ngc.deploy.graph import Graph
from ngc.deploy.prepare import Prepared
from ngc.errors import Failed, Wrong

AFTER = 60.0  # seconds to serve alone


@dataclass(frozen=True)
class Plan:
    """What a deploy will apply, and where.

    `findings`: what lint says of the config; `sets`: changes of it beside the user's own; `secrets`: made from which variable.
    """

    cluster: Cluster
    prepared: Prepared
    findings: tuple[lint.Finding, ...]
    sets: tuple[str, ...]
    secrets: Mapping[str, str]
    before: tuple[Revision, ...]  # of the graph, oldest first
    revision: Revision  # as it will be kept; its number is given when it is applied

    @property
    def objects(self) -> tuple[Mapping[str, Any], ...]:
        return self.revision.objects


def plan(catalog: Catalog, asked: Diff) -> Plan:
    """Work out everything that can be known without changing anything. Raises Wrong."""
    prepared = prepare.prepare(catalog, asked, asked.registry)
    if asked.fill_cache is not None:
        prepared = modelcache.with_folder(prepared, asked.fill_cache)
    findings = lint.refuse(catalog, prepared.graph).findings
    graph = prepared.graph
    if graph.frontend is None:
        raise Wrong(f"{graph.path} has no service with componentType frontend; nothing would answer")
    if exposed := secrets.literal_secrets(graph):
        raise Wrong(
            f"{', '.join(exposed)} in {graph.path} would be kept in the cluster as plain text; take it from a Secret by envFromSecret"
        )
    made = secrets.planned(graph) if asked.create_secrets else {}
    cluster = kubectl.choose(asked.context, asked.namespace)
    print(f"{cluster}", file=sys.stderr)
    stand_in = images.refuse_stand_ins(graph, asked.allow_stand_in)
    before = _known(cluster, graph.name)
    revisions.refuse_move(cluster, before, asked.to)
    if asked.to == render.DGD:
        _refuse_unserved(cluster, asked.api)
    sets = pullsecrets.settings(cluster, graph, made)
    graph = edit.apply(graph, sets)
    prepared = replace(prepared, graph=graph)
    revision = _revision(cluster, prepared, asked, stand_in)
    return Plan(cluster, prepared, findings, tuple(sets), made, tuple(before), revision)


def _refuse_unserved(cluster: Cluster, api: str) -> None:
    """Raise Wrong for a version of the API that the cluster certainly does not have; the preflight asks for the usual one."""
    if api == render.V1ALPHA1:
        return
    served = ask(cluster, *installed.resources(api))
    if served.missing or (served.out is not None and f'"{installed.PLURAL}"' not in served.out):
        raise Wrong(
            f"--api is {api}, and the cluster serves no {installed.GROUP}/{api}; leave the flag out, or update its Dynamo platform"
        )


def _revision(cluster: Cluster, prepared: Prepared, asked: Diff, stand_in: bool) -> Revision:
    graph = prepared.graph
    assert graph.frontend is not None  # plan() has said so to the user
    objects = render.render(prepared, asked.to, None, asked.metrics, asked.api)
    promise = promises.of(prepared, stand_in)
    if (
        asked.api == render.V1BETA1
    ):  # it has no field for the namespace in Dynamo's discovery: operators from 0.7 on compute it
        promise = replace(promise, namespace=f"{cluster.namespace}-{graph.name}")
    return Revision(
        graph=graph.name,
        number=0,
        at=revisions.now(),
        config=str(asked.config),
        image=prepared.image or graph.frontend.image,
        to=asked.to,
        note="",
        state=revisions.APPLIED,
        parts=parts(graph),
        frontend=names.component(graph, graph.frontend),
        promise=promise,
        objects=tuple(marking.marked(applying.labelled(objects, graph.name))),
    )


def _known(cluster: Cluster, graph: str) -> list[Revision]:
    """What is known of earlier revisions; where they may not be listed, the preflight says so."""
    try:
        return revisions.history(cluster, graph)
    except Unreachable:
        raise
    except Failed:
        return []


def parts(graph: Graph) -> tuple[Part, ...]:
    """What each component must become. A command line that the operator or the renderer fills in is not compared."""
    return tuple(
        Part(
            service.key, names.component(graph, service), service.replicas, service.image, service.command, service.args
        )
        for service in graph.services
    )


def deploy(catalog: Catalog, asked: Deploy) -> tuple[Cluster, Revision]:
    """Apply a config and wait until it serves; where it does, and what. Raises Wrong before anything was changed, Failed with the cause."""
    with telling() as told:
        made = plan(catalog, asked)
        found = preflight.checks(
            made.cluster, made.prepared, asked.to, made.findings, bool(made.secrets), asked.fill_cache
        )
        # What is said of Secrets that are still to be made is said again once they are.
        _report([check for check in found if not (made.secrets and check.name in secretchecks.NAMES)])
        ready = applying.ready(made.cluster, made.objects, asked.force_conflicts)
        print(f"pass     dry run: the API server takes all {len(ready.objects)} objects", file=sys.stderr)
        if made.secrets:
            _make_secrets(made, asked.to, told)
        if asked.fill_cache is not None:
            told.say(
                "the claim may be filled in part, nothing else was changed", "run the same command again, it goes on"
            )
            modelcache.fill(made.cluster, made.prepared, asked.fill_cache)
            told.say("the claim is filled, nothing else was changed")
        return made.cluster, _bring(made.cluster, made.revision, ready, asked, told)


def _make_secrets(made: Plan, to: str, told: Told) -> None:
    """Make the Secrets, say so, and check what there is now."""
    told.say("the Secrets may be made in part, nothing else was changed", "run the same command again, it goes on")
    for name in secrets.create(made.cluster, made.prepared):
        print(f"made     Secret {name}, from the variable {made.secrets[name]}", file=sys.stderr)
        told.also.append(f"the Secret {name} was made")
    told.say(NOTHING)
    _report(secretchecks.again(made.cluster, made.prepared.graph, to))


def _bring(cluster: Cluster, revision: Revision, ready: Adapted, asked: Deploy | Rollback, told: Told) -> Revision:
    """Keep, apply and await a revision, and then remove what it no longer has. Raises Wrong, Failed."""
    before = revisions.history(cluster, revision.graph)
    revision = _numbered(adapting.awaited(revision, ready), before)
    name, again, back = f"revision {revision.number}", "run the same command again", _back(cluster, revision, before)
    told.say(f"{name} may be applied in part", f"{again}, it goes on", back)
    print(*ready.left, sep="\n", end="\n" if ready.left else "", file=sys.stderr)
    unchanged = bool(before) and revision == before[-1]
    if not unchanged:
        # Kept before it is applied: whatever happens then, there is a record of what was meant.
        revisions.write(cluster, revision)
    applying.apply(cluster, ready.objects, asked.force_conflicts)
    told.say(f"{name} is applied and stays", f"{again} to go on waiting, {back}", back)
    same = before and before[-1].number == revision.number
    print(
        f"{name} of {revision.graph} is {'unchanged' if same else 'applied'}; waiting until it serves", file=sys.stderr
    )
    deadline = time.monotonic() + asked.timeout
    _await(cluster, revision, deadline)
    told.say(f"{name} serves", f"{again}, it removes what the revision no longer has")
    # Only now: until the new serves the old does, and goes on if the new never comes.
    if gone := applying.surplus(cluster, revision, before):
        applying.remove(cluster, gone)
        print(f"removed  {', '.join(gone)}", file=sys.stderr)
        told.say(f"{name} is applied and stays", f"{again} to go on waiting, {back}", back)
        # Without what was counted with it until now; it has served, so it has a minute whatever was left of the time.
        _await(cluster, revision, max(deadline, time.monotonic() + AFTER))
    if revision.state != revisions.SERVING:
        revisions.set_state(cluster, revision, revisions.SERVING)
    revisions.trim(cluster, revision.graph)
    return replace(revision, state=revisions.SERVING)


def _numbered(revision: Revision, before: Sequence[Revision]) -> Revision:
    """The revision with its number. The same again, after an interruption for instance, is no new one: it keeps when it was made."""
    if not before or list(before[-1].objects) != list(revision.objects):
        return replace(revision, number=before[-1].number + 1 if before else 1)
    last = before[-1]
    return replace(revision, number=last.number, at=last.at, note=last.note, state=last.state)


def _back(cluster: Cluster, revision: Revision, before: Sequence[Revision]) -> str:
    """The command that undoes a revision: an earlier one that served and is another, else none at all."""
    served = [r for r in before if r.state == revisions.SERVING and list(r.objects) != list(revision.objects)]
    where = flags(cluster, revision.graph)
    if not served:
        return f"`invoke undeploy {where}` removes it"
    return f"`invoke rollback --revision={served[-1].number} {where}` brings revision {served[-1].number} back"


def _await(cluster: Cluster, revision: Revision, deadline: float) -> None:
    """Wait, and note if the revision failed; a server that does not answer says nothing about it."""
    try:
        waiting.wait(cluster, revision, max(0.0, deadline - time.monotonic()))
    except Unreachable:
        raise
    except Failed:
        with suppress(Failed):  # why it failed is what counts
            revisions.set_state(cluster, revision, revisions.FAILED)
        raise


def rollback(asked: Rollback) -> tuple[Cluster, Revision]:
    """Apply an earlier revision again, as a new one, and wait the same way; as `deploy`. Raises Wrong, Failed."""
    with telling() as told:
        cluster = kubectl.choose(asked.context, asked.namespace)
        print(f"{cluster}", file=sys.stderr)
        before = revisions.history(cluster, revisions.current(cluster, asked.config).graph)
        chosen = revisions.choose(before, asked.revision)
        revisions.refuse_move(cluster, before, chosen.to)
        again = replace(chosen, at=revisions.now(), note=f"revision {chosen.number} again", state=revisions.APPLIED)
        ready = applying.ready(cluster, again.objects, asked.force_conflicts)
        return cluster, _bring(cluster, again, ready, asked, told)


def diff(catalog: Catalog, asked: Diff) -> tuple[int, str]:
    """(kubectl's exit code, what would change): 0 nothing, 1 something. Raises Failed for an error of kubectl."""
    made = plan(catalog, asked)
    ready = adapting.adapted(made.objects, applying.live(made.cluster, made.objects), asked.force_conflicts)
    print(*ready.left, sep="\n", end="\n" if ready.left else "", file=sys.stderr)
    done = applying.difference(made.cluster, ready.objects, asked.force_conflicts)
    return done.code, done.out


def _report(checks: Sequence[Check]) -> None:
    """Print what was checked, a line each. Raises Failed when something would not work."""
    for check in checks:
        fix = f"\n         fix: {check.fix}" if check.fix and check.state != "pass" else ""
        print(f"{check.state:7}  {check.name}: {check.detail}{fix}", file=sys.stderr)
    wrong = [check.name for check in checks if check.state == "fail"]
    if wrong:
        raise Failed(f"not deployed: {', '.join(dict.fromkeys(wrong))} would fail, as said above")
