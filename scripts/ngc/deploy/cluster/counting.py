"""The counters of a deployment's workers, read through the API server: no rights in pods and no program in them are needed."""

from __future__ import annotations

from collections.abc import Sequence

from ngc.deploy import counters, names
from ngc.deploy.cluster import kubectl
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.counters import Counters
from ngc.errors import Failed


def of(cluster: Cluster, graph: str) -> Counters:
    """What gives the /metrics of every running pod of some services; a pod that this user may not ask gives None."""

    def read(services: tuple[str, ...]) -> Sequence[str | None]:
        selector = f"{names.GRAPH_LABEL}={graph},{names.COMPONENT_LABEL} in ({','.join(services)})"
        try:
            pods = kubectl.get(cluster, "pods", "--selector", selector)
        except Failed:
            return [None]
        return [_text(cluster, pod["metadata"]["name"]) for pod in pods if pod["status"].get("phase") == "Running"]

    return read


def _text(cluster: Cluster, pod: str) -> str | None:
    where = f"/api/v1/namespaces/{cluster.namespace}/pods/{pod}:{names.SYSTEM_PORT}/proxy{counters.PATH}"
    done = kubectl.call(cluster, "get", "--raw", where)
    return None if done.code else done.out
