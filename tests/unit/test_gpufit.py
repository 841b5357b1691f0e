"""Placing a graph's pods on the GPUs of a cluster, on plain data: no cluster is asked."""

from dataclasses import replace

import pytest

from ngc.deploy import graph as graphs
from ngc.deploy.cluster import gpufit
from ngc.deploy.cluster.checking import Answer
from ngc.deploy.cluster.gpufit import Need
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.cluster.nodes import GPU, Node, Pod, read_nodes, read_pods
from ngc.deploy.names import COMPONENT_LABEL, GRAPH_LABEL

CLUSTER = Cluster("here", "mine", "https://server")
TAINT = {"key": GPU, "effect": "NoSchedule"}


def node(name, gpus=8, labels=None, taints=(), **more):
    return Node(name, {GPU: str(gpus)} if gpus is not None else {}, labels or {}, tuple(taints), **more)


def pod(on, gpus, component=None, namespace="mine", graph="g"):
    labels = {GRAPH_LABEL: graph, COMPONENT_LABEL: component} if component else {}
    return Pod(namespace, "p", on, gpus, labels)


def fit(wanted, nodes, pods=(), **more):
    return gpufit.fit(CLUSTER, "g", wanted, nodes, pods, **more)


def placed(wanted, nodes, held=()):
    return gpufit.place(wanted, nodes, gpufit.free(nodes, held))


def test_pods_fit_that_need_what_is_free():
    found = fit([Need("A", 2, 2), Need("B", 1, 4)], [node("n1")])
    assert found.state == "pass"
    assert found.detail == "needs A 2 x 2 + B 1 x 4 GPUs; free per node: n1 8 of 8"


def test_a_graph_without_gpus_asks_for_none():
    assert fit([], []).state == "pass"


def test_the_sum_is_not_enough_when_no_node_has_the_whole_block():
    found = fit([Need("A", 1, 8)], [node("n1"), node("n2")], [pod("n1", 1), pod("n2", 1)])
    assert found.state == "fail"
    assert found.detail == "needs A 1 x 8 GPUs; free per node: n1 7 of 8, n2 7 of 8"
    assert found.fix.startswith("kubectl --context here --namespace mine get pods --all-namespaces")


def test_small_pods_are_moved_out_of_the_way_of_large_ones():
    assert placed([Need("small", 4, 1), Need("large", 1, 4)], [node("n1", 4), node("n2", 4)]) is True


def test_a_placement_is_found_that_the_first_choice_misses():
    wanted = [Need("a", 1, 5), Need("b", 1, 4), Need("c", 1, 3), Need("d", 2, 2)]
    assert placed(wanted, [node("n1", 8), node("n2", 8)]) is True
    assert placed([Need("a", 2, 3), Need("b", 3, 2)], [node("n1", 6), node("n2", 6)]) is True
    assert placed([Need("a", 3, 3)], [node("n1", 5), node("n2", 5)]) is False


def test_a_choice_that_ends_nowhere_is_taken_back():
    fast = {"disk": "fast"}
    nodes = [node("n1", 2, fast), node("n2", 3)]
    # The tightest node for the first is n1, which the second needs.
    assert placed([Need("a", 1, 2), Need("b", 1, 2, selector=fast)], nodes) is True


def test_what_cannot_be_worked_out_in_time_is_unknown(monkeypatch):
    monkeypatch.setattr(gpufit, "TRIES", 2)
    found = fit([Need("A", 5, 1)], [node("n1")])
    assert found.state == "unknown"


def test_a_thousand_pods_are_placed_in_a_moment():
    assert placed([Need("A", 1000, 1)], [node(f"n{i}") for i in range(125)]) is True
    assert placed([Need("A", 1001, 1)], [node(f"n{i}") for i in range(125)]) is False


def test_pending_pods_that_are_bound_hold_their_gpus_and_unbound_ones_do_not():
    assert fit([Need("A", 1, 8)], [node("n1")], [pod("n1", 1)]).state == "fail"
    assert fit([Need("A", 1, 8)], [node("n1")], [pod("", 8)]).state == "pass"


@pytest.mark.parametrize("effect", ["NoSchedule", "NoExecute"])
def test_a_tainted_node_takes_only_pods_that_tolerate_it(effect):
    tainted = node("n1", taints=[{"key": "team", "value": "a", "effect": effect}])
    need = Need("A", 1, 1)
    assert fit([need], [tainted]).state == "fail"
    assert "closed to them by taint, label or cordon" in fit([need], [tainted]).detail
    for toleration in (
        {"key": "team", "value": "a"},
        {"key": "team", "operator": "Equal", "value": "a", "effect": effect},
        {"key": "team", "operator": "Exists"},
        {"operator": "Exists"},
    ):
        assert fit([replace(need, tolerations=(toleration,))], [tainted]).state == "pass", toleration
    for toleration in ({"key": "team", "value": "b"}, {"key": "other", "operator": "Exists"}, {"key": "team"}):
        assert fit([replace(need, tolerations=(toleration,))], [tainted]).state == "fail", toleration


def test_a_taint_that_only_prefers_keeps_nothing_out():
    assert fit([Need("A", 1, 1)], [node("n1", taints=[{"key": "x", "effect": "PreferNoSchedule"}])]).state == "pass"


def test_the_taint_of_gpu_nodes_is_a_warning_since_clusters_tolerate_it_for_pods():
    found = fit([Need("A", 1, 1)], [node("n1", taints=[TAINT])])
    assert found.state == "warn"
    assert "tolerations[+]={key: nvidia.com/gpu, operator: Exists}" in found.fix


