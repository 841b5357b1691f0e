"""UCX's own report of the transport, as captured from NIXL 0.7.0 and ucx_perftest on UCX 1.19.0."""

import pytest

from bench import ucx_log

# Two agents in one process; the first table is an agent's endpoint to itself.
NIXL_WRITE = """\
[1795568766.073876] [vm:12701:0]   +--------------------------+-------------------------------------------------------------+
[1795568766.073880] [vm:12701:0]   | ucp_context_0 self cfg#0 | remote memory write by ucp_put* from host memory to host    |
[1795568766.073880] [vm:12701:0]   +--------------------------+----------------------------------------------------+--------+
[1795568766.073881] [vm:12701:0]   |                   0..inf | software emulation                                 | tcp/lo |
[1795568766.073882] [vm:12701:0]   +--------------------------+----------------------------------------------------+--------+
[1795568766.084134] [vm:12701:0]   +--------------------------------+--------------------------------------------------------------------+
[1795568766.084136] [vm:12701:0]   | ucp_context_0 intra-node cfg#1 | remote memory write by ucp_put*(multi) from host memory to host    |
[1795568766.084136] [vm:12701:0]   +--------------------------------+-----------------------------------------------------------+--------+
[1795568766.084137] [vm:12701:0]   |                         0..inf | software emulation                                        | tcp/lo |
[1795568766.084138] [vm:12701:0]   +--------------------------------+-----------------------------------------------------------+--------+
[1795568766.255605] [vm:12701:1]   | ucp_context_1 intra-node cfg#1 | active message by ucp_am_send* from host memory    |
[1795568766.255605] [vm:12701:1]   +--------------------------------+-------------------------------------------+--------+
[1795568766.255606] [vm:12701:1]   |                        0..8184 | short                                     | tcp/lo |
[1795568766.255606] [vm:12701:1]   |                      8185..inf | multi-frag copy-in                        | tcp/lo |
[1795568766.255606] [vm:12701:1]   +--------------------------------+-------------------------------------------+--------+
"""

NIXL_READ = """\
[1795569375.298535] [vm:21836:0]   | ucp_context_0 intra-node cfg#1 | remote memory read by ucp_get*(multi) into host memory from host    |
[1795569375.298535] [vm:21836:0]   +--------------------------------+------------------------------------------------------------+--------+
[1795569375.298536] [vm:21836:0]   |                         0..inf | software emulation                                         | tcp/lo |
"""

PERFTEST_PUT = """\
[1795568862.917818] [vm:16580:0]   | perftest intra-node cfg#0 | remote memory write by ucp_put* from host memory to host    |
[1795568862.917829] [vm:16580:0]   +---------------------------+-----------------------------------------------+-------------+
[1795568862.917829] [vm:16580:0]   |                   0..5144 | short                                         | sysv/memory |
[1795568862.917829] [vm:16580:0]   |                 5145..inf | zero-copy                                     | cma/memory  |
[1795568862.917830] [vm:16580:0]   +---------------------------+-----------------------------------------------+-------------+
[1795568862.917921] [vm:16580:0]   +---------------------------+--------------------------------------------------------------------+
[1795568862.917922] [vm:16580:0]   | perftest intra-node cfg#0 | remote memory write by ucp_put*(multi) from host memory to host    |
[1795568862.917922] [vm:16580:0]   +---------------------------+------------------------------------------------------+-------------+
[1795568862.917922] [vm:16580:0]   |                   0..3670 | short                                                | sysv/memory |
[1795568862.917923] [vm:16580:0]   |                 3671..inf | zero-copy                                            | cma/memory  |
"""

# Captured on an H100: ucx_perftest, GPU to GPU memory in two processes.
GPU = """\
[1795570616.182734] [vm:1026 :0]   | perftest self cfg#2 | remote memory write by ucp_put* from host memory to cuda    |
[1795570616.182739] [vm:1026 :0]   +---------------------+--------------------------------------------+----------------+
[1795570616.182742] [vm:1026 :0]   |              0..inf | zero-copy                                  | cuda_copy/cuda |
[1795570616.182745] [vm:1026 :0]   +---------------------+--------------------------------------------+----------------+
[1795570616.184122] [vm:1026 :0]   | perftest intra-node cfg#1 | remote memory write by ucp_put* from cuda/GPU0 to cuda    |
[1795570616.184126] [vm:1026 :0]   +---------------------------+-------------------------------------------+---------------+
[1795570616.184130] [vm:1026 :0]   |                    0..inf | zero-copy                                 | cuda_ipc/cuda |
[1795570616.184134] [vm:1026 :0]   +---------------------------+-------------------------------------------+---------------+
"""

# Captured on an H100: NIXL reads from host memory into GPU memory.
GPU_READ = """\
[1795570814.927307] [vm:826  :2]   | ucp_context_0 intra-node cfg#2 | remote memory read by ucp_get*(multi) into cuda/GPU0 from host    |
[1795570814.927309] [vm:826  :2]   +--------------------------------+----------------------------------------------------------+--------+
[1795570814.927310] [vm:826  :2]   |                         0..inf | software emulation                                       | tcp/lo |
"""

# Not captured: the shape that UCX's documentation shows for RDMA and two lanes; no machine with RDMA was at hand.
RDMA = """\
| ucp_context_0 inter-node cfg#2 | remote memory write by ucp_put*(multi) from cuda/GPU0 to cuda/GPU1 |
|                          0..8K | (?) copy-in   | rc_mlx5/mlx5_0:1                                      |
|                       8193..inf | zero-copy     | 50% on rc_mlx5/mlx5_0:1 and 50% on rc_mlx5/mlx5_1:1   |
"""


