"""What the preflight says of the cluster: the operator and its kinds, storage, quotas, and devices."""

import json
from dataclasses import replace

import pytest

from .preflighting import (  # noqa: F401  # fixtures
    APIS,
    KINDS,
    NODE,
    OPERATOR,
    PODS,
    forbidden,
    kubectl_fixture,
    named,
    prepared_fixture,
    registries_fixture,
    run,
    states,
)


def test_a_missing_kind_fails_and_names_the_version_to_install(kubectl, prepared):
    kubectl.answers({"get --raw /apis/nvidia.com/v1alpha1": None})
    found = named(run(prepared()), "crd")
    assert found.state == "fail"
    assert "dynamo-platform-0.6.1.tgz" in found.fix
    assert "--kube-context here" in found.fix
    # The group alone is no sign of it: the GPU operator has kinds there too.
    kubectl.answers({"get --raw /apis/nvidia.com/v1alpha1": json.dumps({"resources": [{"name": "nvidiadrivers"}]})})
    assert named(run(prepared()), "crd").state == "fail"


def test_another_version_of_the_kind_is_named(kubectl, prepared):
    groups = {"groups": [{"name": "nvidia.com", "versions": [{"version": "v1beta1"}]}]}
    kubectl.answers(
        {
            "get --raw /apis/nvidia.com/v1alpha1": None,
            "get --raw /apis/nvidia.com/v1beta1": KINDS,
            "get --raw /apis ": json.dumps(groups),
        }
    )
    assert "is served as v1beta1, not as v1alpha1" in named(run(prepared()), "crd").detail


def test_an_operator_that_is_not_there_is_a_warning(kubectl, prepared):
    kubectl.answers({"get deployments.apps --all-namespaces": ""})
    found = named(run(prepared()), "operator")
    assert found.state == "warn"
    assert "dynamo-platform" in found.fix


def test_an_operator_that_is_not_available_fails(kubectl, prepared):
    kubectl.answers({"get deployments.apps --all-namespaces": OPERATOR.replace("\t1\t1\tnvcr", "\t\t1\tnvcr")})
    found = named(run(prepared()), "operator")
    assert found.state == "fail"
    assert "--namespace dynamo-system describe" in found.fix


def test_an_operator_of_another_namespace_fails(kubectl, prepared):
    here = OPERATOR.replace('"--leader-elect"', '"--leader-elect","--restrictedNamespace=theirs"')
    kubectl.answers({"get deployments.apps --all-namespaces": here})
    found = named(run(prepared()), "operator")
    assert found.state == "fail"
    assert "watches theirs only" in found.detail
    kubectl.answers({"get deployments.apps --all-namespaces": here.replace("=theirs", "=mine")})
    assert named(run(prepared()), "operator").state == "pass"


def test_an_operator_of_another_release_is_a_warning(kubectl, prepared):
    kubectl.answers({"get deployments.apps --all-namespaces": OPERATOR.replace("operator:0.6.1", "operator:0.8.0")})
    assert named(run(prepared()), "operator").state == "warn"


def test_an_etcd_that_is_down_fails_and_one_elsewhere_is_unknown(kubectl, prepared):
    kubectl.answers({"get pods ": PODS.replace("p-etcd-0\tnode1\tTrue", "p-etcd-0\tnode1\tFalse")})
    assert states(run(prepared()))["etcd"] == "fail"
    kubectl.answers({"get pods ": PODS.splitlines()[1] + "\n"})
    assert states(run(prepared()))["etcd"] == "fail"
    there = OPERATOR.replace("p-etcd.dynamo-system.svc.cluster.local", "etcd.example.com")
    kubectl.answers({"get deployments.apps --all-namespaces": there})
    assert states(run(prepared()))["etcd"] == "unknown"


def test_what_the_operator_takes_for_granted_is_a_warning_when_it_is_missing(kubectl, prepared):
    kubectl.answers({"get secret/mpi-run-ssh-secret": None, "get clusterrole/planner": None})
    found = states(run(prepared()))
    assert (found["mpi secret"], found["planner role"]) == ("warn", "warn")


