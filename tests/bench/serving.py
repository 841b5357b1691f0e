"""`up` to the first 200, then requests per second and latencies of aggregated against disaggregated, by NVIDIA's aiperf.

Both have two workers of the stand-in. It computes nothing, so the figures are those of Dynamo, its transfers and this machine:
they show what the way through a prefill worker costs, not what it saves on GPUs.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
AIPERF = "aiperf==0.13.0"  # NVIDIA's load generator, Apache-2.0; fetched by uv into its own cache, 840 MB
PORT = 18000
URL = f"http://127.0.0.1:{PORT}"
CLIENTS = (1, 8, 32)
INPUT, OUTPUT, REQUESTS = 200, 32, 200
ONE_TOKEN = {"model": "Qwen/Qwen3-0.6B", "max_tokens": 1, "messages": [{"role": "user", "content": "Hi"}]}


def invoke(*words: str) -> list[str]:
    return [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words]


def answers() -> bool:
    request = urllib.request.Request(
        f"{URL}/v1/chat/completions", json.dumps(ONE_TOKEN).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status == 200 and "transferred" in answer.read().decode()
    except OSError:
        return False


def first_answer() -> tuple[float, float]:
    """Seconds from the start of `up` to the first 200 with a hand-over, and to the end of `up`."""
    start = time.perf_counter()
    words = invoke("up", "--config=vllm-disagg", "--base=stand-in", f"--port={PORT}")
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not answers():
        if child.poll() not in (None, 0):
            sys.exit("error: `invoke up` failed; run it by hand to see why")
    first = time.perf_counter() - start
    child.wait()
    return first, time.perf_counter() - start


@contextmanager
def up(config: str, *sets: str) -> Iterator[None]:
    words = invoke("up", f"--config={config}", "--base=stand-in", f"--port={PORT}", *(f"--set={one}" for one in sets))
    subprocess.run(words, check=True, capture_output=True)
    try:
        yield
    finally:
        down(config)


def down(config: str) -> None:
    subprocess.run(invoke("down", f"--config={config}"), check=True, capture_output=True)


def profile(clients: int, tokenizer: str) -> dict[str, float]:
    """aiperf's figures: requests per second, and milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                "uv", "tool", "run", "--from", AIPERF, "aiperf", "profile", "--model", ONE_TOKEN["model"], "--url", URL,
                "--endpoint-type", "chat", "--streaming", "--concurrency", str(clients), "--request-count", str(REQUESTS),
                "--warmup-request-count", str(clients * 2), "--tokenizer", tokenizer, "--use-server-token-count",
                "--synthetic-input-tokens-mean", str(INPUT), "--output-tokens-mean", str(OUTPUT), "--ui", "none",
                "--artifact-dir", folder,
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        data = json.loads((Path(folder) / "profile_export_aiperf.json").read_text())
    first, whole = data["time_to_first_token"], data["request_latency"]
    return {
        "requests/s": data["request_throughput"]["avg"],
        "first p50": first["p50"],
        "first p99": first["p99"],
        "whole p50": whole["p50"],
        "whole p99": whole["p99"],
    }


def copy_model(folder: str) -> str:
    """The stand-in's model out of the running frontend; its folder."""
    text = subprocess.run(invoke("status", "--json"), check=True, capture_output=True, text=True).stdout
    frontend = next(p["container"] for p in json.loads(text)["processes"] if p["service"] == "frontend-0")
    subprocess.run(["docker", "cp", f"{frontend}:/opt/stand-in/model", folder], check=True, capture_output=True)
    return f"{folder}/model"


def row(name: str, clients: int, rounds: Sequence[dict[str, float]]) -> str:
    middle = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
    rate, *times = middle.values()
    return f"| {name} | {clients} | {rate:.0f} | {' | '.join(f'{ms:.0f} ms' for ms in times)} |"


def main(starts: int = 7, rounds: int = 3) -> None:
    taken = []
    for _ in range(starts):
        taken.append(first_answer())
        down("vllm-disagg")
    firsts, wholes = zip(*taken, strict=True)
    print(f"cores: {os.cpu_count()}, starts: {starts}")
    print(
        f"up to the first 200, disaggregated   median {statistics.median(firsts):.2f} s (from {min(firsts):.2f} to {max(firsts):.2f})"
    )
    print(f"up until it returns                  median {statistics.median(wholes):.2f} s")
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for name, config, sets in (
                ("aggregated, 2 workers", "vllm-agg", ["spec.services.VllmDecodeWorker.replicas=2"]),
                ("disaggregated, 1 + 1", "vllm-disagg", []),
            ):
                with up(config, *sets):
                    if not number:
                        tokenizer = copy_model(folder)
                    for clients in CLIENTS:
                        found.setdefault((name, clients), []).append(profile(clients, tokenizer))
    print(
        f"\n{REQUESTS} requests of {INPUT} tokens in, {OUTPUT} out, streamed; {AIPERF}, {rounds} rounds in turn, medians\n"
    )
    print(
        "| | clients | requests/s | first token p50 | p99 | whole answer p50 | p99 |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    for (name, clients), measured in found.items():
        print(row(name, clients, measured))


if __name__ == "__main__":
    main()
