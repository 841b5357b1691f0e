"""What bench-nixl and bench-ucx refuse, and how they show results. No NIXL, UCX or GPU is needed."""

import json
import socket
import sys
import threading

import pytest

from bench import memory, nixl_cli, report, ucx_cli, units, wire
from bench.errors import Failed, Wrong, run

RESULT = report.Result(
    "write",
    "dram",
    "vram",
    65536,
    2,
    10,
    0.5,
    units.Latency(1, 2, 3, 4, 5),
    1.31072,
    "tcp/eth0",
    "software emulation",
    True,
)


def call(monkeypatch, main, *arguments):
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    monkeypatch.setattr(memory, "gpu_count", lambda: 0)
    return run(main)


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--size", "4KB"], "size is '4KB'"),
        (["--threads", "0"], "--threads is 0"),
        (["--iterations", "0"], "--iterations is 0"),
        (["--memory", "disk"], "invalid choice"),
        (["--listen", "1", "--connect", "a:1"], "exclude each other"),
        (["--mode", "hosts"], "--listen PORT"),
        (["--mode", "process", "--connect", "a:1"], "stays on one machine"),
        (["--seconds", "0"], "--seconds must be above 0"),
        (["--memory", "vram"], "--gpus all"),
        (["--memory-remote", "vram"], "--gpus all"),
    ],
)
def test_bench_nixl_refuses_with_one_sentence_and_exit_code_2(monkeypatch, capsys, arguments, said):
    assert call(monkeypatch, nixl_cli.main, *arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and said in lines[0]


def test_bench_ucx_outside_the_image_says_where_it_belongs(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "")
    assert call(monkeypatch, ucx_cli.main) == 2
    assert "benchmark image" in capsys.readouterr().err


def test_an_interrupted_run_exits_with_130():
    def main():
        raise KeyboardInterrupt

    assert run(main) == 130


def test_json_names_its_units_and_holds_numbers():
    document = json.loads(report.as_json("bench-nixl", {"mode": "process"}, [RESULT]))
    assert (document["tool"], document["mode"]) == ("bench-nixl", "process")
    (row,) = document["results"]
    assert row["size_bytes"] == 65536 and row["gigabytes_per_second"] == 1.31072
    assert row["latency_microseconds"] == {"minimum": 1, "p50": 2, "p90": 3, "p99": 4, "maximum": 5}
    assert row["transport"] == "tcp/eth0" and row["content"] is True


def test_the_table_leaves_out_columns_without_values():
    bare = report.Result(
        "put", "dram", "dram", 4096, 1, 9, None, units.Latency(None, 2, None, 4, None), 1, "t", "p", None
    )
    assert "max us" in report.as_table([RESULT]) and "content" in report.as_table([RESULT])
    head = report.as_table([bare]).splitlines()[0]
    assert "p50 us" in head and "max us" not in head and "content" not in head


def test_the_table_shouts_when_the_content_is_wrong():
    wrong = report.Result(**{**vars(RESULT), "content": False})
    assert "WRONG" in report.as_table([wrong])


def test_the_pattern_depends_on_seed_and_place():
    first = memory.pattern(1, 3 << 20)
    assert len(first) == 3 << 20 and first == memory.pattern(1, 3 << 20) != memory.pattern(2, 3 << 20)
    assert first[: 1 << 20] != first[1 << 20 : 2 << 20]


def test_host_memory_is_filled_and_read_where_its_address_says():
    buffer = memory.Dram(8192)
    buffer.write(b"abc")
    assert buffer.read(4) == b"abc\0" and buffer.address % 4096 == 0


@pytest.fixture
def pair():
    with wire.listening("127.0.0.1", 0) as server:
        mine = wire.connect(*server.getsockname())
        other = wire.Line(server.accept()[0])
        yield mine, other
        mine.close()
        other.close()


def test_an_error_on_the_other_side_is_told_on_this_side(pair):
    mine, other = pair
    other.tell(error="no GPU there")
    with pytest.raises(Failed, match="the other side says: no GPU there"):
        mine.hear()


def test_the_end_of_the_other_side_is_a_failure(pair):
    mine, other = pair
    other.close()
    with pytest.raises(Failed, match="the other side ended"):
        mine.hear()


def test_a_stranger_on_the_port_is_named_as_such():
    with wire.listening("127.0.0.1", 0) as server:
        thread = threading.Thread(target=lambda: _greet(server))
        thread.start()
        line = wire.connect(*server.getsockname())
        with pytest.raises(Failed, match="another protocol"):
            line.hear()
        thread.join()
        line.close()


def _greet(server: socket.socket) -> None:
    connection, _ = server.accept()
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\n")
    connection.close()


def test_nobody_listening_says_what_to_start():
    with wire.listening("127.0.0.1", 0) as server:
        port = server.getsockname()[1]
    with pytest.raises(Failed, match=f"--listen {port}"):
        wire.connect("127.0.0.1", port)


def test_the_kernel_s_table_tells_a_listening_port_from_a_used_one():
    table = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1\n"
        "   1: 0100007F:1F91 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 12346 1\n"
    )
    assert ucx_cli._listens(table, 8080) and not ucx_cli._listens(table, 8081)


def test_wrong_and_failed_are_told_apart():
    def wrong():
        raise Wrong("asked wrongly")

    def failed():
        raise Failed("it failed")

    assert (run(wrong), run(failed), run(lambda: None)) == (2, 1, 0)