def test_a_multinode_worker_needs_somebody_who_starts_it(kubectl, prepared):
    kubectl.answers({"get nodes ": NODE + NODE.replace("node1", "node2")})
    assert states(run(prepared("vllm-multinode")))["multinode"] == "fail"
    groups = {"groups": [*APIS["groups"], {"name": "grove.io", "versions": [{"version": "v1alpha1"}]}]}
    kubectl.answers({"get --raw /apis ": json.dumps(groups), "get nodes ": NODE + NODE.replace("node1", "node2")})
    assert states(run(prepared("vllm-multinode")))["multinode"] == "pass"


@pytest.mark.parametrize(
    ("answer", "state", "says"),
    [
        ("", "fail", "model-cache is not in namespace mine"),
        ("model-cache\tBound\tfast\n", "pass", "bound"),
        ("model-cache\tPending\tlate\n", "pass", "when a pod uses it"),
        ("model-cache\tPending\tfast\n", "warn", "Pending, not Bound"),
        ("model-cache\tLost\tfast\n", "fail", "is gone"),
        (forbidden("list", "persistentvolumeclaims", 'in the namespace "mine"'), "warn", "joe"),
    ],
)
def test_a_claim_that_the_graph_does_not_make_must_be_there(kubectl, prepared, answer, state, says):
    classes = "late\tWaitForFirstConsumer\t{}\nfast\tImmediate\t{}\n"
    kubectl.answers({"get persistentvolumeclaims": answer, "get storageclasses": classes})
    found = named(run(prepared("vllm-cache")), "storage")
    assert (found.state, says in found.detail) == (state, True), found
    assert found.fix or state == "pass"


@pytest.mark.parametrize(
    ("kind", "classes", "state"),
    [
        ("fast", "fast\tImmediate\t{}\n", "pass"),
        ("fast", "slow\tImmediate\t{}\n", "fail"),
        ("", "slow\tImmediate\t{}\n", "fail"),
        ("", 'slow\tImmediate\t{"storageclass.kubernetes.io/is-default-class":"true"}\n', "pass"),
        ("", forbidden("list", "storageclasses"), "warn"),
    ],
)
def test_a_claim_that_the_graph_makes_needs_a_storage_class(kubectl, prepared, kind, classes, state):
    kubectl.answers({"get storageclasses": classes})
    entry = f"[{{name: model-cache, create: true, size: 1Gi, volumeAccessMode: ReadWriteOnce{f', storageClass: {kind}' if kind else ''}}}]"
    assert named(run(prepared("vllm-cache", f"spec.pvcs={entry}")), "storage").state == state


def test_a_quota_without_room_fails(kubectl, prepared):
    kubectl.answers(
        {
            "get resourcequotas": 'q\t{"requests.nvidia.com/gpu":"4","pods":"9"}\t{"requests.nvidia.com/gpu":"4","pods":"1"}\n'
        }
    )
    found = [check for check in run(prepared()) if check.name == "quota"]
    assert [check.detail for check in found] == [
        "the quota q allows 4 requests.nvidia.com/gpu, of which 4 are used; this needs 1"
    ]


def test_devices_that_no_node_offers_fail(kubectl, prepared):
    found = named(run(prepared("vllm-disagg-rdma")), "devices")
    assert found.state == "fail"
    assert "rdma/ib" in found.detail
    kubectl.answers({"get nodes ": NODE.replace('"8"}', '"8","rdma/ib":"4"}')})
    assert named(run(prepared("vllm-disagg-rdma")), "devices").state == "pass"


def test_a_mount_below_root_is_a_warning_unless_the_image_runs_as_root(kubectl, prepared):
    sets = ("spec.services.VllmDecodeWorker.volumeMounts[0].mountPoint=/root/.cache/huggingface",)
    kubectl.answers({"get persistentvolumeclaims": "model-cache\tBound\tx\n"})
    ready = prepared("vllm-cache", *sets)
    as_root, as_user = (replace(ready, base=replace(ready.base, user=user)) for user in ("root", "dynamo"))
    assert "mounts" not in states(run(as_root))
    found = named(run(as_user), "mounts")
    assert found.state == "warn"
    assert "HF_HOME" in found.fix
