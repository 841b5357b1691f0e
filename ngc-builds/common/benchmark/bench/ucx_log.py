"""Which transport moved the bytes, read from the tables that UCX writes about itself with UCX_PROTO_INFO=y.

UCX chooses protocol and transport by endpoint, operation, kind of memory and size, at run time; only its own report of
the run says what it chose. Where that report is missing or silent about a case, the answer here is 'unknown'.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

UNKNOWN = "unknown"

_PREFIX = re.compile(r"^\[\d+\.\d+\] \[([^\]]+)\] ?")
_HEAD = re.compile(r"^(?P<context>\S+) (?P<scope>.+) cfg#\d+$")
# Writes go "from host memory to cuda", reads "into host memory from cuda"; for a GPU it is "from cuda/GPU0 to cuda".
_MEMORY = r"([a-z][a-z-]*)(?:/\S+)?(?: memory)?"
_WHAT = re.compile(rf" by (ucp_\w+)\S*.*? (?:from|into) {_MEMORY}(?: (?:to|from) {_MEMORY})?$")
_RANGE = re.compile(r"^(\d+)([KMGT]?)\.\.(?:(\d+)([KMGT]?)|inf)$")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
# ucx_perftest asks for CPU affinity every time it starts; that says nothing about the run.
_COMPLAINT = re.compile(r"UCX +(?:WARN|ERROR|FATAL) (?!.*CPU affinity is not set)")


@dataclass(frozen=True)
class Row:
    """How messages from `first` to `last` bytes travel; `last` None: without limit."""

    first: int
    last: int | None
    protocol: str
    transport: str


@dataclass(frozen=True)
class Table:
    """One table of UCX's report. `scope` is self, intra-node or inter-node; memory is host, cuda, ..."""

    context: str
    scope: str
    call: str
    local: str
    remote: str | None
    rows: list[Row] = field(default_factory=list)


def environment(folder: Path) -> dict[str, str]:
    """Variables that make a UCX process write its report into `folder`; they choose no transport."""
    return {"UCX_PROTO_INFO": "y", "UCX_LOG_FILE": str(folder / "ucx.%p.log")}


def read_folder(folder: Path) -> str:
    """All that the processes of a run wrote there."""
    return "\n".join(path.read_text(errors="replace") for path in sorted(folder.glob("ucx.*.log")))


def complaints(text: str) -> list[str]:
    """UCX's warnings and errors in a log, which would else be lost with the file."""
    return [line for line in text.splitlines() if _COMPLAINT.search(line)]


def parse(text: str) -> list[Table]:
    """The tables in a log; what is no table, or of a shape not known here, is passed over.

    Threads write their tables into each other's; the thread in front of each line, as in [host:pid:thread], parts them.
    """
    tables: list[Table] = []
    current: dict[str, Table | None] = {}
    for line in text.splitlines():
        prefix = _PREFIX.match(line)
        thread = prefix[1] if prefix else ""
        cells = [cell.strip() for cell in _PREFIX.sub("", line).strip().strip("|").split("|")]
        table = current.get(thread)
        if len(cells) == 2:
            current[thread] = table = _table(*cells)
            if table:
                tables.append(table)
        elif len(cells) == 3 and table:
            _add_row(table, *cells)
    return tables


def _table(head: str, what: str) -> Table | None:
    left, right = _HEAD.match(head), _WHAT.search(what)
    if not (left and right):
        return None
    return Table(left["context"], left["scope"], *right.groups())


def _add_row(table: Table, sizes: str, protocol: str, transport: str) -> None:
    match = _RANGE.match(sizes)
    if match:
        last = None if match[3] is None else int(match[3]) * _UNITS[match[4]]
        # "(?) " marks a protocol whose speed UCX could only guess.
        table.rows.append(Row(int(match[1]) * _UNITS[match[2]], last, protocol.removeprefix("(?) "), transport))
    elif not sizes and table.rows and transport:
        # A second lane of the row above.
        row = table.rows.pop()
        table.rows.append(Row(row.first, row.last, row.protocol, f"{row.transport} + {transport}"))


@dataclass(frozen=True)
class Route:
    """The answer for one case; both 'unknown' where UCX did not say. Several answers are joined with ' or '."""

    transport: str = UNKNOWN
    protocol: str = UNKNOWN


def route(tables: list[Table], call: str, size: int, local: str, remote: str) -> Route:
    """How messages of `size` bytes went from `local` to `remote` memory when the program used UCX's `call`.

    Endpoints to oneself are left out unless there are no others: NIXL makes one for every agent and benchmarks none.
    """
    fitting = [t for t in tables if t.call == call and t.local == local and t.remote in (remote, None)]
    fitting = [t for t in fitting if t.scope != "self"] or fitting
    rows = [row for t in fitting for row in t.rows if row.first <= size and (row.last is None or size <= row.last)]
    if not rows:
        return Route()
    return Route(_joined(row.transport for row in rows), _joined(row.protocol for row in rows))


def _joined(names) -> str:
    return " or ".join(dict.fromkeys(name for name in names if name)) or UNKNOWN
