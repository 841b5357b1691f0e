"""status, smoke and logs of a deployment on a cluster."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import Any

from ngc import output
from ngc.asked.configs import Logs
from ngc.deploy import names
from ngc.deploy import promise as promises
from ngc.deploy.cluster import counting, kubectl, observing, revisions, waiting
from ngc.deploy.cluster.forwarding import forwarded
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.cluster.observing import Look
from ngc.deploy.cluster.revisions import Revision
from ngc.deploy.promise import Asked
from ngc.errors import Failed, Wrong


@dataclass(frozen=True)
class View:
    """One look at a deployment, and what its frontend said."""

    cluster: Cluster
    revision: Revision
    look: Look
    asked: Asked
    problems: tuple[str, ...]


def view(cluster: Cluster, graph: str | None) -> View:
    """Look at a deployment and ask it for one token of each model. Raises Wrong, Failed."""
    revision = revisions.current(cluster, graph)
    look = observing.look(cluster, revision)
    found = [f"{name}: {text}" for name, text in waiting.states(look).items() if text != "ready"]
    try:
        with forwarded(cluster, revision.frontend, names.HTTP_PORT) as url:
            asked = promises.ask(url(), revision.promise, True, counting.of(cluster, revision.graph))
    except Failed as error:
        return View(cluster, revision, look, Asked(None, None, {}), (*found, str(error)))
    return View(cluster, revision, look, asked, (*found, *promises.broken(revision.promise, asked)))


def as_data(view: View) -> dict[str, Any]:
    """For programs."""
    revision = view.revision
    return {
        "name": revision.graph,
        "context": view.cluster.context,
        "namespace": view.cluster.namespace,
        "revision": revision.number,
        "state": revision.state,
        "config": revision.config,
        "image": revision.image,
        "to": revision.to,
        "healthy": not view.problems,
        "problems": list(view.problems),
        "components": [
            {
                "component": s.part.key,
                "deployment": s.part.deployment,
                "ready": s.ready,
                "wanted": s.wanted,
                "waits": s.waits,
            }
            for s in view.look.states
        ],
        "pods": [
            {"name": p.name, "component": p.component, "ready": p.ready, "reason": p.reason, "restarts": p.restarts}
            for p in view.look.pods
        ],
        **promises.as_data(revision.promise, view.asked),
    }


def page(view: View) -> str:
    """For people: one table, then the verdict."""
    revision = view.revision
    rows = {
        state.part.key: f"{state.ready} of {state.wanted} ready" + _pods(view, state.part.key)
        for state in view.look.states
    }
    rows.update(promises.states(revision.promise, view.asked))
    for model, answer in view.asked.answers.items():
        rows[model] = f"{answer.status or 'no answer'}{promises.path(revision.promise, view.asked, answer)}"
    width = max(map(len, rows), default=0)
    note = f", {revision.note}" if revision.note else ""
    lines = [
        f"{revision.graph}: revision {revision.number} ({revision.state}{note}) of {revision.at}, {revision.to}, {revision.image}",
        f"{view.cluster}",
    ]
    lines += [f"  {name:{width}}  {text}" for name, text in rows.items()]
    lines += [f"not healthy: {text}" for text in view.problems] or ["healthy"]
    return output.lines(lines)


def _pods(view: View, component: str) -> str:
    restarts = sum(pod.restarts for pod in view.look.pods if pod.component == component)
    return f", {restarts} restarts" if restarts else ""


def asked(view: View) -> str:
    """What was asked and answered, then the verdict."""
    said = promises.conversation(view.revision.promise, view.asked, f"service/{view.revision.frontend}")
    return "\n".join([said, *(output.line(f"not well: {text}") for text in view.problems)])


def logs(cluster: Cluster, asked: Logs) -> int:
    """Print what the pods print; ends with kubectl's exit code. Raises Wrong for an unknown component, Failed for nothing to show."""
    revision = revisions.current(cluster, asked.config)
    keys = [part.key for part in revision.parts]
    selector = f"{names.GRAPH_LABEL}={revision.graph}"
    if asked.component is not None:
        key = next((key for key in keys if key.lower() == asked.component.lower()), None)
        if key is None:
            raise Wrong(f"unknown component '{asked.component}'; choose from: {', '.join(keys)}")
        selector += f",{names.COMPONENT_LABEL}={key}"
    tailed = f"--tail={asked.tail or -1}"
    if asked.previous:
        return _previous(cluster, revision, selector, asked.component, tailed)
    words = [*cluster.words, "logs", "--selector", selector, "--prefix", tailed, "--max-log-requests=50"]
    return subprocess.call([*words, *(["--follow"] if asked.follow else [])])


def _previous(cluster: Cluster, revision: Revision, selector: str, component: str | None, tailed: str) -> int:
    """Print what containers printed before their last restart: kubectl ends at the first pod that has had none, so only others are asked."""
    pods = kubectl.get(cluster, "pods", "--selector", selector)
    again = [
        (pod["metadata"]["name"], container["name"])
        for pod in pods
        for container in pod["status"].get("containerStatuses") or []
        if container.get("restartCount", 0)
    ]
    if not again:
        raise Failed(
            f"no container of {component or revision.graph} has been restarted, so there is none before; leave out --previous"
        )
    words = [*cluster.words, "logs", "--prefix", "--previous", tailed]
    return max(subprocess.call([*words, pod, f"--container={container}"]) for pod, container in again)
