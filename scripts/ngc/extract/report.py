"""What people and programs see: progress, the plan, the result. Data on stdout, people's lines on stderr."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ngc import output, sizes
from ngc.extract.inventory import Inventory
from ngc.extract.reading import Listener
from ngc.extract.sources import Blob


@contextmanager
def listening(as_json: bool) -> Iterator[Listener]:
    """A listener: JSON events on stdout, a live line per layer on a terminal, a line per finished layer elsewhere."""
    if as_json:
        yield _events(lambda event: print(json.dumps(event), flush=True))
    elif sys.stderr.isatty():
        with _live() as listener:
            yield listener
    else:
        yield _plain()


def _events(say: Callable[[Mapping[str, Any]], None]) -> Listener:
    lock, last = threading.Lock(), dict[Blob, float]()

    def listen(what: str, blob: Blob, count: int, files: int) -> None:
        now = time.monotonic()
        with lock:
            if what == "read" and now - last.get(blob, 0.0) < 1:
                return
            last[blob] = now
            say({"event": what, "layer": blob.name, "size": blob.size, "bytes": count, "files": files})

    return listen


def _plain() -> Listener:
    lock = threading.Lock()

    def listen(what: str, blob: Blob, count: int, files: int) -> None:
        if what == "end" and count and not blob.first:
            with lock:
                part = f" of {sizes.text(blob.size)}" if blob.size and blob.size != count else ""
                print(
                    f"{short(blob.name)}: {sizes.text(count)}{part} read, {files} files taken",
                    file=sys.stderr,
                    flush=True,
                )

    return listen


@contextmanager
def _live() -> Iterator[Listener]:
    layers: dict[Blob, tuple[str, int, int]] = {}

    def rows() -> Iterator[Sequence[str]]:
        for blob, (what, count, files) in list(layers.items()):
            done = f"{sizes.text(count)} of {sizes.text(blob.size)}" if blob.size else sizes.text(count)
            yield short(blob.name), done, f"{files} files", "done" if what == "end" else ""

    def listen(what: str, blob: Blob, count: int, files: int) -> None:
        if not blob.first:
            layers[blob] = what, count, files

    with output.live(rows):
        yield listen


def short(name: str) -> str:
    """A digest as people tell them apart."""
    return name[:19] if name.startswith("sha256:") else name


def result(made: Inventory, out: Path, unchanged: bool, as_json: bool) -> None:
    """Print what a folder holds now."""
    if as_json:
        parts = {name: asdict(part) for name, part in made.components.items()}
        summary = {key: value for key, value in vars(made).items() if key not in ("entries", "spec", "format")}
        summary |= {"components": parts}
        print(json.dumps({"event": "unchanged" if unchanged else "done", "out": str(out), **summary}), flush=True)
        return
    width = max(map(len, made.components))
    for name, part in made.components.items():
        counted = f"{part.files:6} files  {sizes.text(part.bytes):>9}"
        print(output.line(f"{name:{width}}  {part.version or '-':12}  {counted}  {' '.join(part.paths)}"))
    for name in made.left_out:
        print(output.line(f"left out: {name} is a device"), file=sys.stderr)
    shown = out.relative_to(Path.cwd()) if out.is_relative_to(Path.cwd()) else out
    print(
        f"{shown} {'already holds' if unchanged else 'holds'} this of {made.image} ({short(made.digest)}, {made.platform})"
    )
