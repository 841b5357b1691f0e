"""How long a build-all with nothing to do takes, against the cached `docker build` calls that it saves.

Rounds of both in turn, medians. Our own part is timed inside a process that has imported everything already: read the
table, hash the inputs, ask the engine once, decide.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OWN = """
import sys, time
sys.path.insert(0, sys.argv[1])
import fastjsonschema, pathspec, rich.console, rich.table, ruamel.yaml, sh, dockerfile_parse
from ngc import build, catalog, engine, planning, progress, report, runner
from ngc.asked.images import Build
def decide():
    plan = build._make(catalog.read(), Build(base="stand-in"), engine.any_client())
    return plan, runner.run(plan, 2, lambda *_: None)
start = time.perf_counter()
plan, results = decide()
print(time.perf_counter() - start, len(plan.todo))
"""


def seconds(*command: str, environment: dict[str, str] | None = None) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - start


def main(rounds: int = 7) -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    from ngc import build, catalog, engine
    from ngc.asked.images import Build

    client = engine.builder()
    plan = build._make(catalog.read(), Build(base="stand-in"), client)
    if plan.todo:
        sys.exit("error: there is something to do; run `scripts/build-all.sh --base=stand-in` first")
    from ngc.plan import build_command

    steps = [step for step in plan.steps if step.build and step.build.target]
    commands = [build_command(plan, step, None, {}) for step in steps]
    # As by hand: the same Dockerfiles and arguments, under no name, without labels that would make new images.
    bare = [[*command[: command.index("--label")], str(plan.context)] for command in commands]
    ours, theirs, own = [], [], []
    for _ in range(rounds):
        ours.append(seconds(sys.executable, "-m", "invoke", "--search-root", str(ROOT), "build-all", "--base=stand-in"))
        theirs.append(sum(seconds(*command, environment=client.environment) for command in bare))
        text = subprocess.run(
            [sys.executable, "-c", OWN, str(ROOT / "scripts")], check=True, capture_output=True, text=True
        )
        own.append(float(text.stdout.split()[0]))
    print(f"images: {len(steps)}, client: {client.client}, cores: {os.cpu_count()}, rounds: {rounds}, medians")
    print(f"build-all, nothing to do     {statistics.median(ours):.3f} s")
    print(f"{len(steps)} cached docker builds      {statistics.median(theirs):.3f} s")
    print(f"ratio                        {statistics.median(a / b for a, b in zip(ours, theirs, strict=True)):.2f}")
    print(f"our own part                 {statistics.median(own) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
