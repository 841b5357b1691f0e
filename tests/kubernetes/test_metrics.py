"""Metrics on request: what the annotations name can be scraped, from inside the cluster, of every pod."""

from __future__ import annotations

from ngc.deploy.cluster import kubectl

from . import client


def test_every_annotated_pod_is_scraped(verbs, at, namespace, images):
    done = verbs(
        "deploy", "--config=vllm-disagg", "--to=kubernetes", "--base=stand-in", "--allow-stand-in", "--metrics=annotations",
        *at(namespace),
    )  # fmt: skip
    assert done.code == 0, done.err
    client.start(namespace, images["vllm"])
    pods = kubectl.get(namespace, "pods", "--selector", "nvidia.com/dynamo-component")
    assert len(pods) == 3
    for pod in pods:
        notes, kind = pod["metadata"]["annotations"], pod["metadata"]["labels"]["nvidia.com/dynamo-component-type"]
        assert notes["prometheus.io/scrape"] == "true"
        url = f"http://{pod['status']['podIP']}:{notes['prometheus.io/port']}{notes['prometheus.io/path']}"
        text = kubectl.ask(namespace, "exec", client.POD, "--", "curl", "-fsS", url).out
        assert ("dynamo_frontend_" if kind == "frontend" else "dynamo_component_") in text


def test_without_the_kind_a_pod_monitor_is_refused_before_anything_changes(verbs, at, namespace, images):
    if kubectl.call(namespace, "get", "podmonitors.monitoring.coreos.com").code == 0:
        return  # the cluster has Prometheus' operator: the object is admitted there
    said = verbs(
        "deploy", "--config=vllm-agg", "--to=kubernetes", "--base=stand-in", "--allow-stand-in", "--metrics=podmonitor",
        *at(namespace),
    )  # fmt: skip
    assert said.code == 1
    last = said.err.strip().splitlines()[-1]
    assert "the cluster has no PodMonitor" in last
    assert "install the Prometheus operator, or use --metrics=annotations" in last
    assert kubectl.get(namespace, "deployments") == []


def test_an_unknown_way_of_metrics_is_refused_with_the_ways_there_are(verbs, at, namespace):
    said = verbs(
        "deploy", "--config=vllm-agg", "--to=kubernetes", "--base=stand-in", "--allow-stand-in", "--metrics=prom", *at(namespace)
    )  # fmt: skip
    assert said.code == 2
    assert "--metrics is 'prom'; choose from: annotations, podmonitor" in said.err
