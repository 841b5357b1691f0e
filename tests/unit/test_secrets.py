"""Secrets that a deploy makes, over a pipe and without a trace, and values that a config should not have."""

import base64
import json
import logging
import re

import pytest

from ngc.deploy import graph as graphs
from ngc.deploy.cluster import secrets
from ngc.errors import Failed, Wrong

from .preflighting import CLUSTER, HIDDEN, kubectl_fixture, prepared_fixture, registries_fixture, with_token  # noqa: F401  # fixtures


def test_secrets_are_made_over_a_pipe_and_leave_no_trace(kubectl, prepared, capfd, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    environment = {"HF_TOKEN": HIDDEN, "NGC_API_KEY": HIDDEN}
    ready = prepared(*with_token(), image="nvcr.io/team/ours:1.0.0")
    assert secrets.create(CLUSTER, ready, environment=environment) == ["hf-token-secret", secrets.NGC_SECRET]
    made = {entry["metadata"]["name"]: entry for entry in json.loads(kubectl.sent)["items"]}
    assert base64.b64decode(made["hf-token-secret"]["data"]["HF_TOKEN"]).decode() == HIDDEN
    pull = made[secrets.NGC_SECRET]
    assert pull["type"] == "kubernetes.io/dockerconfigjson"
    login = json.loads(base64.b64decode(pull["data"][".dockerconfigjson"]))["auths"]["nvcr.io"]
    assert (login["username"], login["password"]) == ("$oauthtoken", HIDDEN)
    assert base64.b64decode(login["auth"]).decode() == f"$oauthtoken:{HIDDEN}"
    said = capfd.readouterr()
    encoded = base64.b64encode(HIDDEN.encode()).decode()
    assert not {HIDDEN, encoded} & set(re.split(r"\W", said.out + said.err + caplog.text))
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "sent"]
    assert not [path for path in left if HIDDEN in path.read_text() or encoded in path.read_text()]
    assert kubectl.asked[-1][4:8] == ["apply", "--server-side", "--field-manager=ngc-dynamo-secrets", "-f"]


def test_only_secrets_that_the_graph_asks_for_are_made(kubectl, prepared):
    assert secrets.create(CLUSTER, prepared(), environment={"HF_TOKEN": HIDDEN, "NGC_API_KEY": HIDDEN}) == []
    assert kubectl.asked == []
    assert secrets.create(CLUSTER, prepared(), ["HF_TOKEN"], {"HF_TOKEN": HIDDEN}) == ["hf-token-secret"]
    other = prepared("vllm-agg", "spec.services.VllmDecodeWorker.envFromSecret=team-token")
    assert secrets.create(CLUSTER, other, environment={"HF_TOKEN": HIDDEN}) == ["team-token"]


@pytest.mark.parametrize("environment", [{}, {"HF_TOKEN": " "}])
def test_a_variable_that_is_not_set_is_a_wrong_call(kubectl, prepared, environment):
    with pytest.raises(Wrong, match="HF_TOKEN, not set here"):
        secrets.create(CLUSTER, prepared(*with_token()), environment=environment)
    with pytest.raises(Wrong, match="choose from: HF_TOKEN, NGC_API_KEY"):
        secrets.create(CLUSTER, prepared(), ["AWS"], environment)
    assert kubectl.asked == []


def test_another_ones_secret_is_not_overwritten(kubectl, prepared):
    err = 'error: Apply failed with 1 conflict: conflict with "kubectl-create": .data.HF_TOKEN\n'
    kubectl.answers({"apply --server-side": ("", err, 1)})
    with pytest.raises(Failed, match="made by somebody else and with another value; delete it first"):
        secrets.create(CLUSTER, prepared(*with_token()), environment={"HF_TOKEN": HIDDEN})


def test_what_a_server_says_of_a_refused_secret_is_not_repeated(kubectl, prepared):
    kubectl.answers({"apply --server-side": (HIDDEN, f"The Secret is invalid: data: Invalid value: {HIDDEN}\n", 1)})
    with pytest.raises(Failed) as raised:
        secrets.create(CLUSTER, prepared(*with_token()), environment={"HF_TOKEN": HIDDEN})
    assert HIDDEN not in str(raised.value)


