"""The image that is extracted from: 20 layers as in NGC's Dockerfiles, made once and pushed to a registry."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import tarfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(os.environ.get("BENCH_FOLDER") or ROOT / "build" / "bench-extract")
MB = 10**6
# Unpacked MB of each layer, and of it wanted. As in NGC's Dockerfiles: most of what is wanted has layers of its own, made by
# COPY --from, and some lies in a layer with other things.
LAYERS = [(430, 0), (340, 0), (250, 0), (200, 0), (160, 0), (130, 110), (110, 0), (90, 90), (80, 0), (70, 0), (60, 5), (50, 50),
          (45, 0), (40, 0), (35, 0), (30, 0), (25, 25), (20, 20), (15, 0), (10, 0)]  # fmt: skip
WANTED = "opt/wanted"


def content(chance: random.Random, size: int) -> bytes:
    """Bytes that gzip makes half as large, as it does with libraries: noise, and runs that come again."""
    parts, made, words = [], 0, [chance.randbytes(chance.randrange(8, 64)) for _ in range(150)]
    while made < size:
        part = (
            chance.randbytes(chance.randrange(200, 1500))
            if chance.random() < 0.5
            else b"".join(chance.choices(words, k=25))
        )
        parts.append(part)
        made += len(part)
    return b"".join(parts)[:size]


def key(number: int, seed: int) -> str:
    """What a layer's content follows from."""
    return "-".join(map(str, (number, *LAYERS[number], seed)))


def make_layer(number: int, seed: int) -> tuple[str, str, int]:
    """Write a layer; returns (digest, digest unpacked, bytes)."""
    chance = random.Random(seed)
    total, wanted = (part * MB for part in LAYERS[number])
    pool = content(chance, 24 * MB)  # files are slices of it, changed at their start, so that making them is fast
    path = HERE / f"layer-{key(number, seed)}.gz"
    unpacked = hashlib.sha256()

    class Both(io.RawIOBase):
        def __init__(self, file: gzip.GzipFile) -> None:
            self.file = file

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            unpacked.update(data)
            return self.file.write(data)

    with (
        path.open("wb") as raw,
        gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0) as packed,
        tarfile.open(fileobj=Both(packed), mode="w|", bufsize=1 << 16) as tar,
    ):
        left, wanted_left, count = total, wanted, 0
        while left > 0:
            size = min(int(chance.lognormvariate(9.7, 1.9)) + 1, 20 * MB, left)
            mine = wanted_left > 0 and chance.random() < wanted_left / left * 1.05
            folder = f"{WANTED}/{number}" if mine else f"usr/lib/part-{number}"
            info = tarfile.TarInfo(f"{folder}/{count % 97}/file-{count}")
            info.size, info.mtime, info.mode = size, 1_600_000_000, 0o644
            start = chance.randrange(len(pool) - 20 * MB)
            tar.addfile(info, io.BytesIO(chance.randbytes(min(size, 64)) + pool[start + 64 : start + size]))
            left, wanted_left, count = left - size, wanted_left - (size if mine else 0), count + 1
    data = path.read_bytes()
    return "sha256:" + hashlib.sha256(data).hexdigest(), "sha256:" + unpacked.hexdigest(), len(data)


def make_image(seeds: list[int]) -> tuple[bytes, bytes, list[Path]]:
    """(manifest, config, layer files) of an image whose layers have these seeds; layers that are there are kept."""
    HERE.mkdir(parents=True, exist_ok=True)
    known_file = HERE / "layers.json"
    known = json.loads(known_file.read_text()) if known_file.exists() else {}
    todo = [n for n, seed in enumerate(seeds) if key(n, seed) not in known]
    with ProcessPoolExecutor() as pool:
        for n, made in zip(todo, pool.map(make_layer, todo, [seeds[n] for n in todo]), strict=True):
            known[key(n, seeds[n])] = made
    known_file.write_text(json.dumps(known))
    layers = [known[key(n, seed)] for n, seed in enumerate(seeds)]
    config = json.dumps(
        {
            "os": "linux",
            "architecture": "amd64",
            "config": {"Cmd": ["x"]},
            "rootfs": {"type": "layers", "diff_ids": [u for _, u, _ in layers]},
        }
    ).encode()
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = {"schemaVersion": 2, "mediaType": kind,
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "size": len(config), "digest": digest(config)},
        "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "size": s, "digest": d} for d, _, s in layers]}  # fmt: skip
    return json.dumps(manifest).encode(), config, [HERE / f"layer-{key(n, seed)}.gz" for n, seed in enumerate(seeds)]


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def push(host: str, tag: str, manifest: bytes, config: bytes, files: list[Path]) -> None:
    known = {
        HERE / f"layer-{name}.gz": layer[0] for name, layer in json.loads((HERE / "layers.json").read_text()).items()
    }
    (HERE / "config.json").write_bytes(config)
    known[HERE / "config.json"] = digest(config)
    for path in (HERE / "config.json", *files):
        with urlopen(Request(f"http://{host}/v2/bench/blobs/uploads/", method="POST")) as answer:
            place = answer.headers["Location"]
        # As a stream: a child's largest memory, as the kernel counts it, begins with that of its parent.
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)}
        with path.open("rb") as data:
            urlopen(Request(f"{place}&digest={known[path]}", data, headers, method="PUT")).close()
    kind = json.loads(manifest)["mediaType"]
    urlopen(Request(f"http://{host}/v2/bench/manifests/{tag}", manifest, {"Content-Type": kind}, method="PUT")).close()
