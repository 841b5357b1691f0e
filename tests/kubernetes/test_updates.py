"""An update never takes the service down: an open-loop client inside the cluster forgives no failure, and there is none."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.conftest import wait_for
from tests.serving.load import said

from ngc.deploy.cluster import kubectl

from . import client
from .configs import changed, renamed
from .conftest import PREFIX, made
from .meeting import PATIENT

pytestmark = pytest.mark.long
MODEL = "Qwen/Qwen3-0.6B"
GRAPH, SERVICE = "vllm-disagg", "vllm-disagg-frontend"
TWO_EACH = [f"--set=spec.services.{key}.replicas=2" for key in ("Frontend", "VllmDecodeWorker", "VllmPrefillWorker")]
DEPLOY = ("deploy", "--config=vllm-disagg", "--base=stand-in", "--allow-stand-in", PATIENT, *TWO_EACH)
SOON = 90.0  # seconds until a bad update must have been told
RATE = 20.0  # a second: more than 500 requests in each update


@pytest.fixture(scope="module", params=["kubernetes", "dgd"])
def serving(request, cluster, verbs, at, images, operator) -> Iterator[tuple]:
    """Two of each, deployed as plain objects and through the operator."""
    own, words = made(cluster, f"{PREFIX}-update-{request.param}"), (*DEPLOY, f"--to={request.param}")
    client.start(own, images["vllm"])
    done = verbs(*words, *at(own))
    assert done.code == 0, done.err
    yield own, words
    gone = verbs("undeploy", *at(own), PATIENT)
    assert gone.code == 0, gone.err


def test_a_bad_update_fails_with_the_cause_and_no_request_does(serving, verbs, at):
    cluster, words = serving
    with client.asking(cluster, SERVICE, MODEL, "transferred", RATE) as outcomes:
        begun = time.monotonic()
        bad = verbs(*words, "--image=no-such-image:0.6.1-stand-in", *at(cluster))
        assert bad.code == 1
        assert time.monotonic() - begun < SOON
        last = bad.err.strip().splitlines()[-1]
        assert "does not come up: ImagePullBackOff: " in last or "does not come up: ErrImagePull: " in last
        assert "no-such-image:0.6.1-stand-in" in last
        status = verbs("status", *at(cluster))
        assert status.code == 1
        assert "of 2 new pods ready, 2 of before the change still there" in status.out
        back = verbs("rollback", *at(cluster), PATIENT)
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


def test_a_renamed_service_serves_before_the_old_one_goes(serving, verbs, at, tmp_path):
    """First with an image that does not exist: the old workers go on, and a rollback leaves nothing of the new ones."""
    cluster, (*words, to) = serving
    plain = [word for word in words if not word.startswith(("--set", "--config"))]
    bad = changed(tmp_path, "vllm-disagg", renamed("VllmDecodeWorker", "Decoder", "no-such-image:0.6.1-stand-in", 2))
    with client.asking(cluster, SERVICE, MODEL, "transferred", RATE) as outcomes:
        said_bad = verbs(*plain, bad, to, *at(cluster))
        assert said_bad.code == 1
        assert "Decoder does not come up" in said_bad.err
        back = verbs("rollback", *at(cluster), PATIENT)
        assert back.code == 0, back.err
        wait_for(lambda: components(cluster) == OLD, "nothing is left of the failed rename", 180)
        good = changed(tmp_path, "vllm-disagg", renamed("VllmDecodeWorker", "Decoder", replicas=2))
        done = verbs(*plain, good, to, *at(cluster))
        assert done.code == 0, done.err
        wait_for(lambda: components(cluster) == NEW, "nothing is left of the old service", 180)
    print(said(outcomes))
    assert [outcome for outcome in outcomes if outcome.wrong] == [], said(outcomes)
    assert verbs("rollback", *at(cluster), PATIENT).code == 0


OLD = {"Frontend", "VllmPrefillWorker", "VllmDecodeWorker"}
NEW = {"Frontend", "VllmPrefillWorker", "Decoder"}


def components(cluster) -> set[str]:
    """Of which services there are Deployments or pods."""
    label = "nvidia.com/dynamo-component"
    return {e["metadata"]["labels"][label] for e in kubectl.get(cluster, "deployments.apps,pods", "--selector", label)}


def pods(cluster) -> set[str]:
    selector = "nvidia.com/dynamo-component"
    return {pod["metadata"]["name"] for pod in kubectl.get(cluster, "pods", "--selector", selector)}
