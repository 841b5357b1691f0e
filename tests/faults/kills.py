"""Extracts that are ended at random moments: is the result before or after whole, and what does the next run leave?

By hand: `python tests/faults/kills.py [COUNT] [SEED]`; needs Docker. Half of the runs read an OCI layout, half an image of
the engine; half end by SIGKILL, half by SIGTERM; half at any moment, half while they read.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from tests.unit.extracting import Image, folder, member, tar  # noqa: E402  # the path above makes it importable

from ngc import catalog, files  # noqa: E402
from ngc import engine as engines  # noqa: E402
from ngc.asked.images import Extract  # noqa: E402
from ngc.extract import run  # noqa: E402

NAME = "ngc-test-kills:1"


class Kills:
    """A folder with a result in it, and what was found after each kill."""

    def __init__(self, place: Path, seed: int) -> None:
        self.out, self.cache = place / "around" / "out", place / "cache" / "ngc-dynamo" / "layers"
        self.random, self.found = random.Random(seed), Counter[str]()
        self.engine, self.table = engines.any_client(), catalog.read()
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(place / "cache")}
        image = Image([tar(folder(top), *(member(f"{top}/{n}", os.urandom(5000)) for n in range(100))) for top in "ab"])
        self.sources = [str(image.layout(place / "image")), f"docker-daemon:{NAME}"]
        engines.ask(self.engine, "load", "--input", str(image.archive(place / "image.tar", NAME)))

    def start(self, source: str, path: str) -> subprocess.Popen[str]:
        for index in self.cache.glob("*.gz"):
            index.unlink()  # each run reads all, and publishes
        words = ["extract-from-ngc", f"--image={source}", f"--component={path}", f"--out={self.out}", "--json"]
        return subprocess.Popen(
            [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.environment,
        )  # fmt: skip

    def whole(self) -> bool:
        asked = Extract(None, ("/a",), self.sources[0], out=str(self.out), json=True)
        with contextlib.redirect_stdout(io.StringIO()):
            return self.out.is_dir() and run.check(self.table, asked)

    def left(self) -> list[str]:
        """What should not be there after a run that was not disturbed."""
        made = engines.ask(self.engine, "ps", "--all", "--quiet", "--filter", f"ancestor={NAME}") or ""
        staged = [path.name for path in self.cache.iterdir() if files.is_staged(path.name)]
        return [*made.split(), *staged, *(path.name for path in self.out.parent.iterdir() if path != self.out)]

    def undisturbed(self, source: str, path: str) -> float:
        """Run to the end; returns seconds."""
        begun = time.monotonic()
        child = self.start(source, path)
        _, said = child.communicate(timeout=60)
        assert child.returncode == 0, said
        return time.monotonic() - begun

    def one(self, number: int, takes: float) -> None:
        source = self.sources[number % 2]
        which = signal.SIGKILL if number // 2 % 2 else signal.SIGTERM
        child = self.start(source, "/b" if number % 3 else "/a")
        if number // 4 % 2:
            child.stdout.readline()  # type: ignore[union-attr]  # asked for above: it is reading now
            moment = self.random.uniform(0, takes / 5)
        else:
            moment = self.random.uniform(0, takes)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(moment)
        ended = child.poll() is None
        child.send_signal(which)
        child.communicate()
        kind = f"{'engine' if number % 2 else 'layout'} {which.name}"
        self.found[f"{kind}: {'ended' if ended else 'was faster'}"] += 1
        self.found["lost"] += not self.whole()
        beside = self.left()
        self.found[f"{kind}: something left until the next run"] += bool(beside)
        for staged in self.cache.iterdir():
            if files.is_staged(staged.name):
                os.utime(staged, (0, 0))  # they go when a minute old
        self.undisturbed(source, "/a")
        self.found["lost after the next run"] += not self.whole()
        left = self.left()
        self.found["left after the next run"] += len(left)
        if left:
            print(f"{number}: {kind} after {moment:.3f} s left {left}", file=sys.stderr)


def main(count: int = 200, seed: int = 1) -> None:
    with tempfile.TemporaryDirectory(prefix="ngc-kills-") as place:
        kills = Kills(Path(place), seed)
        try:
            takes = [kills.undisturbed(source, "/a") for source in kills.sources]
            for number in range(count):
                kills.one(number, takes[number % 2])
        finally:
            engines.ask(kills.engine, "image", "rm", "--force", NAME, fails=False)
    for what, times in sorted(kills.found.items()):
        print(f"{times:5}  {what}")


main(*map(int, sys.argv[1:3]))
