"""A graph as v1beta1: every field goes where the newer API has it, and what it has no field for is refused."""

from __future__ import annotations

import pytest

from ngc import catalog
from ngc.deploy import edit, graph, render, v1beta1
from ngc.deploy.prepare import Prepared
from ngc.errors import Wrong

WORKER = "spec.services.VllmDecodeWorker"


def made(config: str, *sets: str) -> dict:
    return v1beta1.objects(edit.apply(graph.load(graph.find(config)), sets))[-1]


def component(data: dict, name: str) -> dict:
    return next(one for one in data["spec"]["components"] if one["name"] == name)


def main(data: dict, name: str) -> dict:
    containers = component(data, name)["podTemplate"]["spec"]["containers"]
    return next(one for one in containers if one["name"] == "main")


def test_services_become_a_list_in_order_with_their_types():
    data = made("vllm-disagg")
    assert data["apiVersion"] == "nvidia.com/v1beta1"
    found = [(one["name"], one["type"], one["replicas"]) for one in data["spec"]["components"]]
    assert found == [
        ("Frontend", "frontend", 1),
        ("VllmDecodeWorker", "decode", 1),
        ("VllmPrefillWorker", "prefill", 1),
    ]
    assert component(made("vllm-agg"), "VllmDecodeWorker")["type"] == "worker"


def test_resources_are_in_kubernetes_words():
    assert main(made("vllm-tp"), "VllmDecodeWorker")["resources"]["limits"] == {"nvidia.com/gpu": "2"}
    assert main(made("vllm-disagg-rdma"), "VllmDecodeWorker")["resources"]["limits"]["rdma/ib"] == "1"


def test_variables_are_the_users_only_and_the_nearest_wins():
    data = made(
        "vllm-agg", "spec.envs=[{name: A, value: graph}]", f"{WORKER}.envs=[{{name: B, value: service}}, {{name: C, value: service}}]",
        f"{WORKER}.extraPodSpec.mainContainer.env=[{{name: C, value: container}}]", f"{WORKER}.envFromSecret=hf-token-secret",
    )  # fmt: skip
    assert data["spec"]["env"] == [{"name": "A", "value": "graph"}]
    worker = main(data, "VllmDecodeWorker")
    assert worker["env"] == [{"name": "B", "value": "service"}, {"name": "C", "value": "container"}]
    assert worker["envFrom"] == [{"secretRef": {"name": "hf-token-secret"}}]


def test_probes_nodes_and_shared_memory_move():
    data = made("vllm-multinode")
    worker = component(data, "VllmDecodeWorker")
    assert (worker["multinode"], worker["sharedMemorySize"]) == ({"nodeCount": 2}, "32Gi")
    assert "exec" in main(data, "Frontend")["readinessProbe"]


def test_claims_are_mounted_by_the_pod_and_made_beside_it():
    data = made("vllm-cache")
    pod = component(data, "VllmDecodeWorker")["podTemplate"]["spec"]
    assert pod["volumes"] == [{"name": "model-cache", "persistentVolumeClaim": {"claimName": "model-cache"}}]
    assert main(data, "VllmDecodeWorker")["volumeMounts"] == [{"name": "model-cache", "mountPath": "/models"}]
    edited = edit.apply(
        graph.load(graph.find("vllm-cache")),
        [
            "spec.pvcs=[{name: model-cache, create: true, size: 10Gi, storageClass: fast, volumeAccessMode: ReadWriteMany}]"
        ],
    )
    assert [entry["kind"] for entry in v1beta1.objects(edited)] == ["PersistentVolumeClaim", "DynamoGraphDeployment"]


def test_a_compilation_cache_has_a_field_of_its_own():
    data = made(
        "vllm-cache",
        f"{WORKER}.volumeMounts=[{{name: model-cache, mountPoint: /cache, useAsCompilationCache: true}}]",
    )
    worker = component(data, "VllmDecodeWorker")
    assert worker["compilationCache"] == {"pvcName": "model-cache", "mountPath": "/cache"}
    assert "volumeMounts" not in main(data, "VllmDecodeWorker")


def test_config_maps_stay_beside_the_graph():
    objects = v1beta1.objects(graph.load(graph.find("trtllm-disagg")))
    assert [entry["kind"] for entry in objects] == ["ConfigMap", "DynamoGraphDeployment"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (f"{WORKER}.dynamoNamespace=mine", "v1beta1 has no dynamoNamespace"),
        (f"{WORKER}.ingress={{enabled: true, host: x}}", "v1beta1 has no ingress"),
        (f"{WORKER}.autoscaling={{enabled: true}}", "v1beta1 has no autoscaling"),
        (f"{WORKER}.sharedMemory={{disabled: true}}", "no switch for it"),
    ],
)
def test_what_it_has_no_field_for_is_refused_with_the_line(setting, said):
    with pytest.raises(Wrong, match=rf"vllm-agg\.yaml:\d+: {said}" if "switch" not in said else said):
        made("vllm-agg", setting)


def test_only_a_graph_has_versions():
    prepared = Prepared(graph.load(graph.find("vllm-agg")), None, None, None)
    with pytest.raises(Wrong, match="--api=v1beta1 is for --to=dgd"):
        render.render(prepared, render.KUBERNETES, api=render.V1BETA1)


def test_every_config_can_be_written_as_v1beta1():
    for path in sorted((catalog.ROOT / "configs").glob("*.yaml")):
        assert v1beta1.objects(graph.load(path))[-1]["spec"]["components"]
