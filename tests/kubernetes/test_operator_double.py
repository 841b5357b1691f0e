"""The operator's double says and does what the operator was seen to. On a cluster with the real operator these test the same of that."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
from tests.conftest import wait_for
from tests.serving.deployed import Verbs

from ngc.deploy import asking, names
from ngc.deploy.cluster import kubectl
from ngc.deploy.cluster.forwarding import forwarded
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.cluster.observing import DCD, DGD, condition

from .conftest import Operator, emptied, made

Object = Mapping[str, Any]
MISSING_IMAGE = "dynamo-vllm-runtime:0.0.0-missing"
# Its pods start, but nobody waits for them: nothing here asks them anything.
WORKER = {"componentType": "worker", "replicas": 0, "resources": {"limits": {"gpu": "1"}, "requests": {"gpu": "1"}}}


def graph(name: str, image: str, services: Object | None = None, replicas: int = 0, **spec: Any) -> dict[str, Any]:
    """A graph with a frontend; without pods it is ready at once."""
    frontend = {"componentType": "frontend", "replicas": replicas, "extraPodSpec": {"mainContainer": {"image": image}}}
    return {
        "apiVersion": "nvidia.com/v1alpha1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": name},
        "spec": {"services": {"Frontend": frontend, **(services or {})}, **spec},
    }


def worker(image: str, module: str = "vllm", **changes: Any) -> dict[str, Any]:
    main = {"image": image, "command": ["python3", "-m", f"dynamo.{module}"], "args": ["--model", "m"]}
    return {**WORKER, "extraPodSpec": {"mainContainer": main}, **changes}


def apply(cluster: Cluster, *objects: Object) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    kubectl.ask(
        cluster, "apply", "--server-side", "--field-manager=ngc-test", "--force-conflicts", "-f", "-", text=text
    )


def status(cluster: Cluster, name: str) -> Object:
    found = kubectl.get(cluster, f"{DGD}/{name}")
    return (found[0].get("status") or {}) if found else {}


def state(cluster: Cluster, name: str) -> str:
    return str(status(cluster, name).get("state") or "")


def of_graph(cluster: Cluster, kinds: str, name: str) -> list[dict[str, Any]]:
    return kubectl.get(cluster, kinds, "--selector", f"{names.GRAPH_LABEL}={name}")


def main_of(deployment: Object) -> Object:
    return next(c for c in deployment["spec"]["template"]["spec"]["containers"] if c["name"] == "main")


@pytest.fixture(scope="module")
def place(operator: Operator) -> Iterator[Cluster]:
    """A namespace for all tests of this module that need none of their own."""
    own = made(operator.cluster, f"{operator.cluster.namespace.removesuffix('-common')}-double")
    yield own
    emptied(own)


@pytest.fixture(scope="module")
def served(place: Cluster, verbs: Verbs) -> tuple[Cluster, Sequence[str]]:
    """vllm-disagg on the stand-in, and the states that its graph went through."""
    said = verbs("render", "--config=vllm-disagg", "--to=dgd", "--base=stand-in")
    assert said.code == 0, said.err
    kubectl.ask(place, "apply", "--server-side", "--field-manager=ngc-test", "-f", "-", text=said.out)
    seen: list[str] = []

    def successful() -> bool:
        seen.append(state(place, "vllm-disagg"))
        return seen[-1] == "successful"

    wait_for(successful, "vllm-disagg successful")
    return place, seen


def test_a_new_graph_is_pending_until_its_deployments_are_available(served: tuple[Cluster, Sequence[str]]) -> None:
    cluster, seen = served
    assert list(dict.fromkeys(filter(None, seen))) == ["pending", "successful"]
    for entry in of_graph(cluster, "deployments.apps", "vllm-disagg"):
        assert entry["status"]["availableReplicas"] == entry["spec"]["replicas"]


def test_components_have_the_operators_names_and_labels(served: tuple[Cluster, Sequence[str]]) -> None:
    cluster, _ = served
    keys = {"Frontend": "frontend", "VllmDecodeWorker": "worker", "VllmPrefillWorker": "worker"}
    wanted = {f"vllm-disagg-{key.lower()}" for key in keys}
    for kinds in (DCD, "deployments.apps"):
        found = of_graph(cluster, kinds, "vllm-disagg")
        assert {entry["metadata"]["name"] for entry in found} == wanted
        assert {entry["metadata"]["labels"][names.COMPONENT_LABEL] for entry in found} == set(keys)
        assert {e["metadata"]["labels"][names.NAMESPACE_LABEL] for e in found} == {"dynamo-vllm-disagg"}
    assert all(e["metadata"]["finalizers"] == ["nvidia.com/finalizer"] for e in of_graph(cluster, DCD, "vllm-disagg"))
    for pod in of_graph(cluster, "pods", "vllm-disagg"):
        labels = pod["metadata"]["labels"]
        assert labels[names.TYPE_LABEL] == keys[labels[names.COMPONENT_LABEL]]
        assert labels[names.SELECTOR_LABEL] == f"vllm-disagg-{labels[names.COMPONENT_LABEL].lower()}"
    services = kubectl.get(cluster, "services")
    assert [entry["metadata"]["name"] for entry in services] == ["vllm-disagg-frontend"]


def test_pods_are_told_where_the_platforms_etcd_and_nats_are(
    served: tuple[Cluster, Sequence[str]], operator: Operator
) -> None:
    cluster, _ = served
    for entry in of_graph(cluster, "deployments.apps", "vllm-disagg"):
        variables = {e["name"]: e.get("value", "") for e in main_of(entry)["env"]}
        assert "-etcd." in variables["ETCD_ENDPOINTS"]
        assert variables["ETCD_ENDPOINTS"].endswith(":2379")
        assert variables["NATS_SERVER"].startswith("nats://")
        if not operator.real:
            assert f".{operator.platform}:" in variables["ETCD_ENDPOINTS"]


def test_a_successful_graph_answers_over_both_its_workers(served: tuple[Cluster, Sequence[str]]) -> None:
    cluster, _ = served
    with forwarded(cluster, "vllm-disagg-frontend", names.HTTP_PORT) as url:
        wait_for(lambda: asking.models(url()), "the model listed")
        wait_for(lambda: asking.chat(url(), "Qwen/Qwen3-0.6B").first_word == "transferred", "a KV cache handed over")


def test_the_status_does_not_say_which_generation_it_is_about(served: tuple[Cluster, Sequence[str]]) -> None:
    cluster, _ = served
    said = status(cluster, "vllm-disagg")
    assert set(said) == {"state", "conditions"}
    assert [entry["type"] for entry in said["conditions"]] == ["Ready"]
    assert "observedGeneration" not in json.dumps(said)


def test_a_graph_stays_successful_while_an_update_cannot_start(served: tuple[Cluster, Sequence[str]]) -> None:
    """The worst of its lies: nothing but the pods tells that the new image does not exist (ai-dynamo/dynamo#3567)."""
    cluster, _ = served
    before = kubectl.get(cluster, f"{DGD}/vllm-disagg")[0]
    image = before["spec"]["services"]["VllmDecodeWorker"]["extraPodSpec"]["mainContainer"]["image"]
    seen: list[str] = []

    def patch(value: str) -> None:
        change = {"spec": {"services": {"VllmDecodeWorker": {"extraPodSpec": {"mainContainer": {"image": value}}}}}}
        kubectl.ask(cluster, "patch", f"{DGD}/vllm-disagg", "--type=merge", "--patch", json.dumps(change))

    def reasons() -> list[str]:
        seen.append(state(cluster, "vllm-disagg"))
        containers = [
            c for p in of_graph(cluster, "pods", "vllm-disagg") for c in p["status"].get("containerStatuses", [])
        ]
        return [c["state"].get("waiting", {}).get("reason", "") for c in containers]

    patch(MISSING_IMAGE)
    try:
        wait_for(lambda: {"ErrImagePull", "ImagePullBackOff"} & set(reasons()), "a pod whose image is missing")
        assert set(seen) == {"successful"}
        assert condition(status(cluster, "vllm-disagg"), "Ready")["status"] == "True"
    finally:
        patch(image)
    wait_for(lambda: not any(reasons()), "the pod with the missing image gone")


def test_a_changed_deployment_is_not_changed_back_until_the_graph_changes(
    place: Cluster, images: Mapping[str, str]
) -> None:
    apply(place, graph("drift", images["vllm"]))
    wait_for(lambda: state(place, "drift") == "successful", "drift successful")
    kubectl.ask(place, "set", "image", "deployment/drift-frontend", f"main={MISSING_IMAGE}")
    # A graph that comes later is ready: the operator has looked at everything since.
    apply(place, graph("later", images["vllm"]))
    wait_for(lambda: state(place, "later") == "successful", "later successful")
    assert main_of(kubectl.get(place, "deployments.apps/drift-frontend")[0])["image"] == MISSING_IMAGE
    apply(place, graph("drift", images["vllm"], envs=[{"name": "CHANGED", "value": "1"}]))

    def image() -> str:
        return str(main_of(kubectl.get(place, "deployments.apps/drift-frontend")[0])["image"])

    wait_for(lambda: image() == images["vllm"], "the graph's image after a change of the graph")


@pytest.mark.parametrize(
    ("name", "changes", "spec", "text"),
    [
        ("framework", {}, {"backendFramework": "trtllm"}, "framework"),
        ("image", {"extraPodSpec": {"mainContainer": {"command": ["python3", "-m", "dynamo.vllm"]}}}, {}, "image"),
        ("gpus", {"resources": {"limits": {"gpu": "one"}}}, {}, "gpu"),
    ],
)
def test_an_error_of_a_component_is_told_by_the_component_only(
    place: Cluster, images: Mapping[str, str], name: str, changes: Object, spec: Object, text: str
) -> None:
    apply(place, graph(name, images["vllm"], {"Worker": worker(images["vllm"], **changes)}, **spec))

    def said() -> str:
        found = kubectl.get(place, f"{DCD}/{name}-worker")
        available = condition((found[0].get("status") or {}) if found else {}, "Available")
        return str(available.get("message", "")) if available.get("status") == "False" else ""

    wait_for(lambda: text in said().lower() and "failed" in said().lower(), f"an error about {text} on the component")
    generic = f"1 resources not ready: [{name}-worker]"
    wait_for(lambda: condition(status(place, name), "Ready").get("message") == generic, "a graph that only waits")
    assert state(place, name) == "pending"


@pytest.mark.parametrize(
    ("name", "service", "changes", "spec", "text"),
    [
        ("claim", "Worker", {}, {"pvcs": [{"name": "absent", "create": False}]}, "not found"),
        ("two-places", "Worker", {"dynamoNamespace": "other"}, {}, "namespace mismatch"),
        ("many-nodes", "Worker", {"multinode": {"nodeCount": 2}}, {}, "no multinode orchestrator available"),
        ("odd-name", "bad_worker", {}, {}, "invalid"),
    ],
)
def test_an_error_of_the_graph_makes_it_fail(
    place: Cluster, images: Mapping[str, str], name: str, service: str, changes: Object, spec: Object, text: str
) -> None:
    apply(place, graph(name, images["vllm"], {service: worker(images["vllm"], **changes)}, **spec))
    wait_for(lambda: state(place, name) == "failed", "the graph failed")
    assert text in condition(status(place, name), "Ready")["message"].lower()


def test_failed_is_not_final(place: Cluster, images: Mapping[str, str]) -> None:
    apply(place, graph("heals", images["vllm"], {"Worker": worker(images["vllm"], dynamoNamespace="other")}))
    wait_for(lambda: state(place, "heals") == "failed", "the graph failed")
    apply(place, graph("heals", images["vllm"], {"Worker": worker(images["vllm"])}))
    wait_for(lambda: state(place, "heals") == "successful", "the graph successful")


def test_children_outlive_their_graph_while_etcd_is_away(
    namespace: Cluster, operator: Operator, images: Mapping[str, str]
) -> None:
    """The finalizer has no time limit, and the one worker that waits for it reconciles nothing else."""
    apply(namespace, graph("held", images["vllm"], replicas=1))
    wait_for(lambda: of_graph(namespace, "pods", "held"), "a pod of the graph")
    with operator.without_etcd():
        kubectl.ask(namespace, "delete", f"{DGD}/held", "--wait", timeout=20)
        assert not kubectl.get(namespace, f"{DGD}/held")
        wait_for(
            lambda: "deletionTimestamp" in of_graph(namespace, DCD, "held")[0]["metadata"], "the component deleted"
        )
        apply(namespace, graph("other", images["vllm"]))
        for _ in range(10):  # many times as long as a working operator needs
            assert not state(namespace, "other")
            assert {entry["kind"] for entry in of_graph(namespace, f"{DCD},deployments.apps,pods", "held")} == {
                "DynamoComponentDeployment",
                "Deployment",
                "Pod",
            }
    wait_for(
        lambda: not of_graph(namespace, f"{DCD},deployments.apps,pods", "held"), "everything of the graph gone", 180
    )
    wait_for(lambda: state(namespace, "other") == "successful", "the other graph successful")
