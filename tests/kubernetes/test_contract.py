"""The contract tests of the images run against a pod too: what a cluster runs is what was tested."""

from __future__ import annotations

import json

import pytest

from ngc.deploy.cluster import kubectl

from .conftest import until_ready


@pytest.mark.parametrize("framework", ["vllm"])
def test_a_pod_of_the_image_passes_the_contract(verbs, namespace, images, framework):
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "contract"},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": images[framework], "command": ["sleep", "infinity"]}],
        },
    }
    kubectl.ask(namespace, "create", "-f", "-", text=json.dumps(pod))
    until_ready(namespace, "contract")
    host = f"kubectl:{namespace.namespace}/contract"
    said = verbs("test", f"--framework={framework}", "--target=runtime", f"--host={host}")
    assert said.code == 0, said.out[-3000:] + said.err[-3000:]
