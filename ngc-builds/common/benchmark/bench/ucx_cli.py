"""bench-ucx: latency and rate of UCX itself, measured by ucx_perftest between two processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from . import memory, perftest, report, ucx_log, units, wire
from . import options as common
from .errors import Failed

# How much is moved to measure one size when --iterations is not given, within 20 and 10,000 times.
_VOLUME = 2 << 30
_READY = 20.0  # seconds for ucx_perftest to begin to listen
_SLOW = 540.0  # seconds for one run of it


def main() -> None:
    parser = common.Parser(prog="bench-ucx", description=__doc__.split(": ", 1)[1])
    parser.add_argument(
        "--test",
        choices=tuple(perftest.TESTS),
        default="put",
        help="put and get are what NIXL's write and read use; tag and am are two-sided (default: %(default)s)",
    )
    common.add_common(parser, sizes="4K,64K,1M,16M,64M")
    parser.add_argument(
        "--iterations",
        type=int,
        metavar="N",
        help="transfers of each size (default: what makes 2 GiB, within 20 and 10000)",
    )
    options = parser.parse_args()
    common.check_common(options)
    program = perftest.find()
    if options.listen:
        _serve_one_run(program, *units.parse_address(options.listen, default="0.0.0.0"))
        return
    if "vram" in (options.memory, options.memory_remote):
        memory.need_gpu()
    with _other_side(program, options) as (line, host):
        results = [_size(program, line, host, options, size) for size in common.sizes(options)]
        line.tell(do="end")
    facts = {"ucx": program.version, "ucx_perftest": program.path}
    if options.json:
        print(report.as_json("bench-ucx", facts, results))
        return
    origin = "this image's own copy: the base has none" if program.own else "the base's"
    print(f"UCX {program.version}, {program.path}, {origin}", file=sys.stderr)
    print(report.as_table(results))


@contextmanager
def _other_side(program: perftest.Program, options) -> Iterator[tuple[wire.Line, str]]:
    """A line to the side that listens, on the other host or in a thread here, and the host it is on."""
    if options.connect:
        host, port = units.parse_address(options.connect, default="127.0.0.1")
        yield wire.connect(host, port), host
        return
    with wire.listening("127.0.0.1", 0) as server:
        address = server.getsockname()
        thread = threading.Thread(target=_answer_quietly, args=(program, server), daemon=True)
        thread.start()
        yield wire.connect(*address), address[0]
        thread.join(timeout=5)


def _answer_quietly(program: perftest.Program, server) -> None:
    with suppress(Failed):  # the other side was told, and it is the one that prints
        _answer(program, server, 0)


def _serve_one_run(program: perftest.Program, host: str, port: int) -> None:
    with wire.listening(host, port) as server:
        print(
            f"listening on {host}:{port} and {port + 1}; on the other host: bench-ucx --connect THIS_HOST:{port}",
            file=sys.stderr,
        )
        _answer(program, server, port + 1)


def _answer(program: perftest.Program, server, port: int) -> None:
    """Start a ucx_perftest server, on `port` or a free one, as often as the other side asks."""
    line = wire.Line(server.accept()[0])
    while (order := line.hear())["do"] != "end":
        chosen = port or _free_port()
        with tempfile.TemporaryFile("w+") as said:
            process = subprocess.Popen(
                [program.path, "-p", str(chosen)], stdout=said, stderr=said, env={**os.environ, **program.environment}
            )
            try:
                if not _ready(process, chosen):
                    said.seek(0)
                    reason = said.read().strip() or "it said nothing"
                    line.tell(error=f"ucx_perftest did not begin to listen on port {chosen}: {reason}")
                    raise Failed(reason)
                line.tell(port=chosen)
                order = line.hear()
            finally:
                process.kill()
                process.wait()
        line.tell(done=order["do"])


def _free_port() -> int:
    with wire.listening("127.0.0.1", 0) as server:
        return server.getsockname()[1]


def _ready(process: subprocess.Popen, port: int) -> bool:
    """Wait until ucx_perftest listens, as the kernel says: trying to connect would be its one client."""
    end = time.monotonic() + _READY
    while time.monotonic() < end and process.poll() is None:
        for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
            if table.exists() and _listens(table.read_text(), port):
                return True
        time.sleep(0.01)
    return False


def _listens(table: str, port: int) -> bool:
    """Whether /proc/net/tcp has a listening socket (state 0A) on the port."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in rows)


def _size(program: perftest.Program, line: wire.Line, host: str, options, size: int) -> report.Result:
    """Three runs: the median and the 99th percentile of the latency, then the rate."""
    test = perftest.TESTS[options.test]
    local, remote = options.memory, options.memory_remote or options.memory
    names = memory.UCX_NAMES
    count = options.iterations or min(10000, max(20, _VOLUME // size))
    arguments = [
        "-s",
        str(size),
        "-n",
        str(count),
        "-w",
        str(max(1, count // 10)),
        "-m",
        f"{names[local]},{names[remote]}",
    ]
    with tempfile.TemporaryDirectory(prefix="bench-ucx-") as folder:
        environment = {**os.environ, **program.environment, **ucx_log.environment(Path(folder))}
        one = ["-t", test.latency, *arguments]
        median = _ask(program, line, host, [*one, "-R", "50"], environment)
        tail = _ask(program, line, host, [*one, "-R", "99"], environment)
        threads = ["-T", str(options.threads), "-M", "multi"] if options.threads > 1 else []
        rate = _ask(program, line, host, ["-t", test.rate, *arguments, *threads], environment)
        log = ucx_log.read_folder(Path(folder))
    for text in ucx_log.complaints(log):
        print(text, file=sys.stderr)
    way = ucx_log.route(ucx_log.parse(log), test.call, size, names[local], names[remote])
    spent = units.Latency(None, median.percentile, None, tail.percentile, None)
    return report.Result(
        options.test,
        local,
        remote,
        size,
        options.threads,
        count,
        None,
        spent,
        rate.rate,
        way.transport,
        way.protocol,
        None,
    )


def _ask(program: perftest.Program, line: wire.Line, host: str, arguments: list[str], environment) -> perftest.Answer:
    """One run of ucx_perftest against a new server on the other side. Raises Failed with what it said."""
    port = line.ask(do="serve")["port"]
    command = [program.path, host, "-p", str(port), *(["-6"] if ":" in host else []), *arguments]
    try:
        done = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=_SLOW)
    except subprocess.TimeoutExpired:
        raise Failed(f"ucx_perftest was not done after {_SLOW:.0f} s; lower --iterations or --size") from None
    line.ask(do="next")
    if done.returncode != 0:
        print(f"{' '.join(command)}\n{done.stdout}{done.stderr}".strip(), file=sys.stderr)
        raise Failed(f"ucx_perftest ended with {done.returncode}; its command and words stand above")
    return perftest.parse(done.stdout)
