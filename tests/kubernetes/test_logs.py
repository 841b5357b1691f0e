"""logs --previous: what a container said before its last restart, of those that had one."""

from __future__ import annotations

from tests.conftest import wait_for

from ngc.deploy.cluster import kubectl

from .meeting import PATIENT

DEPLOY = ("deploy", "--config=vllm-agg", "--base=stand-in", "--allow-stand-in", "--to=kubernetes", PATIENT)
IMAGE = "spec.services.VllmDecodeWorker.extraPodSpec.mainContainer.image"
WORKER = "nvidia.com/dynamo-component=VllmDecodeWorker"


def restarts(namespace) -> int:
    pods = kubectl.get(namespace, "pods", "--selector", WORKER)
    return sum(c.get("restartCount", 0) for pod in pods for c in pod["status"].get("containerStatuses") or [])


def test_previous_logs_are_of_what_was_restarted_and_none_are_said_to_be_none(verbs, at, namespace, images):
    # A worker whose image is not there never starts, so its container cannot have ended.
    assert verbs(*DEPLOY, f"--set={IMAGE}=no-such-image:0.6.1-stand-in", *at(namespace)).code == 1
    none = verbs("logs", "--previous", "--component=VllmDecodeWorker", *at(namespace))
    assert none.code == 1
    assert "no container of VllmDecodeWorker has been restarted, so there is none before" in none.err
    done = verbs(*DEPLOY, *at(namespace))
    assert done.code == 0, done.err
    before = restarts(namespace)
    (pod,) = (p["metadata"]["name"] for p in kubectl.get(namespace, "pods", "--selector", WORKER))
    kubectl.call(namespace, "exec", pod, "--", "sh", "-c", "kill -TERM 1")
    wait_for(lambda: restarts(namespace) > before, "the worker restarted")
    said = verbs("logs", "--previous", *at(namespace))
    assert said.code == 0, said.err
    assert f"[pod/{pod}/main]" in said.out
