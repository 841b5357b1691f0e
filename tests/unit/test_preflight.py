"""The preflight as a whole: what it checks and asks in which order, what it may not read, and what it tells to do."""

import os
import re
import shlex
import time

import pytest

from ngc import catalog
from ngc.deploy import lint
from ngc.deploy.cluster import preflight, rights
from ngc.deploy.cluster.kubectl import Unreachable
from ngc.errors import Failed

from .preflighting import (  # noqa: F401  # fixtures
    CLUSTER,
    NODE,
    OPERATOR,
    forbidden,
    kubectl_fixture,
    named,
    prepared_fixture,
    registries_fixture,
    run,
)


def test_everything_is_checked_in_the_order_in_which_it_is_mended(kubectl, prepared):
    found = run(prepared())
    assert [check.state for check in found] == ["pass"] * len(found), found
    assert [check.name for check in found] == [
        "namespace",
        "rights",
        "crd",
        "operator",
        "etcd",
        "nats",
        "gpus",
        "image",
    ]
    assert "context here, server https://server, namespace mine" in found[0].detail


def test_plain_objects_need_neither_kinds_nor_operator(kubectl, prepared):
    found = run(prepared(), "kubernetes")
    assert [check.name for check in found] == ["namespace", "rights", "gpus", "image"]
    words = " ".join(" ".join(each) for each in kubectl.asked)
    assert "nvidia.com/v1alpha1" not in words
    assert "deployments.apps --all" not in words


def test_kubectl_is_called_few_times_and_little_time_is_our_own(kubectl, prepared):
    ready = prepared()
    run(ready)
    calls = len(kubectl.asked)
    before = time.process_time()
    run(ready)
    assert time.process_time() - before < 0.3
    assert calls <= 12


def test_a_namespace_that_is_missing_or_going_fails(kubectl, prepared):
    kubectl.answers({"get namespace/mine": None})
    assert named(run(prepared()), "namespace").state == "fail"
    assert named(run(prepared()), "namespace").fix == "kubectl --context here create namespace mine"
    kubectl.answers({"get namespace/mine": "Terminating"})
    assert named(run(prepared()), "namespace").state == "fail"


def test_a_login_without_rights_fails_with_the_role_that_it_lacks(kubectl, prepared):
    kubectl.answers({"create --validate=false": "false\n" * 18})
    found = named(run(prepared()), "rights")
    assert found.state == "fail"
    assert "somebody" in found.detail
    assert "patch configmaps, dynamographdeployments.nvidia.com" in found.detail
    first, second = found.fix.split(" && ")
    assert first.startswith("kubectl --context here --namespace mine create role ngc-dynamo-deploy --verb=")
    assert second.endswith("--role=ngc-dynamo-deploy --user=somebody")


def test_a_right_that_only_explaining_takes_is_a_warning(kubectl, prepared):
    kubectl.answers({"create --validate=false": "true\n" * 17 + "false\n"})
    found = named(run(prepared()), "rights")
    assert found.state == "warn"
    assert "may not list events in namespace mine" in found.detail


def test_rights_that_the_server_does_not_tell_are_unknown(kubectl, prepared):
    kubectl.answers({"create --validate=false": ("", "error: something else\n", 1)})
    assert named(run(prepared()), "rights").state == "unknown"


@pytest.mark.parametrize(
    ("pattern", "answer", "names"),
    [
        ("get namespace/mine", forbidden("get", "namespaces", 'in the namespace "mine"'), ["namespace"]),
        ("get --raw /apis/nvidia.com/v1alpha1", forbidden("get", "x"), ["crd"]),
        ("get deployments.apps --all-namespaces", forbidden("list", "deployments", group="apps"), ["operator"]),
        ("get pods ", forbidden("list", "pods"), ["etcd", "nats", "gpus"]),
        ("get nodes ", forbidden("list", "nodes"), ["gpus"]),
        ("get clusterrole/planner", forbidden("get", "clusterroles"), ["planner role"]),
    ],
)
def test_what_may_not_be_read_is_a_warning_with_the_right_that_is_missing(kubectl, prepared, pattern, answer, names):
    kubectl.answers({pattern: answer})
    found = run(prepared())
    warned = [check for check in found if check.state != "pass" and check.name != "image"]
    assert [check.name for check in warned] == names
    for check in warned:
        assert check.state == "warn"
        assert "--user=joe" in check.fix or "custom-columns" in check.fix


