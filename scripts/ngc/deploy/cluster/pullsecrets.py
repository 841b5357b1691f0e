"""Pull secrets that pods use by themselves: what the Dynamo operator does for its pods, for plain objects too, and seen in the config.

In the config, because the operator looks only when something else changes: a Secret that came too late would never be used.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ngc.deploy.cluster import images, secretchecks, secrets
from ngc.deploy.cluster.checking import ask
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.graph import Graph
from ngc.deploy.paths import text

DISABLED = "nvidia.com/disable-image-pull-secret-discovery"


def settings(cluster: Cluster, graph: Graph, made: Collection[str]) -> list[str]:
    """PATH=VALUE for each service whose registry has a login in the namespace and whose config names none.

    `made`: Secrets that are made before anything is applied. What may not be listed is not used. Raises Unreachable.
    """
    hosts = dict(_hosts(graph))
    annotations: Mapping[str, Any] = (graph.data.get("metadata") or {}).get("annotations") or {}
    if not hosts or str(annotations.get(DISABLED, "false")).lower() == "true":
        return []
    here = secretchecks.read(ask(cluster, *secretchecks.SECRETS))
    logins = {name: seen.hosts for name, seen in here.items()}
    logins |= {name: frozenset([secrets.NGC_HOST]) for name in made if name == secrets.NGC_SECRET}
    # Pods that name one themselves are not given those of their service account.
    account = (ask(cluster, *secretchecks.ACCOUNT).out or "").split()
    found = []
    for key, host in hosts.items():
        fitting = sorted((name for name, known in logins.items() if host in known), key=_ours_first)
        if fitting and not {*fitting} & {*account}:
            names = ", ".join(f"{{name: {name}}}" for name in [*account, fitting[0]])
            found.append(f"{text(('spec', 'services', key, 'extraPodSpec', 'imagePullSecrets'))}=[{names}]")
    return found


def _hosts(graph: Graph) -> Iterator[tuple[str, str]]:
    """(service, registry) where a pull secret may be missing; a service account of its own may have one."""
    for service in graph.services:
        pod: Mapping[str, Any] = service.spec.get("extraPodSpec") or {}
        reference = images.elsewhere(service.image) if service.image else None
        if reference and not pod.get("imagePullSecrets") and not pod.get("serviceAccountName"):
            yield service.key, reference.host


def _ours_first(name: str) -> tuple[bool, str]:
    return name != secrets.NGC_SECRET, name
