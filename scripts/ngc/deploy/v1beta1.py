"""A graph as nvidia.com/v1beta1, which Dynamo serves from 1.2.0 on and stores from 1.5.0 on.

Source: the schema of a 1.4 development version and its release notes; facts of conversion are upstream's table of fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ngc.deploy import kubernetes, podspec
from ngc.deploy.graph import DECODE, FRONTEND, PREFILL, WORKER, Graph, Mount, Service, plain
from ngc.errors import Wrong

API = "nvidia.com/v1beta1"
TYPES = (FRONTEND, WORKER, PREFILL, DECODE, "planner", "epp")
LARGEST = 25  # components of a graph


def objects(graph: Graph) -> list[dict[str, Any]]:
    """The DynamoGraphDeployment in v1beta1, after the objects that lie beside it. Raises Wrong for what v1beta1 has no field for."""
    for sentence in _refusals(graph):
        raise Wrong(sentence)
    spec: dict[str, Any] = {"backendFramework": graph.spec.get("backendFramework")}
    if graph.spec.get("envs"):
        spec["env"] = plain(graph.spec["envs"])
    spec["components"] = [_component(service) for service in graph.services]
    made = {"apiVersion": API, "kind": graph.data["kind"], "metadata": plain(graph.data["metadata"])}
    return [*map(dict, graph.beside), *kubernetes.claims(graph), {**made, "spec": _filled(spec)}]


def _refusals(graph: Graph) -> Iterator[str]:
    """What would be lost without a word."""
    if len(graph.services) > LARGEST:
        yield f"{kubernetes.place(graph, 'spec', 'services')}: v1beta1 takes {LARGEST} components, not {len(graph.services)}; split the graph"
    for service in graph.services:
        gone = {
            "dynamoNamespace": "the operator computes it",
            "ingress": "make an Ingress of your own for the frontend's Service",
            "autoscaling": "use scalingAdapter, or an autoscaler of your own",
            "serviceName": "the operator computes it",
        }
        for field, instead in gone.items():
            if service.spec.get(field):
                where = kubernetes.place(graph, "spec", "services", service.key, field)
                yield f"{where}: v1beta1 has no {field}: {instead}; take it out with --set PATH=null, or render v1alpha1"
        if service.shared_memory is None:
            where = kubernetes.place(graph, "spec", "services", service.key, "sharedMemory")
            yield f"{where}: v1beta1 has a size of shared memory and no switch for it; give it a size"


def _component(service: Service) -> dict[str, Any]:
    """An entry of `components`; what v1alpha1 spreads over many fields is one pod template there."""
    kind = service.sub_type if service.sub_type in (PREFILL, DECODE) else service.type
    given = service.spec
    cache = _cache(service)
    compiled = {"pvcName": cache.name, "mountPath": cache.path} if cache else None
    return _filled(
        {
            "name": service.key,
            "type": kind if kind in TYPES else None,
            "replicas": given.get("replicas"),
            "multinode": given.get("multinode"),
            "sharedMemorySize": (given.get("sharedMemory") or {}).get("size"),
            "compilationCache": compiled,
            "podTemplate": _pod_template(service),
        }
    )


def _pod_template(service: Service) -> dict[str, Any]:
    given = service.spec
    more: Mapping[str, Any] = given.get("extraPodMetadata") or {}
    metadata = {
        kind: {**(given.get(kind) or {}), **(more.get(kind) or {})} or None for kind in ("labels", "annotations")
    }
    pod = {key: value for key, value in (given.get("extraPodSpec") or {}).items() if key != "mainContainer"}
    others = pod.pop("containers", None) or []
    volumes = [*(pod.pop("volumes", None) or []), *podspec.claim_volumes(_mounts(service))]
    pod["containers"] = [_main(service), *others]
    return _filled({"metadata": _filled(metadata), "spec": _filled({**pod, "volumes": volumes})})


def _main(service: Service) -> dict[str, Any]:
    """The container `main`: only what the config says; the operator of that version gives the rest."""
    given, main = service.spec, service.main
    secret = [{"secretRef": {"name": service.env_from_secret}}] if service.env_from_secret else []
    own = {entry["name"]: entry for entry in [*(given.get("envs") or []), *(main.get("env") or [])]}
    probes = {key: given.get(key) for key in ("livenessProbe", "readinessProbe") if given.get(key)}
    return _filled(
        {
            "name": podspec.MAIN,
            "image": service.image,
            **{key: value for key, value in main.items() if key not in podspec.MERGED},
            "env": list(own.values()),
            "envFrom": [*(main.get("envFrom") or []), *secret],
            "resources": podspec.resources(service),
            "volumeMounts": [*podspec.claim_mounts(_mounts(service)), *(main.get("volumeMounts") or [])],
            **probes,
        }
    )


def _cache(service: Service) -> Mount | None:
    """The mount of compiled code, which has a field of its own."""
    named = [
        entry.get("name") for entry in service.spec.get("volumeMounts") or [] if entry.get("useAsCompilationCache")
    ]
    return next((mount for mount in service.mounts if mount.name in named), None)


def _mounts(service: Service) -> list[Mount]:
    return [mount for mount in service.mounts if mount != _cache(service)]


def _filled(data: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty."""
    return {key: value for key, value in data.items() if value not in (None, {}, [])}
