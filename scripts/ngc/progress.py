"""What a person sees while a plan runs: one live line per image on a terminal, plain lines elsewhere. All on stderr."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ngc import output
from ngc.runner import Listener

_BUILDKIT = re.compile(r"#\d+ \[(?P<place>[^\]]+)\] (?P<what>.*)")  # `#7 [2/3] RUN ...` of --progress plain
_BUILDAH = re.compile(r"STEP (?P<place>\d+/\d+): (?P<what>.*)")
LONGEST = 120  # characters of a build step that are shown; the log has them all


@dataclass
class _Line:
    """The state of one step while it runs; `since` is of the monotonic clock."""

    since: float
    now: str = ""
    outcome: str = ""
    seconds: float = 0.0


def milestone(text: str) -> str | None:
    """The build step that an output line announces, None for all other lines."""
    match = _BUILDKIT.match(text) or _BUILDAH.match(text)
    if not match or match["place"].startswith("internal"):
        return None
    what = re.sub(r"--(mount|chmod)=\S+ ", "", " ".join(match["what"].split()))
    return f"[{match['place']}] {what if len(what) <= LONGEST else what[: LONGEST - 1] + '…'}"


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener for the run of a plan's steps."""
    if sys.stderr.isatty():
        with _live() as listener:
            yield listener
    else:
        yield _plain()


def _plain() -> Listener:
    lock = threading.Lock()
    started: dict[str, float] = {}

    def listen(name: str, text: str) -> None:
        with lock:
            if text == "start":
                started[name] = time.monotonic()
                shown: str | None = "started"
            elif text.startswith("end "):
                seconds = time.monotonic() - started.get(name, time.monotonic())
                shown = f"{text[4:]} after {seconds:.1f} s" if name in started else text[4:]
            else:
                shown = milestone(text)
            if shown:
                print(f"{name}: {shown}", file=sys.stderr, flush=True)

    return listen


@contextmanager
def _live() -> Iterator[Listener]:
    lines: dict[str, _Line] = {}

    def rows() -> Iterator[Sequence[output.Cell]]:
        for name, line in list(lines.items()):
            seconds = line.seconds if line.outcome else time.monotonic() - line.since
            yield name, f"{seconds:.1f} s", (line.outcome, "bold") if line.outcome else line.now

    def listen(name: str, text: str) -> None:
        if text == "start":
            lines[name] = _Line(time.monotonic(), "started")
        elif text.startswith("end "):
            line = lines.setdefault(name, _Line(time.monotonic()))
            line.outcome, line.seconds = text[4:], time.monotonic() - line.since
        elif name in lines and (step := milestone(text)):
            lines[name].now = step

    with output.live(rows, right=(1,)):
        yield listen
