"""What others decide is left to them: numbers of replicas are neither applied nor waited for, and every name of it is told."""

from __future__ import annotations

import json

import pytest

from ngc import catalog
from ngc.asked.configs import Config
from ngc.deploy import prepare, render
from ngc.deploy import promise as promises
from ngc.deploy.cluster import adapting, deploying, marking
from ngc.deploy.cluster.revisions import APPLIED, Revision

WORKER = "vllm-agg-vllmdecodeworker"


@pytest.fixture(params=["kubernetes", "dgd", "v1beta1"], name="revision")
def revision_fixture(request) -> Revision:
    """vllm-agg with two workers, in each form and version."""
    to, api = ("dgd", "v1beta1") if request.param == "v1beta1" else (request.param, "v1alpha1")
    ready = prepare.prepare(
        catalog.read(), Config("vllm-agg", ["spec.services.VllmDecodeWorker.replicas=2"], "stand-in")
    )
    objects = tuple(marking.marked(render.render(ready, to, api=api)))
    promise, parts = promises.of(ready, True), deploying.parts(ready.graph)
    return Revision("vllm-agg", 0, "", "", None, to, "", APPLIED, parts, "f", promise, objects)


def there(revision: Revision, manager: str, replicas: int) -> dict:
    """The cluster's objects, the workers' replicas set by another."""
    found = {}
    for entry in json.loads(json.dumps(revision.objects)):
        if entry["metadata"]["name"] == WORKER and entry["kind"] == "Deployment":
            entry["spec"]["replicas"], fields = replicas, {"f:replicas": {}}
        elif entry["kind"] == "DynamoGraphDeployment":
            marking.services(entry)["VllmDecodeWorker"]["replicas"] = replicas
            fields = {"f:services": {"f:VllmDecodeWorker": {"f:replicas": {}}}}
            if "components" in entry["spec"]:
                fields = {"f:components": {'k:{"name":"VllmDecodeWorker"}': {"f:replicas": {}}}}
        else:
            continue
        entry["metadata"]["managedFields"] = [{"manager": manager, "fieldsV1": {"f:spec": fields}}]
        found[adapting.key(entry)] = entry
    return found


def workers(revision: Revision) -> tuple[int | None, int]:
    """(replicas that are waited for, workers that must be registered)"""
    (part,) = (part for part in revision.parts if part.key == "VllmDecodeWorker")
    (endpoint,) = revision.promise.endpoints
    return part.replicas, endpoint.workers


@pytest.mark.parametrize("manager", ["terraform", "planner", "kube-controller-manager"])
def test_replicas_of_any_other_program_are_left_to_it_and_not_waited_for(revision, manager):
    made = adapting.adapted(revision.objects, there(revision, manager, 1), force=False)
    (left,) = made.left
    name = "VllmDecodeWorker" if revision.to == "dgd" else WORKER
    assert str(left) == f"replicas of {name} are left to {manager} (1); --force-conflicts takes them back"
    assert workers(adapting.awaited(revision, made)) == (None, 1)


def test_more_than_one_is_not_promised_for_another_may_change_it_at_any_time(revision):
    made = adapting.adapted(revision.objects, there(revision, "planner", 5), force=False)
    assert workers(adapting.awaited(revision, made)) == (None, 1)


def test_forced_they_are_ours_again(revision):
    made = adapting.adapted(revision.objects, there(revision, "terraform", 1), force=True)
    assert made.left == ()
    assert list(made.objects) == list(revision.objects)
    once = adapting.awaited(revision, adapting.adapted(revision.objects, there(revision, "terraform", 1), force=False))
    assert workers(adapting.awaited(once, made)) == (2, 2)  # as a rollback to such a revision has it


@pytest.mark.parametrize("manager", ["kubectl", "kubectl-client-side-apply", "ngc-dynamo"])
def test_a_person_s_and_our_own_replicas_are_not_left(revision, manager):
    made = adapting.adapted(revision.objects, there(revision, manager, 1), force=False)
    assert (made.left, workers(adapting.awaited(revision, made))) == ((), (2, 2))


def test_a_role_of_two_services_counts_both():
    sets = [f"spec.services.VllmDecodeWorker.{text}" for text in ("replicas=2", "subComponentType=null")]
    ready = prepare.prepare(catalog.read(), Config("vllm-agg", sets, "stand-in"))
    graph = ready.graph
    graph.data["spec"]["services"]["Second"] = json.loads(json.dumps(graph.spec["services"]["VllmDecodeWorker"]))
    graph = type(graph)(graph.path, graph.name, graph.data, (*graph.services, *_second(graph)), (), {})
    ready = prepare.Prepared(graph, ready.framework, ready.base, ready.image)
    objects = tuple(render.render(ready, "kubernetes"))
    promise = promises.of(ready, True)
    assert [endpoint.workers for endpoint in promise.endpoints] == [4]
    revision = Revision("g", 0, "", "", None, "kubernetes", "", APPLIED, deploying.parts(graph), "f", promise, objects)
    made = adapting.adapted(objects, there(revision, "terraform", 1), force=False)
    assert [e.workers for e in adapting.awaited(revision, made).promise.endpoints] == [3]


def _second(graph):
    from dataclasses import replace

    return [replace(service, key="Second") for service in graph.services if service.key == "VllmDecodeWorker"]


@pytest.mark.parametrize(("status", "kept"), [({"availableReplicas": 1}, True), ({}, False), (None, False)])
def test_etcd_and_nats_keep_the_image_that_they_run_if_they_run(status, kept):
    ready = prepare.prepare(catalog.read(), Config("vllm-agg", [], "stand-in"))
    objects = render.render(ready, "kubernetes")
    etcd = json.loads(json.dumps(next(e for e in objects if e["metadata"]["name"] == "vllm-agg-etcd")))
    etcd["spec"]["template"]["spec"]["containers"][0]["image"] = "old:1"
    made = adapting.adapted(objects, {("Deployment", "vllm-agg-etcd"): {**etcd, "status": status}}, force=True)
    pods = {e["metadata"]["name"]: e["spec"]["template"]["spec"] for e in made.objects if e["kind"] == "Deployment"}
    images = {name: pod["containers"][0]["image"] for name, pod in pods.items()}
    assert (images["vllm-agg-etcd"] == "old:1") is kept
    assert images["vllm-agg-nats"] != "old:1"
