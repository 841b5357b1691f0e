"""status, smoke and logs of what serves: a stack of this machine, or a deployment on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ngc.asked.configs import Logs, Running, Smoke
from ngc.deploy import composecli, local, localview, stacks
from ngc.deploy.cluster import bench as benches
from ngc.deploy.cluster import kubectl, reporting
from ngc.deploy.cluster.kubectl import Cluster
from ngc.errors import Wrong


@dataclass(frozen=True)
class Seen:
    """One look at what serves: for programs, for people, what was asked and answered, and what is not as promised."""

    data: dict[str, Any]
    page: str
    conversation: str
    problems: Sequence[str]


def look(asked: Running) -> Seen:
    """Look at the stack or deployment that is meant, and ask it for a token of each model. Raises Wrong, Failed."""
    if _local(asked):
        seen = localview.look(composecli.find(), stacks.choose(asked.config))
        found = localview.problems(seen)
        return Seen(localview.as_data(seen, found), localview.page(seen, found), localview.asked(seen, found), found)
    view = reporting.view(_cluster(asked), asked.config)
    return Seen(reporting.as_data(view), reporting.page(view), reporting.asked(view), view.problems)


def bench(asked: Smoke) -> Seen:
    """Measure the hand-over between two pods like the workers. Raises Wrong, Failed."""
    if _local(asked):
        raise Wrong(
            "smoke --bench measures between pods of a cluster; add --context=NAME, or run bench-nixl here in the benchmark image (docs/BENCHMARK.md)"
        )
    measured = benches.bench(_cluster(asked), asked.config, asked.image)
    page = benches.page(measured)
    return Seen(benches.as_data(measured), page, page, ())


def logs(asked: Logs) -> int:
    """Print what its processes print. Gives the exit code of Compose or kubectl. Raises Wrong, Failed."""
    if not _local(asked):
        return reporting.logs(_cluster(asked), asked)
    if asked.previous:
        raise Wrong("a stack of this machine keeps one log for all runs of a process; leave out --previous")
    return local.logs(asked)


def _local(asked: Running) -> bool:
    """True if this machine's stack is meant: no cluster was named, and there is one."""
    if asked.context is not None or asked.namespace is not None or not stacks.on_record():
        return False
    if stacks.known():  # else the sentence is the error
        stacks.warn()
    return True


def _cluster(asked: Running) -> Cluster:
    """The cluster that is meant, after no stack was found here. Raises Wrong for both where neither is clear."""
    try:
        return kubectl.choose(asked.context, asked.namespace)
    except Wrong:
        if asked.context is not None or asked.namespace is not None:
            raise
        raise Wrong(f"{stacks.NONE}, and --context=NAME looks at a cluster") from None
