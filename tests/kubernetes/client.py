"""An open-loop client inside the cluster, where a Service is reached as its clients reach it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import wait_for
from tests.serving import load
from tests.serving.load import Outcome

from ngc.deploy.cluster import kubectl
from ngc.deploy.cluster.kubectl import Cluster

from .conftest import until_ready

POD = "open-loop-client"


def start(cluster: Cluster, image: str) -> None:
    """A pod to ask from; it has Python and nothing to do."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "client", "image": image, "command": ["sleep", "infinity"]}],
        },
    }
    kubectl.ask(cluster, "create", "-f", "-", text=json.dumps(pod))
    until_ready(cluster, POD)


@contextmanager
def asking(cluster: Cluster, service: str, model: str, first_words: str, rate: float = 10) -> Iterator[list[Outcome]]:
    """Ask a Service all the while; the outcomes are there afterwards."""
    outcomes: list[Outcome] = []
    source = Path(load.__file__).read_text()
    words = [*cluster.words, "exec", "--stdin", POD, "--", "python3", "-c", source]
    words += [f"http://{service}:8000", model, first_words, str(rate)]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield outcomes
    finally:
        out, err = child.communicate("", timeout=60)
    assert child.returncode == 0, err
    found: list[Mapping[str, object]] = json.loads(out)
    outcomes += sorted((Outcome(**one) for one in found), key=lambda outcome: outcome.at)


def settled(cluster: Cluster, graph: str) -> None:
    """Wait until no pod of the graph is on its way out: an update is over only then."""

    def going() -> bool:
        pods = kubectl.get(cluster, "pods", "--selector", f"nvidia.com/dynamo-graph-deployment-name={graph}")
        return any("deletionTimestamp" in pod["metadata"] for pod in pods)

    wait_for(lambda: not going(), f"no pod of {graph} ends any more", 180)
