"""Waiting until a revision really serves: never one sign alone, and no longer than it can still come."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ngc.deploy import promise as promises
from ngc.deploy.cluster import counting, observing
from ngc.deploy.cluster.explaining import cause, late
from ngc.deploy.cluster.forwarding import forwarded
from ngc.deploy.cluster.kubectl import Cluster, Unreachable
from ngc.deploy.cluster.observing import FAILED, SILENT, STUCK, Look, Pod
from ngc.deploy.cluster.revisions import Revision
from ngc.deploy.cluster.telling import flags
from ngc.deploy.names import HTTP_PORT
from ngc.deploy.watching import Update, watching
from ngc.errors import Failed

POLL = 1.0  # seconds between two looks
STUCK_FOR = 20.0  # seconds that a pod may be stuck before that is final: a registry or a ConfigMap may be late
RESTARTS = 3  # a container that has ended this often will go on so
BY_ITSELF = 2  # ends of those with etcd and NATS ready: one may be for the way to them, which comes some seconds later
COMPLAINT_FOR = 60.0  # seconds that an error of the operator may stand: it has been seen to heal
REFUSED_FOR = 60.0  # seconds that pods may be refused: a quota is free again when the pods of before are gone
SILENT_FOR = 30.0  # seconds until an operator that watches the namespace has said something
AWAY_FOR = 60.0  # seconds that the API server may not answer


@dataclass
class Patience:
    """Since when what has been wrong, by what it is: on the monotonic clock."""

    since: dict[str, float] = field(default_factory=dict)

    def over(self, wrong: set[str], limit: float) -> str | None:
        """The first thing that is wrong for longer than the limit; what is no longer wrong is forgotten."""
        now = time.monotonic()
        self.since = {text: self.since.get(text, now) for text in wrong}
        return next((text for text, begun in self.since.items() if now - begun >= limit), None)


@dataclass
class Watch:
    """A wait for a revision: what it has seen so far, and when it gives up. `deadline` is on the monotonic clock."""

    cluster: Cluster
    revision: Revision
    deadline: float
    update: Update
    away: Patience = field(default_factory=Patience)
    stuck: Patience = field(default_factory=Patience)
    refused: Patience = field(default_factory=Patience)
    silent: Patience = field(default_factory=Patience)
    complaints: Patience = field(default_factory=Patience)
    forgiven: dict[str, int] = field(default_factory=dict)  # restarts of a pod from before etcd and NATS were ready

    def look(self) -> Look | None:
        """How it is; None while the API server is away. Raises Failed for what cannot heal, Unreachable."""
        try:
            look = observing.look(self.cluster, self.revision)
        except Unreachable:
            if self.away.over({"API server"}, AWAY_FOR):
                raise
            self.update({"API server": "does not answer"})
            return None
        if self.away.since:
            self.update({"API server": "answers again"})
        self.away.since.clear()
        self.update(states(look))
        if not look.settled:
            self._give_up(look)
        return look

    def _give_up(self, look: Look) -> None:
        """Raise Failed for what cannot heal."""
        ill = {pod.name: pod for pod in look.pods if pod.reason in STUCK and not pod.going and not pod.old}
        if stuck := self.stuck.over(set(ill), STUCK_FOR):
            said = " ".join(ill[stuck].message.split()) or "no message"
            raise Failed(cause(self.cluster, ill[stuck], f"{ill[stuck].reason}: {said}"))
        if crashed := self._crashed(look):
            raise Failed(cause(self.cluster, crashed, f"its container ended {crashed.restarts} times"))
        if refused := self.refused.over(set(look.refused), REFUSED_FOR):
            raise Failed(
                f"{refused} gets no pods: {look.refused[refused]}; change the config, or ask who runs the cluster for more"
            )
        if self.silent.over({SILENT} & {look.graph}, SILENT_FOR):
            raise Failed(
                f"no operator has said anything of it in {SILENT_FOR:.0f} s: none watches namespace {self.cluster.namespace}, or it hangs; "
                "install the Dynamo platform for it, or deploy plain objects with --to=kubernetes"
            )
        failed = {f"{self.revision.graph}: {look.graph}"} if look.graph.startswith(f"{FAILED}:") else set()
        failed |= {f"{name}: {text}" for name, text in look.complaints.items()}
        if complaint := self.complaints.over(failed, COMPLAINT_FOR):
            raise Failed(f"the operator cannot make it: {complaint}")

    def _crashed(self, look: Look) -> Pod | None:
        """A pod that ends again and again, and not because etcd or NATS was late: those are waited for."""
        for pod in look.pods:
            if pod.component and (look.platform or "" < pod.ended <= look.platform_since):
                self.forgiven[pod.name] = pod.restarts
        found = (pod for pod in look.pods if pod.awaited and pod.restarts >= RESTARTS)
        return next((pod for pod in found if pod.restarts - self.forgiven.get(pod.name, 0) >= BY_ITSELF), None)


def wait(cluster: Cluster, revision: Revision, timeout: float) -> None:
    """Wait until the pods are there and the promise is kept. Raises Failed with the cause, Unreachable."""
    deadline = time.monotonic() + timeout
    with watching() as update:
        watch = Watch(cluster, revision, deadline, update)
        _settle(watch)
        with forwarded(cluster, revision.frontend, HTTP_PORT) as url:
            _answer(watch, url)


def _settle(watch: Watch) -> None:
    """Wait until every component is as the revision says."""
    while True:
        look = watch.look()
        if look and look.settled:
            return
        if look and time.monotonic() > watch.deadline:
            probes = late(watch.cluster, look.pods)
            lacking = {name: text for name, text in states(look).items() if text != "ready"}
            missing = "; ".join(
                f"{name}: {' - '.join(filter(None, (text, probes.get(name))))}" for name, text in lacking.items()
            )
            raise Failed(f"{watch.revision.graph} is not ready in time: {missing}; --timeout waits longer")
        time.sleep(POLL)


def _answer(watch: Watch, url: Callable[[], str]) -> None:
    """Wait until the frontend keeps the promise; pods that fall meanwhile end it as before."""
    cluster, promise = watch.cluster, watch.revision.promise
    counters = counting.of(cluster, watch.revision.graph)
    while True:
        try:
            asked = promises.ask(url(), promise, True, counters)
            found = promises.broken(promise, asked)
            listed = {} if promise.models else {"models": promises.served(promise, asked) or "none yet"}
            watch.update({**promises.states(promise, asked), **listed, "requests": found[0] if found else "answered"})
        except Failed as error:  # no way there: the pods or the API server say why
            found = [str(error)]
            watch.update({"requests": "the frontend cannot be reached"})
        if not found:
            return
        while watch.look() is None:  # there is no way to the frontend either
            time.sleep(POLL)
        if time.monotonic() > watch.deadline:
            raise Failed(
                f"the pods are ready, but {watch.revision.graph} does not serve: {'; '.join(found)}; `invoke logs {flags(cluster, watch.revision.graph)}` shows what they say"
            )
        time.sleep(POLL / 2)


def states(look: Look) -> dict[str, str]:
    """A word for each part, for people who wait."""
    made = {"DynamoGraphDeployment": look.graph} if look.graph else {}
    made |= dict.fromkeys(look.platform, "not ready")
    for state in look.states:
        pods = [pod for pod in look.pods if pod.component == state.part.key and pod.awaited]
        reason = next(
            (pod.reason for pod in pods if pod.reason not in ("", "ContainerCreating", "PodInitializing")), ""
        )
        place = next((f"no node has room: {pod.unschedulable}" for pod in pods if pod.unschedulable), "")
        refused = look.refused.get(state.part.deployment, "")
        made[state.part.key] = " - ".join(filter(None, (state.waits, reason or place or refused))) or "ready"
    return {**made, **look.complaints}
