"""What a deploy may change of what is there: never the form under what serves, never what others decide; and every end says what was."""

from __future__ import annotations

import json
import subprocess

import pytest
from tests.conftest import ROOT

from ngc.deploy.cluster import kubectl
from ngc.deploy.cluster.observing import DGD

from .configs import changed

BASE = ("--base=stand-in", "--allow-stand-in")
PLAIN = ("deploy", "--config=vllm-agg", *BASE, "--to=kubernetes")
FRONTEND, WORKER = "vllm-agg-frontend", "vllm-agg-vllmdecodeworker"
BAD = "--image=no-such-image:0.6.1-stand-in"
TOKEN = "--set=spec.services.VllmDecodeWorker.envFromSecret=hf-token-secret"


def last(said) -> str:
    return said.err.strip().splitlines()[-1]


def generations(cluster) -> dict[str, tuple[str, int]]:
    found = kubectl.get(cluster, "deployments.apps")
    return {e["metadata"]["name"]: (e["metadata"]["uid"], e["metadata"]["generation"]) for e in found}


def names(cluster, kinds: str) -> set[str]:
    return {entry["metadata"]["name"] for entry in kubectl.get(cluster, kinds)}


def test_plain_objects_are_not_replaced_by_a_graph_and_undeploy_removes_all_forms(verbs, at, namespace, crds, images):
    """A revision of before that was refused may have left the other form."""
    assert verbs(*PLAIN, *at(namespace)).code == 0
    before = generations(namespace)
    for more in ((), ("--plan",), ("--force-conflicts",)):
        said = verbs("deploy", "--config=vllm-agg", *BASE, *more, *at(namespace))
        assert said.code == 2
        assert "vllm-agg is there as plain objects (revision 1, serving)" in last(said)
        assert "--to=kubernetes keeps it so, `invoke undeploy --config=vllm-agg " in last(said)
    assert verbs("diff", "--config=vllm-agg", *BASE, *at(namespace)).code == 2
    assert generations(namespace) == before
    assert kubectl.get(namespace, DGD) == []
    labels = {"ngc-dynamo/graph": "vllm-agg", "app.kubernetes.io/managed-by": "ngc-dynamo"}
    spec = {"services": {"Frontend": {"componentType": "frontend", "replicas": 1}}}
    graph = {
        "apiVersion": "nvidia.com/v1alpha1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": "vllm-agg", "labels": labels},
        "spec": spec,
    }
    kubectl.ask(namespace, "create", "-f", "-", text=json.dumps(graph))
    assert verbs("undeploy", *at(namespace)).code == 0
    assert kubectl.get(namespace, f"{DGD}") == []
    assert names(namespace, "deployments.apps,services") == set()


def test_a_version_of_the_api_that_is_not_served_is_refused(verbs, at, namespace, crds, images):
    served = kubectl.ask(namespace, "get", "--raw", "/apis/nvidia.com").data["versions"]
    if "v1beta1" in {version["version"] for version in served}:
        pytest.skip("the cluster serves v1beta1")
    for words in (("deploy", "--config=vllm-agg", *BASE), ("diff", "--config=vllm-agg", *BASE)):
        said = verbs(*words, "--api=v1beta1", *at(namespace))
        assert (said.code, "serves no nvidia.com/v1beta1; leave the flag out" in last(said)) == (2, True)
    plain = verbs(*PLAIN, "--api=v1beta1", *at(namespace))
    assert (plain.code, "--api=v1beta1 is for --to=dgd" in last(plain)) == (2, True)
    assert kubectl.get(namespace, DGD) == []


def test_a_graph_is_not_replaced_by_plain_objects(verbs, at, namespace, operator):
    assert verbs("deploy", "--config=vllm-agg", *BASE, *at(namespace)).code == 0
    before = generations(namespace)
    for more in ((), ("--force-conflicts",)):
        said = verbs(*PLAIN, *more, *at(namespace))
        assert said.code == 2
        assert "is there as a DynamoGraphDeployment (revision 1, serving)" in last(said)
        assert "--to=dgd keeps it so" in last(said)
    # Nor where no revision tells of it.
    kubectl.ask(namespace, "delete", "configmaps", "--selector", "ngc-dynamo/revision")
    said = verbs(*PLAIN, "--force-conflicts", *at(namespace))
    assert said.code == 2
    assert "belongs to DynamoComponentDeployment" in last(said)
    assert generations(namespace) == before


