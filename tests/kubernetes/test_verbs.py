"""What people do with a deployment: look, compare, go back, take over, remove; and what is said when it does not work."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ngc.deploy.cluster import kubectl
from ngc.deploy.cluster.kubectl import Cluster

from .conftest import PREFIX, made
from .meeting import PATIENT

CONFIG = ("--config=vllm-agg", "--base=stand-in", "--allow-stand-in", "--to=kubernetes")
FRONTEND = "vllm-agg-frontend"


@pytest.fixture(scope="module")
def served(cluster, verbs, at, images) -> Iterator[Cluster]:
    """One worker behind a frontend, deployed once; every test leaves it serving."""
    own = made(cluster, f"{PREFIX}-verbs")
    done = verbs("deploy", *CONFIG, *at(own), PATIENT)
    assert done.code == 0, done.err
    yield own
    kubectl.ask(own, "delete", "namespace", own.namespace, "--wait=false")


def test_the_target_is_named_before_anything_is_done(served, verbs, at):
    said = verbs("deploy", *CONFIG, *at(served))
    first = said.err.splitlines()[0]
    assert first == f"context {served.context}, server {served.server}, namespace {served.namespace}"


def test_the_same_deploy_again_is_no_new_revision(served, verbs, at):
    before = json.loads(verbs("status", "--json", *at(served)).out)["revision"]
    assert verbs("deploy", *CONFIG, *at(served)).code == 0
    assert json.loads(verbs("status", "--json", *at(served)).out)["revision"] == before


def test_output_stays_below_a_screen(served, verbs, at):
    said = verbs("deploy", *CONFIG, *at(served))
    assert len((said.err + said.out).splitlines()) < 40


def test_diff_has_the_exit_codes_of_kubectl(served, verbs, at):
    same = verbs("diff", *CONFIG, *at(served))
    assert (same.code, same.out) == (0, "")
    other = verbs("diff", *CONFIG, *at(served), "--set=spec.services.Frontend.replicas=2")
    assert other.code == 1
    assert "replicas: 2" in other.out


def test_a_plan_changes_nothing(served, verbs, at):
    said = verbs("deploy", *CONFIG, *at(served), "--plan", "--set=spec.services.Frontend.replicas=2")
    assert said.code == 0
    assert f"apply Deployment {FRONTEND}" in said.out
    assert kubectl.get(served, f"deployment/{FRONTEND}")[0]["spec"]["replicas"] == 1


def test_rollback_goes_to_the_named_revision_and_says_which_there_are(served, verbs, at):
    first = json.loads(verbs("status", "--json", *at(served)).out)["revision"]
    changed = verbs("deploy", *CONFIG, *at(served), "--set=spec.envs[+]={name: TRIED, value: 'yes'}")
    assert changed.code == 0, changed.err
    unknown = verbs("rollback", *at(served), "--revision=99")
    assert unknown.code == 2
    assert "there is no revision 99; choose from: " in unknown.err
    back = verbs("rollback", *at(served), f"--revision={first}")
    assert back.code == 0, back.err
    env = kubectl.get(served, f"deployment/{FRONTEND}")[0]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert "TRIED" not in {entry["name"] for entry in env}


def test_logs_are_by_component_and_an_unknown_one_lists_them(served, verbs, at):
    said = verbs("logs", *at(served), "--component=VllmDecodeWorker", "--tail=5")
    assert said.code == 0
    assert "vllmdecodeworker" in said.out
    wrong = verbs("logs", *at(served), "--component=Worker")
    assert wrong.code == 2
    assert "unknown component 'Worker'; choose from: Frontend, VllmDecodeWorker" in wrong.err


def test_a_conflict_says_who_owns_what_and_changes_nothing(served, verbs, at):
    """Somebody has scaled the frontend by hand."""
    kubectl.ask(served, "scale", f"deployment/{FRONTEND}", "--replicas=2")
    said = verbs("deploy", *CONFIG, *at(served))
    assert said.code == 1
    assert "kubectl owns .spec.replicas" in said.err
    assert "--force-conflicts takes them over" in said.err
    assert kubectl.get(served, f"deployment/{FRONTEND}")[0]["spec"]["replicas"] == 2
    forced = verbs("deploy", *CONFIG, *at(served), "--force-conflicts")
    assert forced.code == 0, forced.err
    assert kubectl.get(served, f"deployment/{FRONTEND}")[0]["spec"]["replicas"] == 1


def test_replicas_that_a_planner_owns_are_left_alone(served, verbs, at):
    patch = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": FRONTEND}, "spec": {"replicas": 2}}
    words = ("apply", "--server-side", "--force-conflicts", "--field-manager=planner", "-f", "-")
    kubectl.ask(served, *words, text=json.dumps(patch))
    said = verbs("deploy", *CONFIG, *at(served))
    assert said.code == 0, said.err
    assert kubectl.get(served, f"deployment/{FRONTEND}")[0]["spec"]["replicas"] == 2
    taken = verbs("deploy", *CONFIG, *at(served), "--set=spec.services.Frontend.replicas=1", "--force-conflicts")
    assert taken.code == 0, taken.err


def test_etcd_and_nats_are_not_touched_by_an_update(served, verbs, at):
    def pods() -> set[str]:
        selector = "app.kubernetes.io/part-of=vllm-agg"
        return {pod["metadata"]["name"] for pod in kubectl.get(served, "pods", "--selector", selector)}

    before = pods()
    bad = verbs("deploy", *CONFIG, *at(served), "--image=no-such-image:0.6.1-stand-in", "--timeout=60")
    assert bad.code == 1
    assert pods() == before
    assert verbs("rollback", *at(served)).code == 0


def test_a_service_that_the_config_drops_is_removed(served, verbs, at, tmp_path):
    from ruamel.yaml import YAML

    from ngc import catalog

    data = YAML(typ="safe").load((catalog.ROOT / "configs" / "vllm-agg.yaml").read_text())
    data["spec"]["services"]["Second"] = json.loads(json.dumps(data["spec"]["services"]["VllmDecodeWorker"]))
    file = tmp_path / "two.yaml"
    with file.open("w") as out:
        YAML(typ="safe").dump(data, out)
    two = verbs("deploy", f"--config={file}", *CONFIG[1:], *at(served))
    assert two.code == 0, two.err
    assert kubectl.get(served, "deployment/vllm-agg-second")
    one = verbs("deploy", *CONFIG, *at(served))
    assert one.code == 0, one.err
    assert not kubectl.get(served, "deployment/vllm-agg-second")


def test_no_secret_is_in_what_is_kept(served, verbs, at):
    said = verbs("deploy", *CONFIG, *at(served), "--set=spec.envs[+]={name: HF_TOKEN, value: hf_notarealtoken}")
    assert said.code == 2
    assert "would be kept in the cluster as plain text" in said.err
    kept = json.dumps(kubectl.get(served, "configmaps"))
    assert "hf_notarealtoken" not in kept
    assert "hf_notarealtoken" not in said.err
