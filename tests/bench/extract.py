"""What extract-from-ngc costs against `docker pull` + `create` + `cp`, and against the network itself.

Makes an image of 20 layers (1.25 GB compressed by gzip 6; 300 MB are wanted), starts a registry and a throttling proxy on
this machine, and measures in rounds, everything in turn, medians of ratios. Needs Docker, Debian's docker-registry and
12 GB of disk. `--builder NAME` adds BuildKit's way, by a buildx builder that reaches 127.0.0.1.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from urllib.request import Request, urlopen

from common.image import HERE, LAYERS, MB, make_image, push
from common.network import registry, slow
from common.ways import Ours, by_buildkit, by_docker, compared

NEW = [3, 6, 9, 11, 14]  # layers that the next release has new
GBIT = 125 * MB  # bytes a second


def to_nowhere(host: str) -> float:
    """Seconds to read the image's blobs and drop them, four at a time."""
    with urlopen(
        Request(
            f"http://{host}/v2/bench/manifests/one",
            headers={"Accept": "application/vnd.docker.distribution.manifest.v2+json"},
        )
    ) as answer:
        layers = sorted(json.load(answer)["layers"], key=lambda layer: -layer["size"])

    def read(layer: dict[str, str]) -> None:
        with urlopen(f"http://{host}/v2/bench/blobs/{layer['digest']}") as blob:
            while blob.read(1 << 18):
                pass

    start = time.perf_counter()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, layers))
    return time.perf_counter() - start


def measure(host: str, fast: str, docker: str, builder: str | None, rounds: int, found: dict[str, list[float]]) -> None:
    """Fill `found`, by name, with a value per round."""
    ours = Ours()

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    image = f"{host}/bench:one"
    for number in range(rounds):
        theirs = by_docker(docker, image)
        cold = ours.run(image, forget=True)
        known = ours.run(image)
        own = ours.own_part(image)
        unchanged = ours.run(image, again=True)
        newer = ours.run(f"{host}/bench:two")
        nowhere = to_nowhere(fast)
        slow_ours = ours.run(f"{fast}/bench:one", forget=True)
        for name, value in {
            "docker wall s": theirs.wall, "docker cpu s": theirs.cpu, "cold wall s": cold.wall, "cold cpu s": cold.cpu,
            "wall ratio": cold.wall / theirs.wall, "cpu ratio": cold.cpu / theirs.cpu, "rss MiB": cold.rss / 2**20,
            "known s": known.wall, "known ratio": known.wall / theirs.wall, "new layers s": newer.wall, "new layers ratio": newer.wall / theirs.wall,
            "unchanged whole command s": unchanged.wall, "unchanged own part s": own,
            "1 Gbit/s s": slow_ours.wall, "1 Gbit/s to nowhere s": nowhere, "1 Gbit/s ratio": slow_ours.wall / nowhere,
        }.items():  # fmt: skip
            note(name, value)
        if builder:
            expert = by_buildkit(docker, builder, image)
            note("buildkit wall s", expert.wall)
            note("buildkit ratio", cold.wall / expert.wall)
        print(
            f"round {number + 1} of {rounds}: "
            + ", ".join(f"{name} {values[-1]:.3f}" for name, values in found.items()),
            file=sys.stderr,
        )
    most, wanted = ours.peak(image)
    note("wanted MB", wanted / MB)
    note("disk ratio", most / wanted)
    note("entries equal to docker's", compared(docker, image, ours.out))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--builder", help="a buildx builder, for BuildKit's way")
    options.add_argument("--docker", default=shutil.which("docker"))
    given = options.parse_args()
    if shutil.which("unpigz"):
        print("note: docker unpacks with unpigz here; the figures in docs/EXTRACT.md are without", file=sys.stderr)
    seeds = list(range(len(LAYERS)))
    one, two = make_image(seeds), make_image([seed + 100 if n in NEW else seed for n, seed in enumerate(seeds)])
    size = sum(layer["size"] for layer in json.loads(one[0])["layers"])
    print(
        f"image: {size / MB:.0f} MB compressed, {sum(total for total, _ in LAYERS)} MB unpacked, {len(LAYERS)} layers; cores: {os.cpu_count()}"
    )
    with registry(HERE) as host, slow(host, GBIT) as fast:
        push(host, "one", *one)
        push(host, "two", *two)
        found: dict[str, list[float]] = {}
        with suppress(KeyboardInterrupt):  # what is measured by then is printed
            measure(host, fast, given.docker, given.builder, given.rounds, found)
    shutil.rmtree(HERE / "ours", ignore_errors=True)
    for name, values in found.items():
        print(f"{name:28} {statistics.median(values):8.3f}   {' '.join(f'{value:.3f}' for value in values)}")


if __name__ == "__main__":
    main()
