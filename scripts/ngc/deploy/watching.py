"""What a person sees while something comes up: a live table on a terminal, a line for each change elsewhere. All on stderr."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TextIO

from ngc import output

Update = Callable[[Mapping[str, str]], None]
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def plain(stream: TextIO) -> bool:
    """True if what is printed there must have no colours (no-color.org)."""
    return not stream.isatty() or bool(os.environ.get("NO_COLOR"))


def uncoloured(line: str) -> str:
    """A line of a program that writes colours even where nobody asked."""
    return _COLOUR.sub("", line)


@contextmanager
def watching() -> Iterator[Update]:
    """A function that takes the state of every part, by name, as often as one likes."""
    if sys.stderr.isatty():
        with _live() as update:
            yield update
    else:
        yield _lines()


def _lines() -> Update:
    begun = time.monotonic()
    shown: dict[str, str] = {}

    def update(states: Mapping[str, str]) -> None:
        for name, state in states.items():
            if shown.get(name) != state:
                shown[name] = state
                at = time.monotonic() - begun
                print(f"{at:6.1f} s  {output.line(f'{name}: {state}')}", file=sys.stderr, flush=True)

    return update


@contextmanager
def _live() -> Iterator[Update]:
    begun = time.monotonic()
    since: dict[str, tuple[str, float]] = {}

    def rows() -> Iterator[Sequence[str]]:
        for name, (state, at) in list(since.items()):
            yield name, f"{at - begun:.1f} s", state

    def update(states: Mapping[str, str]) -> None:
        for name, state in states.items():
            if since.get(name, ("",))[0] != state:
                since[name] = (state, time.monotonic())

    with output.live(rows, right=(1,)):
        yield update
