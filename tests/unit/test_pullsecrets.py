"""The pull secret of an image's registry is used without being named, and nothing that the config says is changed."""

from __future__ import annotations

import base64
import json

import pytest

from ngc.deploy import edit, render
from ngc.deploy.cluster import pullsecrets, secrets
from ngc.deploy.prepare import Prepared

from .preflighting import CLUSTER, forbidden, kubectl_fixture, prepared_fixture, registries_fixture, row  # noqa: F401

IMAGE = "nvcr.io/team/ours:1.0.0"
POD = "spec.services.Frontend.extraPodSpec"


def login(name, host):
    config = base64.b64encode(json.dumps({"auths": {host: {"password": "x"}}}).encode()).decode()
    return row(name, ".dockerconfigjson=9", secrets.PULL, config)


def settings(ready, made=()):
    return pullsecrets.settings(CLUSTER, ready.graph, made)


@pytest.mark.parametrize("to", ["kubernetes", "dgd"])
def test_every_pod_of_the_registry_uses_it_etcd_and_nats_too(kubectl, prepared, to):
    kubectl.answers({"get secrets ": login("other", "ghcr.io") + login("pull", "nvcr.io")})
    ready = prepared(image=IMAGE)
    graph = edit.apply(ready.graph, settings(ready))
    objects = render.render(Prepared(graph, ready.framework, ready.base, IMAGE), to)
    pods = [e["spec"]["template"]["spec"] for e in objects if e["kind"] == "Deployment"]
    pods += [s["extraPodSpec"] for e in objects for s in (e["spec"].get("services") or {}).values() if to == "dgd"]
    assert len(pods) == (4 if to == "kubernetes" else 2)
    assert [pod["imagePullSecrets"] for pod in pods] == [[{"name": "pull"}]] * len(pods)


def test_one_that_is_about_to_be_made_counts_even_if_none_may_be_listed(kubectl, prepared):
    kubectl.answers({"get secrets ": forbidden("list", "secrets", 'in the namespace "mine"')})
    ready = prepared(image=IMAGE)
    assert settings(ready) == []
    assert len(settings(ready, {secrets.NGC_SECRET: "NGC_API_KEY"})) == 2
    assert settings(prepared(image="ghcr.io/team/ours:1.0.0"), {secrets.NGC_SECRET: "NGC_API_KEY"}) == []


def test_a_config_that_has_its_own_way_keeps_it(kubectl, prepared):
    kubectl.answers({"get secrets ": login("pull", "nvcr.io")})
    for own in (f"{POD}.imagePullSecrets=[{{name: mine}}]", f"{POD}.serviceAccountName=robot"):
        assert not [text for text in settings(prepared("vllm-agg", own, image=IMAGE)) if "Frontend" in text]
    off = f'metadata.annotations["{pullsecrets.DISABLED}"]="true"'
    assert settings(prepared("vllm-agg", off, image=IMAGE)) == []


def test_what_the_service_account_gives_is_not_taken_away(kubectl, prepared):
    """A pod that names one itself is not given those of its account."""
    kubectl.answers({"get secrets ": login("pull", "nvcr.io"), "get serviceaccount/default": "others"})
    assert settings(prepared(image=IMAGE))[0].endswith("imagePullSecrets=[{name: others}, {name: pull}]")
    kubectl.answers({"get secrets ": login("pull", "nvcr.io"), "get serviceaccount/default": "others pull"})
    assert settings(prepared(image=IMAGE)) == []


def test_images_that_the_nodes_have_ask_no_question(kubectl, prepared):
    assert settings(prepared()) == []
    assert kubectl.asked == []