def test_cordoned_nodes_and_other_labels_are_left_out():
    assert fit([Need("A", 1, 1)], [node("n1", cordoned=True)]).state == "fail"
    need = Need("A", 1, 1, selector={"gpu": "h100"})
    assert fit([need], [node("n1", labels={"gpu": "a100"})]).state == "fail"
    assert fit([need], [node("n1", labels={"gpu": "h100"})]).state == "pass"


def test_node_affinity_is_unknown_rather_than_good():
    assert fit([Need("A", 1, 1, affinity=True)], [node("n1")]).state == "unknown"


def test_gpus_that_the_device_plugin_does_not_offer_yet_are_named():
    found = fit([Need("A", 1, 1)], [node("n1", None, {gpufit.PRESENT_LABEL: "true"}), node("n2", None)])
    assert found.state == "fail"
    assert "n1 have GPUs and offer none to pods: the GPU operator is not ready" in found.detail
    assert "nvidia-device-plugin" in found.fix


def test_a_cluster_without_gpus_fails_unless_nodes_are_added_for_pods():
    assert fit([Need("A", 1, 1)], [node("n1", None)]).state == "fail"
    assert fit([Need("A", 1, 1)], [node("n1", None)], grows=True).state == "warn"
    assert fit([Need("A", 9, 1)], [node("n1")], grows=True).state == "warn"


def test_free_gpus_are_no_promise_when_the_pods_were_not_told():
    assert fit([Need("A", 1, 1)], [node("n1")], None).state == "warn"
    assert fit([Need("A", 1, 9)], [node("n1")], None).state == "fail"


def test_a_deployed_graph_does_not_stand_in_its_own_way():
    found = fit([Need("A", 2, 2)], [node("n1")], [pod("n1", 2, "A"), pod("n1", 2, "A")])
    assert found.state == "pass"
    assert found.detail.endswith("n1 8 of 8, its own pods aside")


def test_pods_of_the_same_graph_in_another_namespace_hold_their_gpus():
    assert fit([Need("A", 1, 8)], [node("n1")], [pod("n1", 8, "A", namespace="other")]).state == "fail"
    assert fit([Need("A", 1, 8)], [node("n1")], [pod("n1", 8, "A", graph="other")]).state == "fail"


def test_an_update_without_a_spare_block_is_a_warning():
    found = fit([Need("A", 2, 4)], [node("n1")], [pod("n1", 4, "A"), pod("n1", 4, "A")])
    assert found.state == "warn"
    assert "needs A 1 x 4 GPUs more; free per node: n1 0 of 8" in found.detail


def test_an_update_needs_a_spare_block_for_every_service_at_once():
    here = [pod("n1", 2, "A"), pod("n1", 2, "B")]
    assert fit([Need("A", 1, 2), Need("B", 1, 2)], [node("n1", 8)], here).state == "pass"
    assert fit([Need("A", 1, 2), Need("B", 1, 2)], [node("n1", 7)], here).state == "warn"


def test_a_multinode_worker_is_replaced_as_a_whole():
    need, here = Need("A", 2, 4, group=2), [pod("n1", 4, "A"), pod("n2", 4, "A")]
    assert fit([need], [node("n1"), node("n2")], here).state == "pass"
    assert fit([need], [node("n1"), node("n2", 4)], here).state == "warn"


def test_a_smaller_graph_makes_its_own_room():
    here = [pod("n1", 4, "A"), pod("n1", 4, "A")]
    assert fit([Need("A", 1, 4)], [node("n1")], here).state == "pass"


def test_a_larger_graph_needs_room_for_what_it_grows_by():
    assert fit([Need("A", 3, 4)], [node("n1")], [pod("n1", 4, "A")]).state == "fail"


def test_many_nodes_are_not_all_listed():
    found = fit([Need("A", 1, 9)], [node(f"n{i}") for i in range(9)])
    assert found.detail.endswith("n5 8 of 8, and 3 nodes with no more than that")


def test_needs_are_read_from_the_config(root):
    found = gpufit.needs(graphs.load(root / "configs" / "vllm-multinode.yaml"))
    assert [str(need) for need in found] == ["VllmDecodeWorker 2 x 4"]
    assert found[0].group == 2


def test_nodes_and_pods_are_read_as_kubectl_prints_them():
    rows = [
        'n1\t\tamd64\t{"cpu":"2","nvidia.com/gpu":"8"}\t{"a":"b"}\t[{"effect":"NoSchedule","key":"k"}]\t["x:1","x@sha256:0"] null ["y:1"]',
        "n2\ttrue\tarm64\t{}\t{}\t\t",
    ]
    first, second = read_nodes(Answer("\n".join(rows) + "\n"))
    assert (first.gpus, first.cordoned, first.architecture, first.labels) == (8, False, "amd64", {"a": "b"})
    assert first.taints == ({"effect": "NoSchedule", "key": "k"},)
    assert first.images == {"x:1", "x@sha256:0", "y:1"}
    assert (second.gpus, second.cordoned) == (0, True)
    text = 'ns\tp1\tn1\tTrue\t1 2\t=,Always=1,=9,\t{"a":"b"}\nns\tp2\t\t\t\t\t\n'
    one, two = read_pods(Answer(text))
    assert (one.node, one.ready, one.labels) == ("n1", True, {"a": "b"})
    assert (two.node, two.gpus, two.ready) == ("", 0, False)
    # Sidecar 1 + init 9 wins over sidecar 1 + containers 3.
    assert one.gpus == 10
