"""One process of a bench-nixl run: `python -m bench.worker`, its orders as JSON on stdin.

NIXL is loaded here and not in the command itself, because UCX's report (ucx_log.py) is complete only once its process
has ended, and because a crash of native code must not take the command's message away. Results go to the file named in
the orders, one JSON object per line.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from importlib import metadata
from pathlib import Path

from . import agents, wire
from .errors import run


def main() -> None:
    orders = json.load(sys.stdin)
    with Path(orders["results"]).open("a", buffering=1, encoding="utf-8") as results:
        _ROLES[orders["role"]](orders, lambda result: results.write(json.dumps(result) + "\n"))


def _listen(orders: dict, tell) -> None:
    with wire.listening(orders["host"], orders["port"]) as server:
        tell({"port": server.getsockname()[1]})
        connection, _ = server.accept()
    line = wire.Line(connection)
    tell({"peer": line.peer})
    agents.listen(line)


def _connect(orders: dict, tell) -> None:
    line = wire.connect(orders["host"], orders["port"])
    tell({"nixl": _version()})
    agents.connect(line, agents.Plan(**orders["plan"]), tell)


def _both(orders: dict, tell) -> None:
    """Both sides in this process; the listening one in a thread."""
    mine, other = _pair()
    thread = threading.Thread(target=agents.listen, args=(wire.Line(other),), daemon=True)
    thread.start()
    tell({"nixl": _version()})
    agents.connect(wire.Line(mine), agents.Plan(**orders["plan"]), tell)
    thread.join()


def _pair() -> tuple[socket.socket, socket.socket]:
    with wire.listening("127.0.0.1", 0) as server:
        mine = socket.create_connection(server.getsockname())
        return mine, server.accept()[0]


def _version() -> str:
    for name in ("nixl", "nixl-cu12", "nixl-cu13"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "unknown"


_ROLES = {"listen": _listen, "connect": _connect, "both": _both}

if __name__ == "__main__":
    sys.exit(run(main))
