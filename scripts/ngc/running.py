"""How a container of our images is run: one place for the options that GPUs and RDMA need."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ngc import bases, engine, planning, reference
from ngc.asked.images import Shell
from ngc.catalog import Catalog
from ngc.engine import Engine
from ngc.errors import Failed, Wrong

# Upstream's `docker run` options (container/run.sh at 0.6.1): bytes and counts that UCX and the engines expect.
SHARED_MEMORY = "10G"
# Name for `run`, name in /proc/PID/limits, wanted; -1 for no limit.
ULIMITS = (
    ("memlock", "Max locked memory", -1),
    ("stack", "Max stack size", 67108864),
    ("nofile", "Max open files", 65536),
)
_CAP_SYS_RESOURCE = 1 << 24  # whoever has it may raise a limit beyond the hard one


@dataclass(frozen=True)
class Options:
    """Options of `run`, and what was left out because this host cannot give it."""

    words: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def gpu_present() -> bool:
    """True if the kernel's NVIDIA driver is loaded here."""
    return Path("/dev/nvidiactl").exists()


def hard_limits(client: Engine, proc: Path = Path("/proc")) -> dict[str, int]:
    """The most that the engine can give of each limit that it cannot raise, by its name in /proc/PID/limits.

    Docker's containers get their limits from its daemon, podman's from us. A daemon that is not on this machine is believed
    to be able to give all.
    """
    process = proc / "self" if client.podman else _daemon(proc)
    if process is None:
        return {}
    status, limits = (process / "status").read_text(), (process / "limits").read_text()
    capable = re.search(r"^CapEff:\s*([0-9a-f]+)", status, re.M)
    if capable and int(capable[1], 16) & _CAP_SYS_RESOURCE:
        return {}
    rows = [re.split(r"\s{2,}", line) for line in limits.splitlines()[1:]]  # title, soft, hard, unit
    return {row[0]: int(row[2]) for row in rows if row[2].isdecimal()}


def _daemon(proc: Path) -> Path | None:
    for name in proc.glob("[0-9]*/comm"):
        try:
            if name.read_text().strip() == "dockerd":
                return name.parent
        except OSError:
            continue  # it has ended meanwhile
    return None


def devices(client: Engine) -> tuple[str, ...]:
    """The options of `run` that give a container every GPU, and nothing else."""
    return ("--device", "nvidia.com/gpu=all") if client.podman else ("--gpus", "all")


def ulimits(client: Engine) -> tuple[dict[str, int], tuple[str, ...]]:
    """(limits that a process with a GPU or RDMA device wants and the engine can give, what was left out)."""
    most = hard_limits(client)
    given, left_out = {}, []
    for name, title, wanted in ULIMITS:
        if title in most and (wanted < 0 or wanted > most[title]):
            left_out.append(f"ulimit {name}={wanted}: this host allows {most[title]} at most")
        else:
            given[name] = wanted
    return given, tuple(left_out)


def gpu_numbers() -> tuple[int, ...]:
    """Numbers of this machine's GPUs, as nvidia-smi gives them. Raises Failed if it does not answer."""
    import sh

    try:
        said = str(sh.Command("nvidia-smi")("--query-gpu=index", "--format=csv,noheader", _tty_out=False))
    except (sh.CommandNotFound, sh.ErrorReturnCode):
        raise Failed("the GPU driver is loaded, but nvidia-smi does not answer; `invoke doctor` says more") from None
    return tuple(int(line) for line in said.split())


def options(client: Engine, gpu: bool) -> Options:
    """What a container needs: with a GPU also the devices, host memory and limits, as far as the host's own limits go."""
    words = ["--shm-size", SHARED_MEMORY]
    if not gpu:
        return Options(tuple(words))
    words += devices(client)
    words += ["--ipc", "host", "--cap-add", "SYS_PTRACE"]
    given, left_out = ulimits(client)
    words += [word for name, value in given.items() for word in ("--ulimit", f"{name}={value}:{value}")]
    words.remove("--shm-size")  # --ipc host shares the host's /dev/shm: a size of its own would be refused
    words.remove(SHARED_MEMORY)
    return Options(tuple(words), left_out)


@dataclass(frozen=True)
class Command:
    """A command line that takes this process's place."""

    words: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return shlex.join(self.words)

    def replace_this_process(self) -> None:
        """Become the command; does not return."""
        for what in self.left_out:
            print(f"left out: {what}", file=sys.stderr)
        sys.stdout.flush()
        os.execvp(self.words[0], list(self.words))


def shell(catalog: Catalog, asked: Shell) -> Command:
    """The command that opens a shell in an image. Raises Wrong for a wrong choice, Failed if the image is not there."""
    client, image = engine.any_client(), asked.image
    if image is None:
        names = [f.name for f in catalog.frameworks]
        if asked.framework is None:
            raise Wrong(f"shell needs --framework (choose from: {', '.join(names)}) or --image REFERENCE")
        selected = catalog.select([asked.framework], [asked.target])[0]
        image = planning.name(
            selected, bases.choose(catalog, [asked.framework], asked.base, asked.tag)[asked.framework]
        )
        if not engine.images(client, [image]):
            on = f" --base={asked.base}" if asked.base else ""
            raise Failed(
                f"{image} is not built; run `invoke build --framework={asked.framework} --target={asked.target}{on}` first"
            )
    reference.parse(image)
    wanted = options(client, gpu_present())
    terminal: Sequence[str] = ("--interactive", "--tty") if sys.stdin.isatty() else ("--interactive",)
    words = (client.client, "run", "--rm", *terminal, *wanted.words, client.local(image), "bash")
    return Command(words, wanted.left_out)