def route(text, call, size, local="host", remote="host"):
    return ucx_log.route(ucx_log.parse(text), call, size, local, remote)


@pytest.mark.parametrize("text, call", [(NIXL_WRITE, "ucp_put"), (NIXL_READ, "ucp_get")])
@pytest.mark.parametrize("size", [4096, 1 << 30])
def test_nixl_over_tcp_is_read_as_tcp(text, call, size):
    assert route(text, call, size) == ucx_log.Route("tcp/lo", "software emulation")


@pytest.mark.parametrize(
    "size, expected",
    [
        (1000, ucx_log.Route("sysv/memory", "short")),
        (1 << 20, ucx_log.Route("cma/memory", "zero-copy")),
        (3671, ucx_log.Route("sysv/memory or cma/memory", "short or zero-copy")),
    ],
)
def test_the_row_of_the_size_counts_and_a_disagreement_is_shown(size, expected):
    assert route(PERFTEST_PUT, "ucp_put", size) == expected


def test_rows_end_where_the_report_says():
    assert route(PERFTEST_PUT.partition("[1795568862.917830]")[0], "ucp_put", 5144).transport == "sysv/memory"
    assert route(PERFTEST_PUT.partition("[1795568862.917830]")[0], "ucp_put", 5145).transport == "cma/memory"


def test_active_messages_have_no_remote_memory_and_fit_any():
    assert route(NIXL_WRITE, "ucp_am_send", 8185, remote="cuda") == ucx_log.Route("tcp/lo", "multi-frag copy-in")


def test_an_endpoint_to_oneself_counts_only_when_there_is_no_other():
    other = NIXL_WRITE.replace("| tcp/lo |", "| self/memory |", 1)
    assert route(other, "ucp_put", 4096).transport == "tcp/lo"
    assert route(other.partition("[1795568766.084134]")[0], "ucp_put", 4096).transport == "self/memory"


def test_tables_of_two_threads_that_write_into_each_other_are_kept_apart():
    other = NIXL_READ.replace("vm:21836:0", "vm:21836:1").replace("tcp/lo", "tcp/eth0").splitlines()
    mixed = "\n".join(line for pair in zip(NIXL_WRITE.splitlines()[6:9], other, strict=True) for line in pair)
    assert route(mixed, "ucp_put", 4096).transport == "tcp/lo"
    assert route(mixed, "ucp_get", 4096).transport == "tcp/eth0"


def test_gpu_memory_is_told_from_host_memory():
    assert route(GPU, "ucp_put", 4096, "cuda", "cuda") == ucx_log.Route("cuda_ipc/cuda", "zero-copy")
    assert route(GPU, "ucp_put", 4096, "host", "cuda") == ucx_log.Route("cuda_copy/cuda", "zero-copy")
    assert route(GPU, "ucp_put", 4096, "cuda", "host") == ucx_log.Route()


def test_a_read_names_the_near_memory_first():
    assert route(GPU_READ, "ucp_get", 4096, "cuda", "host").transport == "tcp/lo"
    assert route(GPU_READ, "ucp_get", 4096, "host", "cuda").transport == "unknown"


def test_two_lanes_are_shown_as_ucx_words_them():
    assert route(RDMA, "ucp_put", 8192, "cuda", "cuda") == ucx_log.Route("rc_mlx5/mlx5_0:1", "copy-in")
    assert "and 50% on rc_mlx5/mlx5_1:1" in route(RDMA, "ucp_put", 1 << 20, "cuda", "cuda").transport


@pytest.mark.parametrize(
    "text, call",
    [("", "ucp_put"), ("UCX says something new | in | other | words\n", "ucp_put"), (NIXL_WRITE, "ucp_get")],
)
def test_without_a_report_of_the_case_the_transport_is_unknown_and_never_guessed(text, call):
    assert route(text, call, 4096) == ucx_log.Route("unknown", "unknown")


def test_warnings_of_ucx_are_found_between_the_tables():
    warning = "[1795569663.027120] [c:11   :0]          parser.c:2359 UCX  WARN  unused environment variable: UCX_TSL"
    assert ucx_log.complaints(NIXL_WRITE + warning + "\n") == [warning]
    assert ucx_log.complaints(NIXL_WRITE) == []


def test_a_warning_that_ucx_perftest_gives_every_time_is_left_out():
    affinity = (
        "[1795570562.355245] [vm:788  :0]        perftest.c:800  UCX  WARN  CPU affinity is not set (bound to 16 cpus)."
    )
    assert ucx_log.complaints(affinity) == []


def test_the_report_is_asked_for_without_choosing_a_transport(tmp_path):
    assert set(ucx_log.environment(tmp_path)) == {"UCX_PROTO_INFO", "UCX_LOG_FILE"}


def test_a_head_on_two_lines_is_one_head():
    """UCX 1.22 writes them so; bench-nixl called the transport unknown."""
    one = "| ucp_context_0 intra-node cfg#1 | remote memory read by ucp_get*(multi) into host memory from host    |"
    first, second = (f"| {cell.strip()} |" for cell in one.strip("|").split("|"))
    head = "[1795569375.298535] [vm:21836:0]   "
    assert ucx_log.parse(NIXL_READ.replace(one, f"{first}\n{head}{second}")) == ucx_log.parse(NIXL_READ)
