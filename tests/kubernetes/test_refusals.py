"""What a cluster refuses, told by the verbs in one sentence with the fix; and the exit codes of `diff`, of which 1 says that something differs."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator

import pytest
from tests.conftest import wait_for

from ngc import catalog
from ngc.deploy.cluster import kubectl
from ngc.errors import Failed

from .conftest import until_established
from .meeting import one_sentence
from .test_hostile import program  # noqa: F401  # a fixture

CONFIG = ("--config=vllm-agg", "--base=stand-in", "--allow-stand-in")
PLATFORM = "install the Dynamo platform, or deploy plain objects with --to=kubernetes"


@pytest.fixture
def without_the_kind(program) -> str:  # noqa: F811
    """A PATH whose kubectl asks for a version of the kind that no cluster has: to the server that is a kind it does not know."""
    shim = program / "kubectl"
    real = shutil.which("kubectl")
    shim.write_text(
        f"""#!/bin/sh
case " $* " in
  *" -f - "*) sed s,nvidia.com/v1alpha1,nvidia.com/v9, | {real} "$@" ;;
  *) exec {real} "$@" ;;
esac
"""
    )
    shim.chmod(0o755)
    return f"{program}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize(("verb", "code"), [("deploy", 1), ("diff", 2)])
def test_a_kind_that_the_cluster_does_not_have_is_named(
    verbs, at, namespace, crds, images, without_the_kind, verb, code
):
    said = verbs(verb, *CONFIG, *at(namespace), PATH=without_the_kind)
    last = one_sentence(said)
    assert said.code == code, said.err
    assert f"the cluster has no DynamoGraphDeployment of nvidia.com/v9: {PLATFORM}" in last


def test_a_kind_beside_the_graph_is_not_blamed_on_the_platform(verbs, at, namespace, images, tmp_path):
    file = tmp_path / "beside.yaml"
    text = (catalog.ROOT / "configs" / "vllm-agg.yaml").read_text()
    file.write_text(f"{text}\n---\napiVersion: example.com/v1\nkind: Nothing\nmetadata: {{name: beside}}\n")
    said = verbs("deploy", f"--config={file}", *CONFIG[1:], "--to=kubernetes", *at(namespace))
    assert said.code == 1, said.err
    assert "has no Nothing of example.com/v1: install what brings it, or take it out of the config" in one_sentence(
        said
    )


def test_diff_ends_with_more_than_1_when_it_cannot_tell(verbs, at, namespace, images):
    here = f"--context={namespace.context}"
    nowhere = verbs("diff", *CONFIG, "--to=kubernetes", here, "--namespace=ngc-test-not-there")
    assert (nowhere.code, "create namespace ngc-test-not-there" in one_sentence(nowhere)) == (2, True)


def test_a_conflict_is_an_error_of_diff_with_its_owner(verbs, at, namespace, images):
    words = (*CONFIG, "--to=kubernetes", *at(namespace))
    rendered = verbs("render", "--config=vllm-agg", "--base=stand-in", "--to=kubernetes")
    apply = ("apply", "--server-side", "--field-manager=kubectl-somebody", "-f", "-")
    kubectl.ask(namespace, *apply, text=rendered.out)
    said = verbs("diff", *words, "--set=spec.services.Frontend.replicas=2")
    assert said.code == 2, said.err
    assert "kubectl-somebody" in one_sentence(said)
    assert "--force-conflicts" in one_sentence(said)


@pytest.fixture
def converted(cluster) -> Iterator[str]:
    """A kind whose versions a webhook converts that is not there, as a CRD without its operator."""
    group = f"{uuid.uuid4().hex[:6]}.ngc-test.example.com"
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = [
        {"name": n, "served": True, "storage": n == "v1beta1", "schema": schema} for n in ("v1alpha1", "v1beta1")
    ]
    service = {"namespace": cluster.namespace, "name": "not-there"}
    conversion = {
        "strategy": "Webhook",
        "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {"service": service}},
    }
    names = {"kind": "Thing", "plural": "things"}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": versions, "conversion": conversion}
    name = f"things.{group}"
    entry = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name}}
    kubectl.ask(cluster, "create", "-f", "-", text=json.dumps({**entry, "spec": spec}))
    try:
        until_established(cluster, name)
        yield group
    finally:
        kubectl.ask(cluster, "delete", f"crd/{name}", "--wait=false")


def test_a_conversion_that_does_not_answer_is_one_sentence_and_not_a_server_that_is_away(cluster, converted):
    thing = json.dumps({"apiVersion": f"{converted}/v1alpha1", "kind": "Thing", "metadata": {"name": "a"}})

    def refused() -> str:
        with pytest.raises(Failed) as caught:
            kubectl.ask(cluster, "create", "--dry-run=server", "-f", "-", text=thing)
        return str(caught.value)

    # The API server takes a moment until it serves a kind that is established.
    wait_for(lambda: "Thing" in refused() and "has no Thing" not in refused(), "the kind served")
    said = refused()
    assert "the cluster keeps Thing in another version than v1alpha1, and what converts it does not answer" in said
    assert said.endswith(f"Else {PLATFORM}")
    assert "\n" not in said
