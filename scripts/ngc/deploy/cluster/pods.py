"""Pods of our own that do one thing and go: made, awaited with the honest causes of failure, asked for their log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from ngc.deploy.cluster import explaining, kubectl
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.cluster.observing import STUCK
from ngc.deploy.reasons import why
from ngc.deploy.watching import Update
from ngc.errors import Failed

POLL = 0.5  # seconds between two looks
JOB_LIMIT = 15.0  # seconds until a job must have made its pod
LIMIT = 300.0  # seconds until a pod must be where it is wanted


def create(cluster: Cluster, pod: Mapping[str, Any]) -> str:
    """Make a pod, or a job; its name."""
    done = kubectl.ask(cluster, "create", "--output", "jsonpath={.metadata.name}", "-f", "-", text=json.dumps(pod))
    return done.out.strip()


def read(cluster: Cluster, name: str) -> dict[str, Any]:
    """A pod. Raises Failed if it is gone."""
    found = kubectl.get(cluster, f"pod/{name}")
    if not found:
        raise Failed(f"the pod {name} was removed while it was needed; run the same command again")
    return found[0]


def of_job(cluster: Cluster, job: str) -> str:
    """The name of the pod that a job has made. Raises Failed with its last event where there comes none: a quota may be in the way."""
    deadline = time.monotonic() + JOB_LIMIT
    while not (found := kubectl.get(cluster, "pods", "--selector", f"job-name={job}")):
        if time.monotonic() > deadline:
            said = explaining.events(cluster, job, 1) or ["no event"]
            raise Failed(f"the job {job} makes no pod: {said[0]}; ask who runs the cluster")
        time.sleep(POLL)
    return str(found[0]["metadata"]["name"])


def log(cluster: Cluster, name: str) -> str:
    """What a pod has printed, "" before it prints."""
    return kubectl.call(cluster, "logs", name).out


def running(cluster: Cluster, name: str) -> bool:
    """True if the pod's containers run."""
    return bool(read(cluster, name)["status"].get("phase") == "Running")


def ended(cluster: Cluster, name: str) -> bool:
    """True if the pod has ended, well or not."""
    return read(cluster, name)["status"].get("phase") in ("Succeeded", "Failed")


def succeeded(cluster: Cluster, name: str) -> bool:
    """True if the pod has done its work."""
    return bool(read(cluster, name)["status"].get("phase") == "Succeeded")


def until(cluster: Cluster, name: str, update: Update, reached: Callable[[], bool], limit: float = LIMIT) -> None:
    """Wait until something holds of a pod. Raises Failed with its last event or log line when that cannot come."""
    deadline = time.monotonic() + limit
    while not reached():
        status = read(cluster, name)["status"]
        containers = status.get("containerStatuses") or []
        waits = next((c["state"]["waiting"].get("reason", "") for c in containers if "waiting" in c["state"]), "")
        phase = str(status.get("phase", "Pending"))
        update({name: waits or phase})
        if phase == "Failed" or waits in STUCK or time.monotonic() > deadline:
            lines = [line for line in log(cluster, name).splitlines() if line.strip()]
            said = (lines[-1:] or explaining.events(cluster, name, 1) or ["no event"])[0]
            cause = why([*lines, said])
            raise Failed(f"{name} does not come so far: {waits or phase}: {said}{f': {cause}' if cause else ''}")
        time.sleep(POLL)
    update({name: "done"})
