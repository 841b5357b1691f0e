"""Why a pod does not come up: its last events, and the log of the container that ended."""

from __future__ import annotations

import sys
import time

from ngc.deploy.cluster import kubectl
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.cluster.observing import Pod
from ngc.deploy.reasons import why

POLL = 1.0  # seconds between two attempts to read a log
TAIL = 15  # log lines of a pod that failed
LOG_FOR = 10.0  # seconds that a node may take to have a log of a container that ends again and again
# What a kubelet says in a log's place, with status 200.
NO_LOG = (
    "failed to try resolving symlinks in path",
    "unable to retrieve container logs for",
    "failed to open log file",
)


def cause(cluster: Cluster, pod: Pod, sentence: str) -> str:
    """The sentence, why, and on stderr the last events and the log of the container that ended."""
    lines = events(cluster, pod.name)
    log = last_log(cluster, pod)
    lines += [f"{pod.name} | {line}" for line in log]
    print(*lines, sep="\n", file=sys.stderr)
    known = why([*log, pod.message])
    return f"{pod.component or pod.name} does not come up: {sentence}{f': {known}' if known else ''}"


def last_log(cluster: Cluster, pod: Pod) -> list[str]:
    """The last lines of the container that ended, or of the one that runs now if the node has them no longer.

    In a crash loop a node removes a container's log while it is asked for it, and gives its own error for the log.
    """
    deadline = time.monotonic() + LOG_FOR
    own = ["--container=main"] if pod.component else []  # etcd and NATS are alone in their pods
    while True:
        for previous in (["--previous"], []) if pod.restarts else ([],):
            done = kubectl.call(cluster, "logs", pod.name, *own, f"--tail={TAIL}", *previous)
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
