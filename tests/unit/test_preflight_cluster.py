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


def quotas(found):
    return [(check.state, check.detail) for check in found if check.name == "quota"]


def with_quota(hard, used="{}", *scopes):
    return {"get resourcequotas": "\t".join(("q", json.dumps(hard), json.dumps(used), *(scopes or ("", "")))) + "\n"}


@pytest.mark.parametrize(
    ("hard", "used", "says"),
    [
        ({"requests.nvidia.com/gpu": "4"}, {"requests.nvidia.com/gpu": "4"},
         "the quota q allows 4 requests.nvidia.com/gpu, of which 4 are used; this needs 1"),
        ({"pods": "3"}, {"pods": "0"}, "the quota q allows 3 pods, of which 0 are used; this needs 4"),  # etcd and NATS too
        ({"count/pods": "3"}, {"count/pods": "1"}, "the quota q allows 3 pods, of which 1 are used; this needs 4"),
        ({"requests.cpu": "8"}, {"requests.cpu": "500m"},
         "the quota q allows 8 requests.cpu, of which 0.5 are used; this needs 8.2"),
        ({"memory": "32Gi"}, {"memory": "10Gi"},
         "the quota q allows 32Gi requests.memory, of which 10Gi are used; this needs 32.25Gi"),
        ({"pods": "4", "requests.cpu": "20"}, {"pods": "0"}, None),
    ],
)  # fmt: skip
def test_a_quota_without_room_fails(kubectl, prepared, hard, used, says):
    kubectl.answers(with_quota(hard, used))
    asked = [
        f"spec.services.{key}.resources.requests={{cpu: '4', memory: 16Gi}}" for key in ("Frontend", "VllmDecodeWorker")
    ]
    found = quotas(run(prepared("vllm-agg", *asked), "kubernetes"))
    assert found == ([("fail", says)] if says else [])


def test_a_quota_on_what_the_pods_do_not_say_fails_with_how_to_say_it(kubectl, prepared):
    kubectl.answers(with_quota({"limits.cpu": "64"}))
    (found,) = (check for check in run(prepared(), "kubernetes") if check.name == "quota")
    assert "counts limits.cpu, and Frontend, VllmDecodeWorker, vllm-agg-etcd, vllm-agg-nats name none" in found.detail
    assert found.fix.startswith(
        "--set spec.services.Frontend.resources.limits.cpu=4 --set spec.services.VllmDecodeWorker."
    )
    said = [f"spec.services.{key}.resources.limits.cpu=4" for key in ("Frontend", "VllmDecodeWorker")]
    (found,) = (check for check in run(prepared("vllm-agg", *said), "kubernetes") if check.name == "quota")
    assert "and vllm-agg-etcd, vllm-agg-nats name none" in found.detail
    assert '"kind": "LimitRange"' in found.fix
    # As the platform has etcd and NATS, or as the namespace gives an amount to everybody.
    assert quotas(run(prepared("vllm-agg", *said), "dgd")) == []
    default = json.dumps([{"type": "Container", "default": {"cpu": "1"}}])
    kubectl.answers({**with_quota({"limits.cpu": "64"}), "get limitranges": f"r\t{default}\n"})
    assert quotas(run(prepared(), "kubernetes")) == []


def test_a_quota_of_some_pods_only_says_nothing(kubectl, prepared):
    kubectl.answers(with_quota({"pods": "0"}, {}, '["BestEffort"]', ""))
    assert quotas(run(prepared(), "kubernetes")) == []


def test_a_quota_without_room_for_one_pod_more_is_a_warning_for_an_update(kubectl, prepared):
    labels = json.dumps({"nvidia.com/dynamo-graph-deployment-name": "vllm-agg"})
    mine = "".join(f"mine\tvllm-agg-{n}\tnode1\tTrue\t\t\t{labels}\n" for n in range(4))
    kubectl.answers({**with_quota({"pods": "4"}, {"pods": "4"}), "get pods ": mine})
    ((state, detail),) = quotas(run(prepared(), "kubernetes"))
    assert state == "warn"
    assert "an update starts a new pod before an old one goes, which needs 1 more" in detail


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
