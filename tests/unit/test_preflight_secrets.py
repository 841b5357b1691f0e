"""What the preflight says of secrets: those that services read, and those that images are pulled with."""

import base64
import json
import logging
import re

import pytest

from ngc.deploy.cluster import secrets
from ngc.deploy.cluster.images import Published
from ngc.errors import Failed

from .preflighting import (  # noqa: F401  # fixtures
    HIDDEN,
    forbidden,
    kubectl_fixture,
    named,
    prepared_fixture,
    registries_fixture,
    row,
    run,
    states,
    with_token,
)


def config(host):
    return base64.b64encode(json.dumps({"auths": {host: {"password": HIDDEN}}}).encode()).decode()


def test_a_secret_must_be_there_with_its_key_and_a_value(kubectl, prepared):
    def said(text):
        kubectl.answers({"get secrets ": text})
        return named(run(prepared(*with_token())), "secret")

    assert said("").state == "fail"
    assert "in namespace mine" in said("").detail
    assert 'printf %s "$HF_TOKEN" | kubectl --context here --namespace mine create secret generic' in said("").fix
    assert "--create-secrets" in said("").fix
    assert "no HF_TOKEN" in said(row("hf-token-secret", "OTHER=8")).detail
    assert "an empty HF_TOKEN" in said(row("hf-token-secret", "HF_TOKEN=0")).detail
    assert said(row("hf-token-secret", "HF_TOKEN=40")).state == "pass"


def test_a_secret_may_be_read_by_name_where_they_may_not_be_listed(kubectl, prepared):
    no = forbidden("list", "secrets", 'in the namespace "mine"')
    kubectl.answers({"get secrets ": no, "get secret/hf-token-secret": row("hf-token-secret", "HF_TOKEN=40")})
    assert named(run(prepared(*with_token())), "secret").state == "pass"
    kubectl.answers(
        {"get secrets ": no, "get secret/hf-token-secret": forbidden("get", "secrets", 'in the namespace "mine"')}
    )
    found = named(run(prepared(*with_token())), "secret")
    assert found.state == "warn"
    assert "--namespace mine create role get-secrets" in found.fix


def test_secrets_that_single_variables_come_from_are_looked_for(kubectl, prepared):
    entry = "{name: X, valueFrom: {secretKeyRef: {name: mine-only, key: PASS}}}"
    found = run(prepared("vllm-agg", f"spec.envs=[{entry}]"))
    assert "mine-only is not in namespace mine" in named(found, "secret").detail
    optional = entry.replace("key: PASS", "key: PASS, optional: true")
    assert "secret" not in states(run(prepared("vllm-agg", f"spec.envs=[{optional}]")))


def test_no_value_of_a_secret_is_asked_for_but_logins_of_registries(kubectl, prepared):
    run(prepared(*with_token()))
    words = next(words for words in kubectl.asked if "secrets" in words)
    template = words[-2] if words[-1].startswith("--request-timeout") else words[-1]
    assert re.findall(r"\$value\b", template) == ["$value", "$value"]
    assert "{{len $value}}" in template
    assert 'eq .type "kubernetes.io/dockerconfigjson"' in template


@pytest.mark.parametrize("host", ["nvcr.io", "https://nvcr.io", "nvcr.io/v2/"])
def test_a_pull_secret_is_found_by_its_registry(kubectl, prepared, registries, host, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    registries(Failed("nvcr.io wants a login"))
    ready = prepared(image="nvcr.io/team/ours:1.0.0")
    assert named(run(ready), "pull secret").state == "warn"
    assert named(run(ready), "pull secret").fix == "add --create-secrets, with NGC_API_KEY set"
    text = row("any-name", ".dockerconfigjson=99", secrets.PULL, config(host))
    kubectl.answers({"get secrets ": text})
    found = named(run(ready), "pull secret")
    assert (found.state, found.detail) == ("pass", "any-name is for nvcr.io")
    said = capfd.readouterr()
    assert HIDDEN not in said.out + said.err + caplog.text
    assert config(host) not in said.out + said.err + caplog.text


def test_plain_objects_use_the_pull_secret_unless_the_config_says_otherwise(kubectl, prepared, registries):
    registries(None)
    kubectl.answers({"get secrets ": row("pull", ".dockerconfigjson=9", secrets.PULL, config("nvcr.io"))})

    def said(*sets):
        return named(run(prepared("vllm-agg", *sets, image="nvcr.io/team/ours:1.0.0"), "kubernetes"), "pull secret")

    assert said().state == "pass"
    assert said("spec.services.Frontend.extraPodSpec.imagePullSecrets=[{name: pull}]").state == "pass"
    other = said("spec.services.Frontend.extraPodSpec.imagePullSecrets=[{name: other}]")
    assert (other.state, "Frontend names other" in other.detail) == ("warn", True)
    account = said("spec.services.Frontend.extraPodSpec.serviceAccountName=robot")
    assert (account.state, "patch serviceaccount/robot" in account.fix) == ("warn", True)


def test_an_image_that_all_may_read_wants_no_pull_secret(kubectl, prepared, registries):
    registries(Published(("linux/amd64",), "", False, True))
    found = run(prepared(image="ghcr.io/team/ours:1.0.0"))
    assert (states(found)["pull secret"], states(found)["image"]) == ("pass", "pass")
