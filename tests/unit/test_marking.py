"""The mark on a component's pods: it changes with what they are made of, and with nothing else."""

from __future__ import annotations

import copy

import pytest

from ngc.deploy.cluster import marking

GRAPH = {
    "kind": "DynamoGraphDeployment",
    "metadata": {"name": "g"},
    "spec": {
        "envs": [{"name": "A", "value": "1"}],
        "services": {
            "Frontend": {"replicas": 1, "extraPodMetadata": {"labels": {"team": "x"}}},
            "Worker": {"replicas": 2, "extraPodSpec": {"mainContainer": {"image": "i"}}},
        },
    },
}


def mark(graph, key="Worker"):
    return marking.mark(marking.marked([graph]), key)


def changed(path, value):
    graph = copy.deepcopy(GRAPH)
    place = graph
    for key in path[:-1]:
        place = place.setdefault(key, {})
    place[path[-1]] = value
    return graph


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "envs"), [{"name": "A", "value": "2"}]),
        (("spec", "services", "Worker", "extraPodSpec", "mainContainer", "image"), "j"),
        (("spec", "services", "Worker", "readinessProbe"), {"periodSeconds": 2}),
    ],
)
def test_what_pods_are_made_of_changes_the_mark(path, value):
    assert mark(changed(path, value)) != mark(GRAPH)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "services", "Worker", "replicas"), 5),
        (("spec", "services", "Worker", "autoscaling"), {"enabled": True}),
        (("spec", "services", "Frontend", "extraPodSpec"), {"tolerations": []}),
        (("metadata", "labels"), {"a": "b"}),
    ],
)
def test_how_many_there_are_and_what_others_are_made_of_does_not(path, value):
    assert mark(changed(path, value)) == mark(GRAPH)


def test_metadata_that_is_there_is_kept():
    once = marking.marked([GRAPH])
    frontend = once[0]["spec"]["services"]["Frontend"]["extraPodMetadata"]
    assert frontend["labels"] == {"team": "x"}
    assert marking.of(frontend) == mark(GRAPH, "Frontend")
    assert "extraPodMetadata" not in GRAPH["spec"]["services"]["Worker"]


def test_components_of_the_newer_api_are_marked_on_their_pod_template():
    def graph(replicas, image):
        pod = {"metadata": {"labels": {"team": "x"}}, "spec": {"containers": [{"name": "main", "image": image}]}}
        components = [{"name": "Frontend"}, {"name": "Worker", "replicas": replicas, "podTemplate": pod}]
        return {**GRAPH, "spec": {"components": components}}

    (once,) = marking.marked([graph(1, "i")])
    metadata = once["spec"]["components"][1]["podTemplate"]["metadata"]
    assert (metadata["labels"], marking.of(metadata)) == ({"team": "x"}, mark(graph(1, "i")))
    assert mark(graph(5, "i")) == mark(graph(1, "i"))
    assert mark(graph(1, "j")) != mark(graph(1, "i"))


def test_other_objects_have_no_mark():
    deployment = {"kind": "Deployment", "metadata": {"name": "g-worker"}, "spec": {"replicas": 1}}
    assert marking.marked([deployment]) == [deployment]
    assert marking.mark([deployment], "Worker") is None
