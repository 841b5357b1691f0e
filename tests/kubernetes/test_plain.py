"""Every config that fits one node, as plain objects: deployed, serving by the path it promises, gone without a trace."""

from __future__ import annotations

import json

import pytest

from ngc import catalog
from ngc.deploy import graph
from ngc.deploy.cluster import kubectl

from .meeting import PATIENT
from .volumes import model_cache  # noqa: F401  # a fixture

DISAGGREGATED = ("vllm-disagg", "vllm-disagg-rdma", "trtllm-disagg")
# Devices that a node of the test does not have.
WITHOUT_HARDWARE = {
    "vllm-disagg-rdma": [
        "--set=spec.envs[0].value=all",
        '--set=spec.services.VllmDecodeWorker.resources.limits={gpu: "1"}',
        '--set=spec.services.VllmDecodeWorker.resources.requests={gpu: "1"}',
        '--set=spec.services.VllmPrefillWorker.resources.limits={gpu: "1"}',
        '--set=spec.services.VllmPrefillWorker.resources.requests={gpu: "1"}',
    ]
}


def single_node() -> list[str]:
    paths = sorted((catalog.ROOT / "configs").glob("*.yaml"))
    return [path.stem for path in paths if all(service.nodes == 1 for service in graph.load(path).services)]


@pytest.mark.parametrize("config", single_node())
def test_a_config_serves_as_it_promises(verbs, at, namespace, images, request, config):
    if graph.load(catalog.ROOT / "configs" / f"{config}.yaml").claims:
        request.getfixturevalue("model_cache")
    done = verbs(
        "deploy", f"--config={config}", "--to=kubernetes", "--base=stand-in", "--allow-stand-in", PATIENT,
        *WITHOUT_HARDWARE.get(config, []), *at(namespace),
    )  # fmt: skip
    assert done.code == 0, done.err
    smoke = verbs("smoke", "--json", *at(namespace))
    data = json.loads(smoke.out)
    assert (smoke.code, data["healthy"], data["problems"]) == (0, True, [])
    words = {answer["first_word"] for answer in data["answers"].values()}
    assert words == {"transferred" if config in DISAGGREGATED else "local"}


def test_undeploy_leaves_only_what_was_there_before(verbs, at, namespace, images):
    words = at(namespace)
    done = verbs("deploy", "--config=trtllm", "--to=kubernetes", "--base=stand-in", "--allow-stand-in", *words)
    assert done.code == 0, done.err
    gone = verbs("undeploy", *words)
    assert gone.code == 0, gone.err
    left = kubectl.get(namespace, "deployments,replicasets,pods,services,configmaps,persistentvolumeclaims")
    assert [entry["metadata"]["name"] for entry in left] == ["kube-root-ca.crt"]
    again = verbs("undeploy", *words)
    assert again.code == 2
    assert "nothing of ours is deployed" in again.err
