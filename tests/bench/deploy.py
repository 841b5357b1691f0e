"""What a deploy costs by ourselves, apart from kubectl and from waiting: process time of `invoke deploy` on a served graph.

Needs the cluster of KUBECONFIG, with the stand-in's runtime image on its nodes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BAR = 1.5  # seconds of our own
# Runs the verb in a process that notes its own CPU time, its children's (kubectl) apart, at its end.
OWN = "import atexit, os, sys; atexit.register(lambda: print('own', sum(os.times()[:2]), file=sys.stderr)); from invoke.main import program; program.run()"


def main(rounds: int = 5) -> None:
    namespace = f"ngc-bench-{uuid.uuid4().hex[:6]}"
    context = subprocess.run(
        ["kubectl", "config", "current-context"], check=True, capture_output=True, text=True
    ).stdout.strip()
    kubectl = ["kubectl", "--context", context]
    subprocess.run([*kubectl, "create", "namespace", namespace], check=True, capture_output=True)
    words = [
        sys.executable, "-c", OWN, "--search-root", str(ROOT), "deploy", "--config=vllm-disagg", "--to=kubernetes", "--base=stand-in",
        "--allow-stand-in", f"--context={context}", f"--namespace={namespace}",
    ]  # fmt: skip
    try:
        start = time.perf_counter()
        subprocess.run(words, check=True, capture_output=True)
        fresh = time.perf_counter() - start
        own, whole, lines = [], [], []
        for _ in range(rounds):
            start = time.perf_counter()
            done = subprocess.run(words, check=True, capture_output=True, text=True)
            whole.append(time.perf_counter() - start)
            own.append(float(done.stderr.rpartition("own ")[2]))
            lines.append(len((done.stdout + done.stderr).splitlines()) - 1)
    finally:
        subprocess.run([*kubectl, "delete", "namespace", namespace, "--wait=false"], check=False, capture_output=True)
    print(f"cores: {os.cpu_count()}, rounds: {rounds}, medians")
    print(f"deploy, fresh, to the end        {fresh:.1f} s")
    print(f"deploy again, nothing to change  {statistics.median(whole):.2f} s")
    print(f"our own part, process time       {statistics.median(own):.2f} s")
    print(f"lines of output                  {statistics.median(lines):.0f}")
    if statistics.median(own) > BAR:
        sys.exit(f"error: our own part is above {BAR} s")


if __name__ == "__main__":
    main()
