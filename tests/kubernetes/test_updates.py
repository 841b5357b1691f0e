"""An update never takes the service down: an open-loop client inside the cluster forgives no failure, and there is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.serving.load import said

from ngc.deploy.cluster import kubectl

from . import client
from .conftest import PREFIX, made

MODEL = "Qwen/Qwen3-0.6B"
GRAPH, SERVICE = "vllm-disagg", "vllm-disagg-frontend"
TWO_EACH = [f"--set=spec.services.{key}.replicas=2" for key in ("Frontend", "VllmDecodeWorker", "VllmPrefillWorker")]
DEPLOY = ("deploy", "--config=vllm-disagg", "--base=stand-in", "--allow-stand-in", "--timeout=3m", *TWO_EACH)
RATE = 20.0  # a second: more than 500 requests in each update


@pytest.fixture(scope="module", params=["kubernetes", "dgd"])
def serving(request, cluster, verbs, at, images, operator) -> Iterator[tuple]:
    """Two of each, deployed as plain objects and through the operator."""
    own, words = made(cluster, f"{PREFIX}-update-{request.param}"), (*DEPLOY, f"--to={request.param}")
    client.start(own, images["vllm"])
    done = verbs(*words, *at(own))
    assert done.code == 0, done.err
    yield own, words
    gone = verbs("undeploy", *at(own), "--timeout=3m")
    assert gone.code == 0, gone.err


def test_a_bad_update_fails_with_the_cause_and_no_request_does(serving, verbs, at):
    cluster, words = serving
    with client.asking(cluster, SERVICE, MODEL, "transferred", RATE) as outcomes:
        bad = verbs(*words, "--image=no-such-image:0.6.1-stand-in", *at(cluster))
        assert bad.code == 1
        assert "no-such-image:0.6.1-stand-in" in bad.err
        assert "ImagePull" in bad.err or "ErrImage" in bad.err
        status = verbs("status", *at(cluster))
        assert status.code == 1
        back = verbs("rollback", *at(cluster), "--timeout=3m")
        assert back.code == 0, back.err
        client.settled(cluster, GRAPH)
    print(said(outcomes))
    assert [outcome for outcome in outcomes if outcome.wrong] == [], said(outcomes)
    assert len(outcomes) > 500


def test_a_good_update_replaces_every_pod_and_no_request_fails(serving, verbs, at):
    cluster, words = serving
    before = pods(cluster)
    with client.asking(cluster, SERVICE, MODEL, "transferred", RATE) as outcomes:
        done = verbs(*words, "--set=spec.envs[+]={name: UPDATED, value: 'yes'}", *at(cluster))
        assert done.code == 0, done.err
        client.settled(cluster, GRAPH)
    assert not before & pods(cluster)
    print(said(outcomes))
    assert [outcome for outcome in outcomes if outcome.wrong] == [], said(outcomes)
    assert len(outcomes) > 500


def pods(cluster) -> set[str]:
    selector = "nvidia.com/dynamo-component"
    return {pod["metadata"]["name"] for pod in kubectl.get(cluster, "pods", "--selector", selector)}
