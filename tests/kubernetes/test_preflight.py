"""Preflight on a real API server: what it says is so, and the commands it gives do what they promise."""

import base64
import json
import os
import subprocess
from dataclasses import replace

import pytest
from tests.conftest import wait_for

from ngc import catalog
from ngc.asked.configs import Config
from ngc.deploy import prepare
from ngc.deploy.cluster import checking, kubectl, nodes, preflight, secrets
from ngc.errors import Failed


def prepared(config="vllm-agg", *sets, image="dynamo-vllm-runtime:0.6.1-stand-in"):
    return prepare.prepare(catalog.read(), Config(config, sets, image=image))


def checks(cluster, ready, to="kubernetes"):
    return {check.name: check for check in preflight.checks(cluster, ready, to)}


def made(cluster, entry):
    kubectl.ask(cluster, "create", "-f", "-", text=json.dumps(entry))


def paste(fix):
    """Run a fix as a person would who has all rights."""
    done = subprocess.run(["bash", "-c", fix], capture_output=True, text=True)
    assert done.returncode == 0, (fix, done.stderr)


def test_nothing_fails_where_all_is_there(cluster, images):
    found = checks(cluster, prepared(image=images["vllm"]))
    assert [check for check in found.values() if check.state in ("fail", "warn") and check.name != "gpus"] == []
    assert found["image"].state == "pass"
    assert "free per node" in found["gpus"].detail


def test_the_kind_is_served(cluster, crds):
    found = checks(cluster, prepared(), "dgd")
    assert found["crd"].state == "pass"
    assert found["rights"].state == "pass"


def test_a_version_of_the_kind_that_is_not_served_fails(cluster, crds):
    ready = prepared()
    ready.graph.data["apiVersion"] = "nvidia.com/v9"
    found = checks(cluster, ready, "dgd")["crd"]
    assert found.state == "fail"
    assert "is served as v1" in found.detail


def test_a_namespace_that_is_not_there_fails_and_the_fix_makes_it(cluster, namespace):
    other = replace(cluster, namespace=f"{namespace.namespace}-x")
    found = checks(other, prepared())["namespace"]
    assert found.state == "fail"
    try:
        paste(found.fix)
        assert checks(other, prepared())["namespace"].state == "pass"
    finally:
        kubectl.call(cluster, "delete", "namespace", other.namespace, "--wait=false", "--ignore-not-found")


def test_a_user_without_rights_is_told_so_and_the_fix_gives_them(namespace, viewer, monkeypatch):
    monkeypatch.setenv("KUBECONFIG", viewer)
    context = kubectl.choose(None, namespace.namespace).context
    found = checks(replace(namespace, context=context), prepared("vllm-cache"))
    assert [check.name for check in found.values() if check.state == "fail"] == ["rights"]
    assert {found[name].state for name in ("namespace", "gpus", "storage")} == {"warn"}
    assert found["image"].state == "unknown"
    monkeypatch.undo()
    for name in ("rights", "namespace", "storage"):
        paste(found[name].fix.replace(f"--context {context}", f"--context {namespace.context}"))
    monkeypatch.setenv("KUBECONFIG", viewer)
    found = checks(replace(namespace, context=context), prepared("vllm-cache"))
    assert (found["rights"].state, found["namespace"].state) == ("pass", "pass")
    assert found["storage"].state == "fail"  # now it is seen that there is no claim


def test_a_pod_that_waits_for_its_image_holds_its_gpu(namespace):
    gpus = {"nvidia.com/gpu": "1"}
    container = {"name": "main", "image": "registry.invalid/none:1", "resources": {"limits": gpus, "requests": gpus}}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    made(namespace, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "waits"}, "spec": spec})

    def mine():
        return [p for p in nodes.read_pods(checking.ask(namespace, *nodes.PODS)) if p.namespace == namespace.namespace]

    try:
        wait_for(lambda: any(pod.node for pod in mine()), "the pod bound to a node")
        assert [(pod.name, pod.gpus, pod.ready) for pod in mine()] == [("waits", 1, False)]
    finally:
        kubectl.call(namespace, "delete", "pod", "waits", "--now", "--wait=false")


def test_more_gpus_than_there_are_fail_with_what_is_free(cluster):
    found = checks(cluster, prepared("vllm-agg", "spec.services.VllmDecodeWorker.replicas=999"))["gpus"]
    assert found.state == "fail"
    assert "needs VllmDecodeWorker 999 x 1 GPUs; free per node: " in found.detail
    paste(found.fix)