def test_replicas_that_any_program_owns_are_left_to_it(verbs, at, namespace, images):
    """Fewer than the config says: they are what there is to be waited for."""
    assert verbs(*PLAIN, *at(namespace)).code == 0
    patch = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": WORKER}, "spec": {"replicas": 1}}
    words = ("apply", "--server-side", "--force-conflicts", "--field-manager=terraform", "-f", "-")
    kubectl.ask(namespace, *words, text=json.dumps(patch))
    two = "--set=spec.services.VllmDecodeWorker.replicas=2"
    said = verbs(*PLAIN, two, *at(namespace))
    assert said.code == 0, said.err
    left = f"replicas of {WORKER} are left to terraform (1); --force-conflicts takes them back"
    assert left in said.err.splitlines()
    assert kubectl.get(namespace, f"deployment/{WORKER}")[0]["spec"]["replicas"] == 1
    assert verbs("status", *at(namespace)).code == 0
    assert left in verbs(*PLAIN, two, "--plan", *at(namespace)).out.splitlines()
    forced = verbs(*PLAIN, two, "--force-conflicts", *at(namespace))
    assert forced.code == 0, forced.err
    assert kubectl.get(namespace, f"deployment/{WORKER}")[0]["spec"]["replicas"] == 2


def test_a_failure_ends_with_what_was_changed_and_what_takes_it_back(verbs, at, namespace, images):
    where = f"--config=vllm-agg --context={namespace.context} --namespace={namespace.namespace}"
    first = verbs(*PLAIN, BAD, *at(namespace))
    assert first.code == 1
    assert last(first).endswith(f"; revision 1 is applied and stays, `invoke undeploy {where}` removes it")
    assert verbs(*PLAIN, *at(namespace)).code == 0
    late = verbs(*PLAIN, BAD, "--timeout=1", *at(namespace))
    assert late.code == 1
    stays = f"; revision 3 is applied and stays, `invoke rollback --revision=2 {where}` brings revision 2 back"
    assert last(late).endswith(stays)
    again = verbs(*PLAIN, BAD, *at(namespace))
    assert "revision 3 of vllm-agg is unchanged; waiting until it serves" in again.err
    assert last(again).endswith(stays)
    assert verbs("rollback", *at(namespace)).code == 0
    kept = [e["data"] for e in kubectl.get(namespace, "configmap/vllm-agg-revision-4")]
    second = verbs("rollback", *at(namespace))
    assert second.code == 0
    assert "revision 4 of vllm-agg is unchanged; waiting until it serves" in second.err
    assert [e["data"] for e in kubectl.get(namespace, "configmap/vllm-agg-revision-4")] == kept
    assert names(namespace, "configmaps") >= {f"vllm-agg-revision-{number}" for number in (1, 2, 3, 4)}


def test_secrets_are_made_last_of_all_checks_and_said_and_stay(verbs, at, namespace, images):
    words, token = (*PLAIN, TOKEN, "--create-secrets"), {"HF_TOKEN": "hf_notarealtoken"}
    unset = verbs(*words, *at(namespace), HF_TOKEN="")
    assert (unset.code, "HF_TOKEN, not set here" in last(unset)) == (2, True)
    large = verbs(*words, "--set=spec.services.VllmDecodeWorker.replicas=500", *at(namespace), **token)
    assert large.code == 1
    assert last(large).endswith("nothing was changed")
    assert "hf-token-secret" not in names(namespace, "secrets")
    bad = verbs(*words, BAD, "--timeout=1", *at(namespace), **token)
    assert "made     Secret hf-token-secret, from the variable HF_TOKEN" in bad.err
    assert "; the Secret hf-token-secret was made, revision 1 is applied and stays, " in last(bad)
    assert "hf_notarealtoken" not in bad.err + bad.out
    gone = verbs("undeploy", *at(namespace))
    assert gone.code == 0, gone.err
    assert last(gone).startswith("vllm-agg is gone; what --create-secrets made stays, for others may use it: `kubectl ")
    assert "delete secrets hf-token-secret" in last(gone)
    assert "hf-token-secret" in names(namespace, "secrets")


