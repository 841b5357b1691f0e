"""How long `compare` takes for two images in a registry on this machine, and how often it asks.

As large as NVIDIA's by what a registry says of them (32 layers, a history, variables); their layers are never read. Rounds
in one process that has imported everything already, the engine asked each time whether it has the images; medians.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from common.network import registry

ROOT = Path(__file__).resolve().parents[2]
LAYERS, SHARED = 32, 26
LIMIT = 0.1  # seconds


def main(rounds: int = 15) -> None:
    sys.path[:0] = [str(ROOT / "scripts"), str(ROOT)]
    from tests.unit.fronting import push
    from tests.unit.releasing import Made, layer

    from ngc import compare
    from ngc import registry as registries

    steps = [f"RUN step {number} " + "x" * 200 for number in range(LAYERS)]
    variables = [f"VARIABLE_{number}=" + "/folder:" * 20 for number in range(60)]
    names = []
    with tempfile.TemporaryDirectory() as folder, registry(Path(folder)) as host:
        for letter in "ab":
            parts = [layer(str(n) if n < SHARED else f"{letter}{n}", 200) for n in range(LAYERS)]
            image = Made(parts, environment=variables, labels={"image": letter}, history=steps)
            names.append(push(host, f"bench/{letter}", "1", image))
        asked: list[str] = []
        request = registries._request
        registries._request = lambda *words, **more: (asked.append(words[1]), request(*words, **more))[1]
        compare.compare(*names)  # imports
        asked.clear()
        took = []
        for _ in range(rounds):
            start = time.perf_counter()
            data = compare.compare(*names)
            took.append(time.perf_counter() - start)
    assert data["layers"]["shared"]["count"] == SHARED
    median = statistics.median(took)
    print(f"cores: {os.cpu_count()}, layers: {LAYERS} each, {SHARED} shared, rounds: {rounds}, median")
    print(f"requests per comparison      {len(asked) / rounds:.0f}")
    print(f"compare, imports apart       {median * 1000:.0f} ms (longest {max(took) * 1000:.0f} ms)")
    if median > LIMIT or len(asked) != 4 * rounds:
        sys.exit(f"error: more than 4 requests, or more than {LIMIT} s")


if __name__ == "__main__":
    main()
