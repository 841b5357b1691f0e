"""What people tune a network with: every tool runs, and the two of this repository move bytes and say how."""

import json

import pytest

TOOLS = {
    "ucx_perftest": ("-h", "UCX alone"),
    "ib_write_bw": ("--version", "RDMA alone"),
    "ip": ("-V", "addresses"),
    "rdma": ("-V", "RDMA links"),
    "lspci": ("--version", "which slot NIC and GPU share"),
    "numactl": ("--help", "which CPU is near"),
    "ibv_devinfo": ("--help", "what the NIC can do"),
}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_runs(container, tool):
    flag, reason = TOOLS[tool]
    result = container.run(tool, flag)
    assert result.rc not in (126, 127), f"{tool} ({reason}) does not run: {result.stderr}"
    assert result.stdout or result.stderr


@pytest.mark.parametrize("mode", ["process", "processes"])
@pytest.mark.parametrize("operation", ["read", "write"])
def test_bench_nixl_moves_bytes_and_names_the_transport(container, component, mode, operation):
    """A figure without the transport that made it is worth nothing: it comes from UCX's own report of that run."""
    component("nixl")
    words = ["--mode", mode, "--op", operation, "--size", "4K,1M", "--iterations", "20", "--json"]
    rows = json.loads(container.output("bench-nixl", *words))["results"]
    assert [row["size_bytes"] for row in rows] == [4096, 1048576]
    assert {row["content"] for row in rows} == {True}
    assert "unknown" not in {row["transport"] for row in rows}
    assert all(row["gigabytes_per_second"] > 0 and row["latency_microseconds"]["p50"] > 0 for row in rows)


def test_bench_ucx_measures_and_names_the_transport(container):
    rows = json.loads(container.output("bench-ucx", "--test", "put", "--size", "4K,64K", "--json"))["results"]
    assert [row["size_bytes"] for row in rows] == [4096, 65536]
    assert "unknown" not in {row["transport"] for row in rows}


def test_video_memory_without_a_gpu_is_one_sentence(container):
    if container.run("test", "-e", "/dev/nvidiactl").rc == 0:
        pytest.skip("there is a GPU here")
    result = container.run("bench-nixl", "--memory", "vram")
    assert result.rc == 2
    assert len(result.stderr.strip().splitlines()) == 1


def test_the_benchmark_runs_as_any_user_on_a_read_only_root(start, component):
    """OpenShift gives each pod a random UID with GID 0 (ai-dynamo/dynamo#3935)."""
    component("nixl")
    stranger = start("--user", "12345:0", "--read-only", "--tmpfs", "/tmp")
    assert "equal" in stranger.output("bench-nixl", "--size", "4K", "--iterations", "5")