def test_the_steps_of_a_plan_can_be_done_by_hand(verbs, at, namespace, images):
    token = {"HF_TOKEN": "hf_notarealtoken"}
    said = verbs(*PLAIN, TOKEN, "--create-secrets", "--plan", *at(namespace), **token)
    assert said.code == 0, said.err
    assert "..." not in said.out
    assert str(namespace) not in said.out  # stderr has said where
    steps = [line.strip() for line in said.out.splitlines() if line.startswith("    ")]
    assert [words.partition(" ")[0] for words in steps] == ["printf", "invoke"]
    assert names(namespace, "deployments.apps,secrets") == set()
    by_hand(steps, verbs, token)
    kept = kubectl.get(namespace, "secret/hf-token-secret")[0]["data"]
    assert list(kept) == ["HF_TOKEN"]
    assert names(namespace, "deployments.apps") == {
        f"vllm-agg-{n}" for n in ("etcd", "nats", "frontend", "vllmdecodeworker")
    }
    same = verbs("diff", *PLAIN[1:], TOKEN, *at(namespace))
    assert (same.code, same.out) == (0, ""), same.out
    assert verbs(*PLAIN, TOKEN, *at(namespace)).code == 0
    unchanged = verbs(*PLAIN, TOKEN, "--plan", *at(namespace)).out
    assert "revision 1 is unchanged" in unchanged.splitlines()


def test_a_plan_removes_what_the_config_no_longer_has_and_keeps_claims(verbs, at, namespace, images, tmp_path):
    def two(services):
        services["Second"] = json.loads(json.dumps(services["VllmDecodeWorker"]))

    file = changed(tmp_path, "vllm-agg", two)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "beside"}}
    path = tmp_path / "vllm-agg.yaml"
    path.write_text(f"{path.read_text()}---\n{json.dumps(account)}\n")
    assert verbs("deploy", file, *PLAIN[2:], *at(namespace)).code == 0
    assert "beside" in names(namespace, "serviceaccounts")
    out = verbs(*PLAIN, "--plan", *at(namespace)).out
    assert "then remove deployment.apps/vllm-agg-second, serviceaccount/beside" in out.splitlines()
    one = verbs(*PLAIN, *at(namespace))
    assert one.code == 0, one.err
    assert "beside" not in names(namespace, "serviceaccounts")


def test_a_pull_secret_that_is_there_is_used_by_every_pod(verbs, at, namespace, images):
    login = {"auths": {"registry.invalid": {"username": "me", "password": "x"}}}
    words = ("--type=kubernetes.io/dockerconfigjson", "--from-file=.dockerconfigjson=/dev/stdin")
    kubectl.ask(namespace, "create", "secret", "generic", "pull", *words, text=json.dumps(login))
    said = verbs(*PLAIN, "--image=registry.invalid/no-such-image:0.6.1-stand-in", "--timeout=1", *at(namespace))
    assert "pass     pull secret: pull is for registry.invalid" in said.err
    found = kubectl.get(namespace, "deployments.apps")
    pods = [e["spec"]["template"]["spec"].get("imagePullSecrets") for e in found]
    assert pods == [[{"name": "pull"}]] * 4


def by_hand(steps: list[str], verbs, environment: dict[str, str]) -> None:
    """Run commands as a person would in a shell; `invoke` is the one of these tests."""
    for step in steps:
        done = subprocess.run(
            ["bash", "-ec", f"set -o pipefail; {step}"], env={**verbs.environment, **environment}, cwd=ROOT,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"{step}: {done.stderr}"


@pytest.mark.parametrize("to", ["kubernetes", "dgd"])
def test_a_conflict_names_the_objects(verbs, at, namespace, operator, to):
    words = (*PLAIN[:-1], f"--to={to}")
    assert verbs(*words, *at(namespace)).code == 0
    if to == "dgd":
        patch = '{"spec": {"services": {"VllmDecodeWorker": {"replicas": 2}}}}'
        kubectl.ask(namespace, "patch", f"{DGD}/vllm-agg", "--type=merge", "--patch", patch)
        wanted = "owns .spec.services.VllmDecodeWorker.replicas of DynamoGraphDeployment vllm-agg; --force"
    else:
        kubectl.ask(namespace, "scale", f"deployment/{FRONTEND}", f"deployment/{WORKER}", "--replicas=2")
        wanted = f"kubectl owns .spec.replicas of Deployment {FRONTEND}, Deployment {WORKER}; --force"
    said = verbs(*words, *at(namespace))
    assert said.code == 1
    assert wanted in last(said)
    assert last(said).endswith("nothing was changed")
