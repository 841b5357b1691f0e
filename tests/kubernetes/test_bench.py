"""smoke --bench: which way the KV cache goes between two pods like the workers, in a plain sentence."""

from __future__ import annotations

import json

import pytest

from ngc.deploy.cluster import bench, kubectl
from ngc.deploy.cluster.bench import Row


def row(transport: str, equal: bool = True) -> Row:
    return Row(65536, 1.0, 10.0, transport, equal)


@pytest.mark.parametrize(
    ("transports", "nodes", "said"),
    [
        (["rc_mlx5/mlx5_0"], ("a", "b"), "the KV cache goes over RDMA (rc_mlx5/mlx5_0)"),
        (["tcp/eth0"], ("a", "b"), "it fell back to TCP (tcp/eth0)"),
        (["rc_mlx5/mlx5_0", "tcp/eth0"], ("a", "b"), "it fell back to TCP"),
        (["cuda_ipc/cuda"], ("a", "a"), "both pods ran on a and used cuda_ipc/cuda: that says nothing about RDMA"),
        (["rc_mlx5/mlx5_0"], ("a", "a"), "that says nothing about RDMA between nodes"),
    ],
)
def test_the_verdict_is_a_plain_sentence(transports, nodes, said):
    assert said in bench.verdict([row(transport) for transport in transports], nodes)


def test_wrong_bytes_are_worse_than_slow_ones():
    assert "not those that were sent" in bench.verdict([row("rc/mlx5_0", equal=False)], ("a", "b"))


def test_two_pods_measure_the_fall_back_and_are_removed(verbs, at, namespace, images):
    image = images["vllm"].replace("-runtime:", "-benchmark:")
    none = verbs("smoke", "--bench", *at(namespace))
    assert (none.code, "nothing of ours is deployed" in none.err) == (2, True)
    done = verbs(
        "deploy", "--config=vllm-disagg", "--to=kubernetes", "--base=stand-in", "--allow-stand-in", *at(namespace)
    )
    assert done.code == 0, done.err
    said = verbs("smoke", "--bench", "--json", *at(namespace))
    assert said.code == 0, said.err
    data = json.loads(said.out)
    assert data["image"] == image
    assert {r["equal"] for r in data["rows"]} == {True}
    assert all(r["gigabytes_per_second"] > 0 and r["latency_us"] > 0 for r in data["rows"])
    assert [r["size_bytes"] for r in data["rows"]] == [2**16, 2**20, 2**24]
    # On one node of a test there is no RDMA: TCP, or memory that two pods share.
    assert "it fell back to TCP" in data["verdict"] or "says nothing about RDMA" in data["verdict"]
    wrong = verbs("smoke", "--bench", "--image=no-such-benchmark:1.0.0", *at(namespace))
    assert wrong.code == 1
    assert "--image" in wrong.err or "ImagePull" in wrong.err or "ErrImagePull" in wrong.err
    left = kubectl.get(namespace, "pods", "--selector", bench.LABEL)
    assert all("deletionTimestamp" in pod["metadata"] for pod in left)