def test_an_api_server_that_is_away_is_one_sentence(kubectl, prepared):
    kubectl.answers({"--context": ("", "The connection to the server was refused: connection refused\n", 1)})
    with pytest.raises(Unreachable, match="does not answer at https://server"):
        preflight.checks(CLUSTER, prepared(), "dgd")


def test_every_fix_that_calls_kubectl_names_its_context(kubectl, prepared, registries):
    registries(Failed("x wants a login"))
    kubectl.answers(
        {
            "get namespace/mine": None,
            "get nodes ": NODE.replace('"8"', '"1"'),
            "create --validate=false": "false\n" * 17,
            "get deployments.apps --all-namespaces": OPERATOR.replace("\t1\t1\tnvcr", "\t\t1\tnvcr"),
        }
    )
    ready = prepared(
        "vllm-multinode", "spec.services.Frontend.envFromSecret=x", image="registry.example.com/ours:1.0.0"
    )
    found = [check for check in run(ready) if check.state == "fail"]
    assert len(found) > 4
    for check in found:
        assert check.fix, check
        for part in re.split(r" && |; | \| ", check.fix):
            words = shlex.split(part, comments=True)
            if words and words[0] == "kubectl":
                assert "--context" in words, check.fix


def test_the_fake_is_the_kubectl_that_is_found(kubectl):
    assert os.environ["PATH"].startswith(str(kubectl.folder))


def test_what_lint_warns_of_is_a_line_and_what_it_merely_says_is_none(kubectl, prepared):
    sets = ("spec.services.VllmDecodeWorker.sharedMemory={disabled: true}",)
    ready = prepared("vllm-tp", *sets)
    findings = lint.check(catalog.read(), ready.graph).findings
    found = preflight.checks(CLUSTER, ready, "dgd", findings)
    assert named(found, "shared-memory-off").state == "warn"
    assert "vllm-tp.yaml:" in named(found, "shared-memory-off").detail
    assert {check.name for check in found} & {f.rule for f in findings if f.severity == "info"} == set()


@pytest.mark.parametrize("count", [1, 2])
def test_the_way_of_the_kv_cache_is_warned_of_as_soon_as_there_are_two_nodes(kubectl, prepared, count):
    kubectl.answers({"get nodes ": "".join(NODE.replace("node1", f"node{n}") for n in range(count))})
    ready = prepared("vllm-disagg")
    findings = lint.check(catalog.read(), ready.graph).findings
    found = preflight.checks(CLUSTER, ready, "dgd", findings)
    assert ("no-rdma" in {check.name for check in found}) == (count == 2)


@pytest.mark.parametrize(
    ("more", "resource"),
    [
        ({"secrets": True}, "secrets"),
        ({"fill": "hub"}, "jobs.batch"),
        ({"fill": "/some/folder"}, "pods/exec"),
    ],
)
def test_rights_are_asked_for_what_else_was_wished(kubectl, prepared, more, resource):
    """A login that lacks only these is told so before anything is changed."""
    plain = {right.resource for right in rights.needed(prepared().graph, "dgd")}
    asked = rights.needed(prepared().graph, "dgd", **more)
    assert resource not in plain
    assert resource in {right.resource for right in asked if right.needed}
    preflight.checks(CLUSTER, prepared(), "dgd", **more)
    assert f'"resource": "{resource.partition(".")[0].partition("/")[0]}"' in kubectl.sent
