"""A DynamoGraphDeployment through the operator, or its double: served as promised, and never "ready" when requests would fail."""

from __future__ import annotations

import json

import pytest

from ngc.deploy.cluster import kubectl

from .meeting import PATIENT

DISAGGREGATED = ("vllm-disagg", "trtllm-disagg")


def deploy(verbs, *words: str):
    return verbs("deploy", "--base=stand-in", "--allow-stand-in", PATIENT, *words)


@pytest.mark.parametrize("config", ["vllm-disagg", "trtllm-disagg", "vllm-router"])
def test_a_graph_serves_as_it_promises(verbs, at, namespace, operator, config):
    done = deploy(verbs, f"--config={config}", *at(namespace))
    assert done.code == 0, done.err
    data = json.loads(verbs("smoke", "--json", *at(namespace)).out)
    assert (data["healthy"], data["to"]) == (True, "dgd")
    words = {answer["first_word"] for answer in data["answers"].values()}
    assert words == {"transferred" if config in DISAGGREGATED else "local"}


def test_what_only_a_component_says_is_the_cause(verbs, at, namespace, operator):
    """The graph itself says nothing of use. Lint would refuse this one, so the file allows it."""
    said = verbs(
        "deploy", "--config=vllm-agg", "--image=dynamo-vllm-runtime:0.6.1-stand-in", "--allow-stand-in", "--timeout=100",
        "--set=spec.pvcs=[{name: no-such-claim, create: false}]", *at(namespace),
    )  # fmt: skip
    assert said.code == 1
    assert "no-such-claim" in said.err
    assert "Traceback" not in said.err


def test_an_update_that_the_operator_calls_successful_is_seen_to_fail(verbs, at, namespace, operator):
    """dynamo#3567: Ready and successful all through, with an image that does not exist."""
    assert deploy(verbs, "--config=vllm-agg", *at(namespace)).code == 0
    bad = deploy(verbs, "--config=vllm-agg", "--image=no-such-image:0.6.1-stand-in", *at(namespace))
    graph = kubectl.get(namespace, "dynamographdeployments.nvidia.com/vllm-agg")[0]
    if not operator.real:
        assert graph["status"]["state"] == "successful"
    assert bad.code == 1
    assert "no-such-image:0.6.1-stand-in" in bad.err
    assert verbs("status", *at(namespace)).code == 1
    assert verbs("rollback", *at(namespace)).code == 0
    assert verbs("status", *at(namespace)).code == 0


def test_a_typo_names_every_field_and_changes_nothing(verbs, at, namespace, operator, tmp_path):
    from ngc import catalog

    text = (catalog.ROOT / "configs" / "vllm-agg.yaml").read_text()
    # Our own lint knows these too; here the server is asked.
    text = "# allow unknown-field: the server is to say it\n" + text
    text = text.replace("periodSeconds: 5", "periodSeconds: 5\n        periodSecond: 2")
    text = text.replace("lifecycle: &drain", "lifecylce: &drain")
    file = tmp_path / "typo.yaml"
    file.write_text(text)
    said = deploy(verbs, f"--config={file}", *at(namespace))
    assert said.code == 2
    assert "periodSecond" in said.err
    assert "lifecylce" in said.err
    assert kubectl.get(namespace, "dynamographdeployments.nvidia.com") == []


def test_undeploy_says_what_holds_a_graph_and_finishes_later(verbs, at, namespace, operator):
    assert deploy(verbs, "--config=vllm-agg", *at(namespace)).code == 0
    with operator.without_etcd():
        held = verbs("undeploy", *at(namespace), "--timeout=15")
        assert held.code == 1
        assert "waits for nvidia.com/finalizer; can the operator reach its etcd?" in held.err
    gone = verbs("undeploy", *at(namespace), PATIENT)
    assert gone.code == 0, gone.err
    assert kubectl.get(namespace, "deployments,pods,dynamocomponentdeployments.nvidia.com") == []
