"""A model on a claim: filled once from a folder of this machine, served offline from there."""

from __future__ import annotations

import json
import subprocess

import pytest

from ngc import catalog
from ngc.asked.configs import Config
from ngc.deploy import graph, prepare
from ngc.deploy.cluster import kubectl, modelcache
from ngc.errors import Wrong

from .conftest import until_ready
from .meeting import PATIENT
from .volumes import model_cache  # noqa: F401  # a fixture

DEPLOY = ("deploy", "--config=vllm-cache", "--to=kubernetes", "--base=stand-in", "--allow-stand-in", PATIENT)


@pytest.fixture
def folder(namespace, images, tmp_path):
    """A model folder of this machine: the stand-in's own, out of a pod."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "model"},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": images["vllm"], "command": ["sleep", "infinity"]}],
        },
    }
    kubectl.ask(namespace, "create", "-f", "-", text=json.dumps(pod))
    until_ready(namespace, "model")
    target = tmp_path / "my-model"
    target.mkdir()
    packed = subprocess.run(
        [*namespace.words, "exec", "model", "--", "tar", "-C", "/opt/stand-in/model", "-cf", "-", "."], check=True, capture_output=True
    )  # fmt: skip
    subprocess.run(["tar", "-C", str(target), "-xf", "-"], input=packed.stdout, check=True)
    kubectl.ask(namespace, "delete", "pod", "model", "--wait=false")
    return target


@pytest.mark.usefixtures("model_cache")
def test_a_folder_fills_the_claim_once_and_is_served_from_it(verbs, at, namespace, folder):
    done = verbs(*DEPLOY, f"--fill-cache={folder}", *at(namespace))
    assert done.code == 0, done.err
    assert "/models/my-model: 0.00 GB" in done.err
    data = json.loads(verbs("status", "--json", *at(namespace)).out)
    assert (data["healthy"], data["models"]) == (True, ["my-model"])
    again = verbs(*DEPLOY, f"--fill-cache={folder}", *at(namespace))
    assert again.code == 0, again.err
    assert "/models/my-model is there already" in again.err
    left = kubectl.get(namespace, "pods", "--selector", modelcache.LABEL)
    assert all("deletionTimestamp" in pod["metadata"] for pod in left)


def test_a_folder_that_is_no_model_is_refused(verbs, at, namespace, tmp_path, images):
    said = verbs(*DEPLOY, f"--fill-cache={tmp_path}", *at(namespace))
    assert said.code == 2
    assert "write hub, or a folder with a model" in said.err


def test_a_config_without_a_claim_has_nothing_to_fill():
    prepared = prepare.prepare(catalog.read(), Config("vllm-agg"))
    with pytest.raises(Wrong, match="no claim is mounted at one path by every service"):
        modelcache.with_folder(prepared, modelcache.HUB)


def test_the_download_asks_for_the_config_s_models_with_a_token_by_name_and_not_offline():
    one = graph.load(graph.find("vllm-cache"))
    pod = modelcache._pod(one, modelcache.claim_of(one), "image", ["python3"])
    container = pod["spec"]["containers"][0]
    names = {entry["name"] for entry in container["env"]}
    assert "HF_HOME" in names
    assert "HF_HUB_OFFLINE" not in names
    assert container["envFrom"] == [{"secretRef": {"name": "hf-token-secret", "optional": True}}]


def test_the_download_is_a_job_that_may_run_where_the_workers_may():
    worker = "spec.services.VllmDecodeWorker.extraPodSpec"
    spec = {
        "imagePullSecrets": [{"name": "ngc"}],
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "nodeSelector": {"pool": "gpu"},
    }
    sets = [f"{worker}.{key}={json.dumps(value)}" for key, value in spec.items()]
    one = prepare.prepare(catalog.read(), Config("vllm-cache", sets)).graph
    job = modelcache._job(modelcache._pod(one, modelcache.claim_of(one), "image", ["python3"]))
    assert (job["kind"], job["apiVersion"], job["spec"]["backoffLimit"]) == ("Job", "batch/v1", 0)
    assert {key: job["spec"]["template"]["spec"][key] for key in spec} == spec


def test_the_name_that_hugging_face_has_is_downloaded_and_not_the_one_that_is_served():
    args = "spec.services.VllmDecodeWorker.extraPodSpec.mainContainer.args[+]"
    prepared = prepare.prepare(catalog.read(), Config("vllm-cache", [f"{args}=--served-model-name", f"{args}=mine"]))
    assert modelcache._of_the_hub(prepared) == ["Qwen/Qwen3-0.6B"]


PYTHON = "/models/python"  # on the claim: what a test lets the download import
HUB = f"""
import pathlib, sys
def snapshot_download(model):
    print("asking for", model, file=sys.stderr)
    if pathlib.Path("{PYTHON}/says-no").exists():
        raise ValueError("the hub has no such model")
    return "/models/" + model
"""


@pytest.fixture
def hub(namespace, images, model_cache):  # noqa: F811
    """Write a file to the claim; without any there is no hub, for the stand-in has no huggingface_hub."""
    volume = {"name": "cache", "persistentVolumeClaim": {"claimName": "model-cache"}}
    container = {
        "name": "main", "image": images["vllm"], "command": ["sleep", "infinity"],
        "volumeMounts": [{"name": "cache", "mountPath": "/models"}],
    }  # fmt: skip
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container], "volumes": [volume]}
    entry = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "writer"}, "spec": spec}
    kubectl.ask(namespace, "create", "-f", "-", text=json.dumps(entry))
    until_ready(namespace, "writer")
    inside = ("exec", "--stdin", "writer", "--", "sh", "-c")

    def write(name: str, text: str) -> None:
        kubectl.ask(namespace, *inside, f"mkdir -p {PYTHON} && cat > {PYTHON}/{name}", text=text)

    return write


def test_a_download_that_fails_ends_the_deploy_with_its_last_line_and_the_next_one_goes_on(verbs, at, namespace, hub):
    words = (*DEPLOY, "--fill-cache=hub", f"--set=spec.envs[+]={{name: PYTHONPATH, value: {PYTHON}}}", *at(namespace))
    none = verbs(*words)
    assert none.code == 1, none.err
    last = none.err.strip().splitlines()[-1]
    assert "ModuleNotFoundError: No module named 'huggingface_hub': the image has no Python module" in last
    assert "Traceback" not in none.err
    hub("huggingface_hub.py", HUB)
    hub("says-no", "")
    refused = verbs(*words)
    assert refused.code == 1, refused.err
    assert "does not come so far: Failed: ValueError: the hub has no such model" in refused.err
    assert kubectl.get(namespace, "deployments") == []
    kubectl.ask(namespace, "exec", "writer", "--", "rm", f"{PYTHON}/says-no")
    done = verbs(*words)
    assert done.code == 0, done.err
    assert "Qwen/Qwen3-0.6B is in /models/Qwen/Qwen3-0.6B" in done.err
    again = verbs(*words)
    assert again.code == 0, again.err
    assert "Qwen/Qwen3-0.6B was there already" in again.err
    left = kubectl.get(namespace, "jobs,pods", "--selector", modelcache.LABEL)
    assert all("deletionTimestamp" in entry["metadata"] for entry in left)
