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


def test_other_objects_have_no_mark():
    deployment = {"kind": "Deployment", "metadata": {"name": "g-worker"}, "spec": {"replicas": 1}}
    assert marking.marked([deployment]) == [deployment]
    assert marking.mark([deployment], "Worker") is None