def test_a_claim_is_looked_for_and_the_fix_makes_one(namespace):
    found = checks(namespace, prepared("vllm-cache"))["storage"]
    assert found.state == "fail"
    paste(found.fix)
    after = checks(namespace, prepared("vllm-cache"))["storage"]
    assert after.state in ("pass", "warn")
    assert after.detail.startswith("the claim model-cache is ")


def test_a_storage_class_that_is_not_there_fails(namespace):
    entry = "[{name: model-cache, create: true, size: 1Gi, storageClass: none-such, volumeAccessMode: ReadWriteOnce}]"
    found = checks(namespace, prepared("vllm-cache", f"spec.pvcs={entry}"))["storage"]
    assert found.state == "fail"
    assert "none-such" in found.detail


def test_a_quota_without_room_fails(namespace):
    spec = {"hard": {"requests.nvidia.com/gpu": "0"}}
    made(namespace, {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": spec})
    ready = prepared()
    wait_for(lambda: "quota" in checks(namespace, ready), "a quota in the way")
    assert checks(namespace, ready)["quota"].state == "fail"


def test_secrets_are_made_checked_and_made_again(namespace, capfd):
    token = f"hf_{os.urandom(12).hex()}"
    ready = prepared("vllm-agg", "spec.services.VllmDecodeWorker.envFromSecret=hf-token-secret")
    assert checks(namespace, ready)["secret"].state == "fail"
    for _ in range(2):
        assert secrets.create(namespace, ready, environment={"HF_TOKEN": token}) == ["hf-token-secret"]
    assert checks(namespace, ready)["secret"].state == "pass"
    kept = kubectl.ask(namespace, "get", "secret/hf-token-secret", "--output=jsonpath={.data.HF_TOKEN}").out
    assert base64.b64decode(kept).decode() == token
    said = capfd.readouterr()
    assert token not in said.out + said.err


def test_the_fix_of_a_missing_secret_makes_it_from_the_environment(namespace, monkeypatch):
    ready = prepared("vllm-agg", "spec.services.VllmDecodeWorker.envFromSecret=hf-token-secret")
    monkeypatch.setenv("HF_TOKEN", "some-token")
    paste(checks(namespace, ready)["secret"].fix.partition("; or add")[0])
    assert checks(namespace, ready)["secret"].state == "pass"


def test_a_secret_of_somebody_else_is_left_as_it_is(namespace):
    ready = prepared("vllm-agg", "spec.services.VllmDecodeWorker.envFromSecret=hf-token-secret")
    kubectl.ask(namespace, "create", "secret", "generic", "hf-token-secret", "--from-literal=HF_TOKEN=theirs")
    with pytest.raises(Failed, match="made by somebody else"):
        secrets.create(namespace, ready, environment={"HF_TOKEN": "ours"})
    kept = kubectl.ask(namespace, "get", "secret/hf-token-secret", "--output=jsonpath={.data.HF_TOKEN}").out
    assert base64.b64decode(kept).decode() == "theirs"


def test_a_pull_secret_is_made_of_the_kind_that_kubernetes_takes(namespace):
    ready = prepared(image="nvcr.io/team/ours:1.0.0")
    assert secrets.create(namespace, ready, environment={"NGC_API_KEY": "a-key"}) == [secrets.NGC_SECRET]
    kind = kubectl.ask(namespace, "get", f"secret/{secrets.NGC_SECRET}", "--output=jsonpath={.type}").out
    assert kind == "kubernetes.io/dockerconfigjson"


def test_secrets_for_a_namespace_that_is_not_there_are_one_sentence(cluster):
    with pytest.raises(Failed, match="namespace none-such is not there"):
        secrets.create(replace(cluster, namespace="none-such"), prepared(), ["HF_TOKEN"], {"HF_TOKEN": "x"})


def test_a_pull_secret_of_the_registry_is_recognised(namespace):
    ready = prepared(image="nvcr.io/team/ours:1.0.0")
    secrets.create(namespace, ready, environment={"NGC_API_KEY": "a-key"})
    assert checks(namespace, ready)["pull secret"].state == "pass"
    robot = prepared(
        "vllm-agg", "spec.services.Frontend.extraPodSpec.serviceAccountName=default", image="nvcr.io/team/ours:1.0.0"
    )
    found = checks(namespace, robot)["pull secret"]
    assert found.state == "warn"  # the config's own service account does not name it
    paste(found.fix)
    assert checks(namespace, robot)["pull secret"].state == "pass"


def test_a_server_that_is_away_is_said_so(cluster, tmp_path, monkeypatch):
    view = kubectl.ask(cluster, "config", "view", "--raw", "--minify", "--flatten", "--output", "json").data
    view["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    (tmp_path / "config").write_text(json.dumps(view))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(kubectl.Unreachable, match="does not answer"):
        preflight.checks(cluster, prepared(), "kubernetes")
