"""What extract-from-ngc costs against `docker pull` + `create` + `cp`, and against the network itself.

Makes an image of 20 layers (1.25 GB compressed by gzip 6; 300 MB are wanted), starts a registry and a throttling proxy on
this machine, and measures in rounds, everything in turn, medians of ratios. Needs Docker, Debian's docker-registry and
12 GB of disk. `--builder NAME` adds BuildKit's way, by a buildx builder that reaches 127.0.0.1.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import socket
import stat
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(os.environ.get("BENCH_FOLDER") or ROOT / "build" / "bench-extract")
MB = 10**6
# Unpacked MB of each layer, and of it wanted. As in NGC's Dockerfiles: most of what is wanted has layers of its own, made by
# COPY --from, and some lies in a layer with other things.
LAYERS = [(430, 0), (340, 0), (250, 0), (200, 0), (160, 0), (130, 110), (110, 0), (90, 90), (80, 0), (70, 0), (60, 5), (50, 50),
          (45, 0), (40, 0), (35, 0), (30, 0), (25, 25), (20, 20), (15, 0), (10, 0)]  # fmt: skip
NEW = [3, 6, 9, 11, 14]  # layers that the next release has new
WANTED = "opt/wanted"
GBIT = 125 * MB  # bytes a second


@dataclass(frozen=True)
class Cost:
    """Seconds of wall and of CPU, and the largest resident memory in bytes (0: not measured)."""

    wall: float
    cpu: float
    rss: int = 0


# ---- the image -------------------------------------------------------------------------------------------------------


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


# ---- a registry, and a slow way to it ----------------------------------------------------------------------------------


@contextmanager
def registry() -> Iterator[str]:
    host = f"127.0.0.1:{free_port()}"
    folder = Path(tempfile.mkdtemp(prefix="registry-", dir=HERE))
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}}}}}\nhttp: {{addr: '{host}'}}\n"
    )
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen(["docker-registry", "serve", str(folder / "config.yml")], stdout=log, stderr=log)
        try:
            wait_for_port(host)
            yield host
        finally:
            child.terminate()
            child.wait()
            shutil.rmtree(folder)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for_port(host: str) -> None:
    name, port = host.split(":")
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex((name, int(port))) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"error: nothing answers on {host}")


def throttle(target: str, port: int, rate: float) -> None:
    """Forward connections to a registry; all of them together get `rate` bytes a second back. A process of its own."""
    host, target_port = target.split(":")
    lock, free_at = threading.Lock(), [time.monotonic()]

    def pump(source: socket.socket, sink: socket.socket, limited: bool) -> None:
        buffer = memoryview(bytearray(1 << 18))
        try:
            while count := source.recv_into(buffer):
                if limited:
                    with lock:
                        start = max(free_at[0], time.monotonic() - 0.05)
                        free_at[0] = start + count / rate
                    if (pause := free_at[0] - time.monotonic()) > 0:
                        time.sleep(pause)
                sink.sendall(buffer[:count])
        except OSError:
            pass
        finally:
            for end in (source, sink):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    with socket.create_server(("127.0.0.1", port)) as server:
        while True:
            client, _ = server.accept()
            upstream = socket.create_connection((host, int(target_port)))
            threading.Thread(target=pump, args=(client, upstream, False), daemon=True).start()
            threading.Thread(target=pump, args=(upstream, client, True), daemon=True).start()


@contextmanager
def slow(target: str, rate: float) -> Iterator[str]:
    port = free_port()
    child = subprocess.Popen([sys.executable, __file__, "--throttle", target, str(port), str(rate)])
    try:
        wait_for_port(f"127.0.0.1:{port}")
        yield f"127.0.0.1:{port}"
    finally:
        child.terminate()
        child.wait()


# ---- what is measured --------------------------------------------------------------------------------------------------


def measured(command: list[str], environment: dict[str, str] | None = None) -> Cost:
    """A command in a process of its own."""
    start = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            log.seek(0)
            sys.exit(f"error: {' '.join(command)}\n{log.read().decode(errors='replace')}")
    return Cost(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def daemon_cpu() -> float:
    """CPU seconds so far of dockerd and its containerd, and of their children that ended."""
    daemon, total = Path("/var/run/docker.pid").read_text().strip(), 0.0
    for process in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = process.read_text().split("(", 1)[1].rpartition(")")
        except OSError:
            continue
        fields = rest.split()
        if process.parent.name == daemon or (name == "containerd" and fields[1] in (daemon, "1")):
            total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return total


def by_docker(docker: str, image: str) -> Cost:
    """pull + create + cp; the daemon's CPU counts. What others do with the daemon at that time counts too."""
    out = HERE / "by-docker"
    before, start = daemon_cpu(), time.perf_counter()
    client = measured([docker, "pull", "--quiet", image]).cpu
    container = subprocess.run([docker, "create", image], check=True, capture_output=True, text=True).stdout.strip()
    client += measured([docker, "cp", f"{container}:/{WANTED}", str(out)]).cpu
    cost = Cost(time.perf_counter() - start, client + daemon_cpu() - before)
    subprocess.run([docker, "rm", container], check=True, capture_output=True)
    subprocess.run([docker, "image", "rm", image], check=True, capture_output=True)
    shutil.rmtree(out)
    return cost