def test_secrets_written_into_a_config_are_found_with_their_line_and_without_their_value(root, tmp_path):
    text = (root / "configs" / "vllm-agg.yaml").read_text()
    text = text.replace(
        "backendFramework: vllm", f"backendFramework: vllm\n  envs:\n    - {{name: HF_TOKEN, value: {HIDDEN}}}", 1
    )
    text += f"---\napiVersion: v1\nkind: Secret\nmetadata: {{name: x}}\nstringData: {{A: {HIDDEN}}}\n"
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    found = secrets.literal_secrets(graphs.load(path))
    line = text.splitlines().index(f"    - {{name: HF_TOKEN, value: {HIDDEN}}}") + 1
    assert found == [f"HF_TOKEN (line {line})", "Secret x"]


@pytest.mark.parametrize(
    ("name", "value", "literal"),
    [
        ("HF_TOKEN", HIDDEN, True),
        ("NGC_API_KEY", HIDDEN, True),
        ("AWS_SECRET_ACCESS_KEY", HIDDEN, True),
        ("DB_PASSWORD", HIDDEN, True),
        ("api_token_2", HIDDEN, True),
        ("HF_TOKEN", "", False),
        ("HF_TOKEN", "$(OTHER)", False),
        ("SSH_KEY", "/etc/ssh/key", False),
        ("MAX_TOKENS", "8", False),
        ("VLLM_TOKENIZER", "x", False),
        ("KEYS_PER_BLOCK", "4", False),
        ("HF_HOME", "/models", False),
        ("HUGGINGFACE", "hf_abcdefghijklmnop", True),
        ("HEADERS", "Authorization: Bearer nvapi-abcdefghijklmnop", True),
        ("OPENAI", "sk-proj-abcdefghijklmnop", True),
        ("WHO", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", True),
        ("AWS", "AKIAIOSFODNN7EXAMPLE", True),
        ("URL", "https://me:ghp_abcdefghijklmnopqrstuvwxyz@example.com", True),
        ("MODEL_PATH", "/models/hf_transformers_cache", False),
        ("ROUTER", "risk-aware-scheduling-policy", False),
        ("HF_HUB_ENABLE_HF_TRANSFER", "1", False),
    ],
)
def test_a_variable_is_a_secret_by_its_name_or_value_and_only_with_one(name, value, literal):
    assert secrets._literal(name, value) is literal


def test_a_secret_of_a_sidecar_is_found_too(prepared):
    ready = prepared(
        "vllm-agg",
        f"spec.services.Frontend.extraPodSpec.containers=[{{name: side, env: [{{name: MY_TOKEN, value: {HIDDEN}}}]}}]",
    )
    assert [text.partition(" ")[0] for text in secrets.literal_secrets(ready.graph)] == ["MY_TOKEN"]


def test_a_token_anywhere_else_is_found_by_its_place(prepared):
    main = "spec.services.VllmDecodeWorker.extraPodSpec.mainContainer"
    ready = prepared("vllm-agg", f"{main}.args[+]=--hf-token=hf_abcdefghijklmnop")
    (found,) = secrets.literal_secrets(ready.graph)
    assert found.startswith(f"{main}.args[")
    assert "hf_abc" not in found


def test_secrets_are_labelled_as_ours_and_planned_before_they_are_made(kubectl, prepared):
    ready = prepared(*with_token(), image="nvcr.io/team/ours:1.0.0")
    environment = {"HF_TOKEN": HIDDEN, "NGC_API_KEY": HIDDEN}
    planned = secrets.planned(ready.graph, environment=environment)
    assert planned == {"hf-token-secret": "HF_TOKEN", secrets.NGC_SECRET: "NGC_API_KEY"}
    assert kubectl.asked == []
    assert secrets.create(CLUSTER, ready, environment=environment) == list(planned)
    labels = [entry["metadata"]["labels"] for entry in json.loads(kubectl.sent)["items"]]
    assert labels == [{"app.kubernetes.io/managed-by": "ngc-dynamo"}] * 2


def test_our_own_configs_have_no_secret(root):
    for path in (root / "configs").glob("*.yaml"):
        assert secrets.literal_secrets(graphs.load(path)) == []
