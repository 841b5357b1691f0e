"""Waiting until a revision really serves: never one sign alone, and no longer than it can still come."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ngc.deploy import promise as promises
from ngc.deploy.cluster import counting, kubectl, observing
from ngc.deploy.cluster.forwarding import forwarded
from ngc.deploy.cluster.kubectl import Cluster, Unreachable
from ngc.deploy.cluster.observing import STUCK, Look, Pod
from ngc.deploy.cluster.revisions import Revision
from ngc.deploy.names import HTTP_PORT
from ngc.deploy.reasons import why
from ngc.deploy.watching import Update, watching
from ngc.errors import Failed

POLL = 1.0  # seconds between two looks
STUCK_FOR = 20.0  # seconds that a pod may be stuck before that is final: a registry or a ConfigMap may be late
RESTARTS = 3  # a container that has ended this often will go on so
COMPLAINT_FOR = 60.0  # seconds that an error of the operator may stand: it has been seen to heal
AWAY_FOR = 60.0  # seconds that the API server may not answer
TAIL = 15  # log lines of a pod that failed
LOG_FOR = 10.0  # seconds that a node may take to have a log of a container that ends again and again
# What a kubelet says in a log's place, with status 200.
NO_LOG = (
    "failed to try resolving symlinks in path",
    "unable to retrieve container logs for",
    "failed to open log file",
)


@dataclass
class Patience:
    """Since when what has been wrong, by what it is: on the monotonic clock."""

    since: dict[str, float] = field(default_factory=dict)

    def over(self, wrong: set[str], limit: float) -> str | None:
        """The first thing that is wrong for longer than the limit; what is no longer wrong is forgotten."""
        now = time.monotonic()
        self.since = {text: self.since.get(text, now) for text in wrong}
        return next((text for text, begun in self.since.items() if now - begun >= limit), None)


def wait(cluster: Cluster, revision: Revision, timeout: float) -> None:
    """Wait until the pods are there and the promise is kept. Raises Failed with the cause, Unreachable."""
    deadline = time.monotonic() + timeout
    with watching() as update:
        _settle(cluster, revision, deadline, update)
        with forwarded(cluster, revision.frontend, HTTP_PORT) as url:
            _answer(cluster, revision, url, deadline, update)


def _settle(cluster: Cluster, revision: Revision, deadline: float, update: Update) -> None:
    """Wait until every component is as the revision says."""
    stuck, complaints, away = Patience(), Patience(), Patience()
    while True:
        try:
            look = observing.look(cluster, revision)
        except Unreachable as error:
            if away.over({str(error)}, AWAY_FOR):
                raise
            update({"API server": "does not answer"})
            time.sleep(POLL)
            continue
        away.over(set(), AWAY_FOR)
        update(states(look))
        if look.settled:
            return
        _give_up(cluster, look, stuck, complaints)
        if time.monotonic() > deadline:
            missing = "; ".join(f"{name}: {text}" for name, text in states(look).items() if text != "ready")
            raise Failed(f"{revision.graph} is not ready in time: {missing}; --timeout waits longer")
        time.sleep(POLL)


def _give_up(cluster: Cluster, look: Look, stuck: Patience, complaints: Patience) -> None:
    """Raise Failed for what cannot heal."""
    ill = {pod.name: pod for pod in look.pods if pod.reason in STUCK and not pod.going and not pod.old}
    if (name := stuck.over(set(ill), STUCK_FOR)) is not None:
        raise Failed(
            _cause(cluster, ill[name], f"{ill[name].reason}: {' '.join(ill[name].message.split()) or 'no message'}")
        )
    crashed = next(
        (pod for pod in look.pods if pod.restarts >= RESTARTS and not (pod.ready or pod.going or pod.old)), None
    )
    if crashed is not None:
        raise Failed(_cause(cluster, crashed, f"its container ended {crashed.restarts} times"))
    said = complaints.over({f"{name}: {text}" for name, text in look.complaints.items()}, COMPLAINT_FOR)
    if said is not None:
        raise Failed(f"the operator cannot make it: {said}")


def _cause(cluster: Cluster, pod: Pod, sentence: str) -> str:
    """The sentence, why, and on stderr the last events and the log of the container that ended."""
    lines = events(cluster, pod.name)
    log = last_log(cluster, pod)
    lines += [f"{pod.name} | {line}" for line in log]
    print(*lines, sep="\n", file=sys.stderr)
    cause = why([*log, pod.message])
    return f"{pod.component or pod.name} does not come up: {sentence}{f': {cause}' if cause else ''}"


def last_log(cluster: Cluster, pod: Pod) -> list[str]:
    """The last lines of the container that ended, or of the one that runs now if the node has them no longer.

    In a crash loop a node removes a container's log while it is asked for it, and gives its own error for the log.
    """
    deadline = time.monotonic() + LOG_FOR
    while True:
        for previous in (["--previous"], []) if pod.restarts else ([],):
            done = kubectl.call(cluster, "logs", pod.name, "--container=main", f"--tail={TAIL}", *previous)
            lines = [line for line in done.out.splitlines() if line.strip() and not line.startswith(NO_LOG)]
            if lines and not done.code:
                return lines
        if not pod.restarts or time.monotonic() > deadline:  # nothing ended: nothing comes
            return []
        time.sleep(POLL)


def events(cluster: Cluster, name: str, last: int = 5) -> list[str]:
    """The last events of a pod, oldest first."""
    found = kubectl.call(
        cluster,
        "get",
        "events",
        "--field-selector",
        f"involvedObject.name={name}",
        "--sort-by=.lastTimestamp",
        "--output",
        "json",
    )
    items = found.data["items"] if not found.code else []
    return [
        f"{name} | {entry.get('reason', '')}: {' '.join(str(entry.get('message', '')).split())}"
        for entry in items[-last:]
    ]


def _answer(cluster: Cluster, revision: Revision, url: Callable[[], str], deadline: float, update: Update) -> None:
    """Wait until the frontend keeps the promise."""
    counters = counting.of(cluster, revision.graph)
    while True:
        try:
            asked = promises.ask(url(), revision.promise, True, counters)
            found = promises.broken(revision.promise, asked)
            update({**promises.states(revision.promise, asked), "requests": found[0] if found else "answered"})
        except Failed as error:
            found = [str(error)]
        if not found:
            return
        if time.monotonic() > deadline:
            raise Failed(
                f"the pods are ready, but {revision.graph} does not serve: {'; '.join(found)}; `invoke logs --context={cluster.context}` shows what they say"
            )
        time.sleep(POLL / 2)


def states(look: Look) -> dict[str, str]:
    """A word for each part, for people who wait."""
    made = {"DynamoGraphDeployment": look.graph} if look.graph else {}
    for state in look.states:
        pods = [pod for pod in look.pods if pod.component == state.part.key and not (pod.ready or pod.going or pod.old)]
        reason = next(
            (pod.reason for pod in pods if pod.reason not in ("", "ContainerCreating", "PodInitializing")), ""
        )
        place = next((f"no node has room: {pod.unschedulable}" for pod in pods if pod.unschedulable), "")
        made[state.part.key] = " - ".join(filter(None, (state.waits, reason or place))) or "ready"
    return {**made, **look.complaints}
