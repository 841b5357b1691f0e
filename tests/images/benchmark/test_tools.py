"""What people tune a network with: every tool runs, and the two of this repository move bytes and say how."""

import json

import pytest

from ..background import begin

TOOLS = {
    "ucx_perftest": ("-h", "UCX alone"),
    "ib_write_bw": ("--version", "RDMA alone"),
    "ip": ("-V", "addresses"),
    "rdma": ("-V", "RDMA links"),
    "lspci": ("--version", "which slot NIC and GPU share"),
    "numactl": ("--help", "which CPU is near"),
    "ibv_devinfo": ("--help", "what the NIC can do"),
}


# Where the base's UCX has no programs, see common/benchmark/add-ucx.sh: it is on no path, and bench-ucx alone starts it.
OWN = ["env", "LD_LIBRARY_PATH=/opt/benchmark/ucx/libucx/lib", "/opt/benchmark/ucx/libucx/bin/ucx_perftest"]


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_runs(container, component, tool):
    flag, reason = TOOLS[tool]
    if tool == "ucx_perftest" and component("ucx").path is None:
        assert container.run("sh", "-c", f"command -v {tool}").rc != 0, f"{tool} is not the base's and on its path"
        return
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


@pytest.fixture(scope="module")
def other(start):
    """A second container of the image: what one sends the other must receive, over a network."""
    return start()


def address(container):
    return container.output("hostname", "-i").split()[0]


@pytest.mark.parametrize("test", ["ucp_put_bw", "ucp_get"])
def test_ucx_perftest_moves_bytes_between_two_containers(container, other, component, test):
    """UCX alone, as everybody knows it: a figure here and none from bench-nixl says that NIXL is the trouble."""
    program = ["ucx_perftest"] if component("ucx").path else OWN
    port = {"ucp_put_bw": 13337, "ucp_get": 13338}[test]
    server = begin(other, f"perftest-{test}", *program, "-p", str(port))
    listens = f"grep -q ':{port:04X} .* 0A ' /proc/net/tcp /proc/net/tcp6"  # its output waits in a buffer
    server.wait_for(lambda: other.run("sh", "-c", listens).rc == 0, "it listens", 20)
    words = (*program, address(other), "-p", str(port), "-t", test, "-s", "65536", "-n", "200")
    last = container.output(*words).splitlines()[-1].split()
    assert last[:2] == ["Final:", "200"]
    assert float(last[6]) > 0, "no byte was moved"  # MB/s, overall


@pytest.mark.parametrize("tool", ["bench-ucx", "bench-nixl"])
def test_a_benchmark_moves_bytes_between_two_containers(container, other, component, tool):
    """Two pods are what they are for; within one machine UCX takes shared memory, and the network stays untested."""
    component("ucx")
    component("nixl")
    port = {"bench-ucx": "7000", "bench-nixl": "7100"}[tool]
    passive = begin(other, tool, tool, "--listen", port)
    passive.wait_for(lambda: "listening on" in passive.log, "it listens")
    few = {"bench-ucx": ("--test", "put"), "bench-nixl": ("--op", "write")}[tool]
    words = (tool, "--connect", f"{address(other)}:{port}", *few, "--size", "64K", "--iterations", "50", "--json")
    rows = json.loads(container.output(*words))["results"]
    assert [row["size_bytes"] for row in rows] == [65536]
    assert rows[0]["gigabytes_per_second"] > 0
    assert rows[0]["transport"].startswith("tcp/"), "nothing else can lead from one container to another here"
    if tool == "bench-nixl":  # ucx_perftest compares nothing
        assert rows[0]["content"] is True


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
