"""The ways to an image's files that are measured: docker's, BuildKit's and ours."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from common.image import HERE, ROOT, WANTED


@dataclass(frozen=True)
class Cost:
    """Seconds of wall and of CPU, and the largest resident memory in bytes (0: not measured)."""

    wall: float
    cpu: float
    rss: int = 0


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
            "from ngc import catalog; from ngc.asked.images import Extract\n"
            "asked = Extract(None, ['/' + sys.argv[2]], sys.argv[3], out=sys.argv[4])\n"
            "start = time.perf_counter()\n"
            "with contextlib.redirect_stdout(io.StringIO()) as said: run.extract(catalog.read(), asked)\n"
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