def compared(docker: str, image: str, ours: Path) -> int:
    """How many files, folders and links of our output were found equal to what docker copies out; ends if any is not.

    Folders' times are not compared: no layer of this image describes a folder, so docker gives them the hour of the pull.
    """
    sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]
    from tests.unit.extracting import snapshot

    out = HERE / "by-docker"
    container = subprocess.run([docker, "create", image], check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run([docker, "cp", f"{container}:/{WANTED}", str(out)], check=True, capture_output=True)
    subprocess.run([docker, "rm", container], check=True, capture_output=True)
    subprocess.run([docker, "image", "rm", image], check=True, capture_output=True)
    theirs, mine = (
        {name: entry[:2] if entry[0] == stat.S_IFDIR else entry for name, entry in snapshot(path).items()}
        for path in (out, ours / WANTED)
    )
    shutil.rmtree(out)
    differing = [name for name in theirs.keys() | mine.keys() if theirs.get(name) != mine.get(name)]
    if differing:
        name = differing[0]
        sys.exit(
            f"error: {len(differing)} of {len(theirs)} entries differ from docker's, such as {name!r}: "
            f"{theirs.get(name)} there, {mine.get(name)} here"
        )
    return len(theirs)


def by_buildkit(docker: str, builder: str, image: str) -> Cost:
    """The expert's way; the builder forgets everything first. CPU is not measured: it may be anywhere."""
    out, context = HERE / "by-buildkit", HERE / "context"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(f"FROM scratch\nCOPY --from={image} /{WANTED} /{WANTED}\n")
    subprocess.run(
        [docker, "buildx", "prune", "--builder", builder, "--all", "--force"], check=True, capture_output=True
    )
    cost = measured(
        [docker, "buildx", "build", "--builder", builder, "--output", f"type=local,dest={out}", str(context)]
    )
    shutil.rmtree(out)
    return Cost(cost.wall, 0)


class Ours:
    """extract-from-ngc in a process of its own, with a cache of its own."""

    def __init__(self) -> None:
        # Results stay until the end: ext4 looks for long where to make files if many were deleted a minute ago.
        self.folder, self.count = HERE / "ours", 0
        self.cache, self.environment = Path(), dict[str, str]()
        self.forget()

    @property
    def out(self) -> Path:
        return self.folder / f"out-{self.count}"

    def forget(self) -> None:
        """Begin with an empty cache."""
        self.cache = self.folder / f"cache-{self.count}"
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(self.cache)}

    def command(self, image: str) -> list[str]:
        words = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "extract-from-ngc", "--json"]
        return [*words, f"--image={image}", f"--component=/{WANTED}", f"--out={self.out}"]

    def run(self, image: str, forget: bool = False, again: bool = False) -> Cost:
        """Extract to a new folder; `again`: to the one that is there."""
        self.count += not again
        if forget:
            self.forget()
        return measured(self.command(image), self.environment)

    def own_part(self, image: str) -> float:
        """Seconds of an unchanged run inside a process that has imported everything."""
        program = (
            "import sys, time, io, contextlib; sys.path[:0] = [sys.argv[1]]\n"
            "import urllib3, fastjsonschema, ruamel.yaml, ngc.extract.run as run, ngc.extract.work\n"
            "from ngc import catalog; from ngc.extract.asking import Request\n"
            "request = Request(None, ['/' + sys.argv[2]], sys.argv[3], out=sys.argv[4])\n"
            "start = time.perf_counter()\n"
            "with contextlib.redirect_stdout(io.StringIO()) as said: run.extract(catalog.read(), request, False, False)\n"
            "assert 'already holds' in said.getvalue()\n"
            "print(time.perf_counter() - start)"
        )
        words = [sys.executable, "-c", program, str(ROOT / "scripts"), WANTED, image, str(self.out)]
        return float(subprocess.run(words, check=True, capture_output=True, text=True, env=self.environment).stdout)

    def peak(self, image: str) -> tuple[int, int]:
        """(the most bytes on disk while it ran, bytes wanted); a run of its own, as looking costs time."""
        shutil.rmtree(self.folder, ignore_errors=True)
        child = subprocess.Popen(self.command(image), stdout=subprocess.DEVNULL, env=self.environment)
        most = 0
        while child.poll() is None:
            most = max(most, on_disk(self.folder))
            time.sleep(0.02)
        return most, on_disk(self.out)


def on_disk(folder: Path) -> int:
    total = 0
    for here, _, files in os.walk(folder):
        for file in files:
            with suppress(OSError):
                total += (Path(here) / file).lstat().st_blocks * 512
    return total


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
    options.add_argument("--throttle", nargs=3, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.throttle:
        throttle(given.throttle[0], int(given.throttle[1]), float(given.throttle[2]))
    if shutil.which("unpigz"):
        print("note: docker unpacks with unpigz here; the figures in docs/EXTRACT.md are without", file=sys.stderr)
    seeds = list(range(len(LAYERS)))
    one, two = make_image(seeds), make_image([seed + 100 if n in NEW else seed for n, seed in enumerate(seeds)])
    size = sum(layer["size"] for layer in json.loads(one[0])["layers"])
    print(
        f"image: {size / MB:.0f} MB compressed, {sum(total for total, _ in LAYERS)} MB unpacked, {len(LAYERS)} layers; cores: {os.cpu_count()}"
    )
    with registry() as host, slow(host, GBIT) as fast:
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
