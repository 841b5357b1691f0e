"""How a container of our images is run: one place for the options that GPUs and RDMA need."""

from __future__ import annotations

import os
import resource
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ngc import bases, engine, planning
from ngc.catalog import Catalog
from ngc.engine import Engine
from ngc.errors import Failed, Wrong

# Upstream's `docker run` options (container/run.sh at 0.6.1): bytes and counts that UCX and the engines expect.
SHARED_MEMORY = "10G"
ULIMITS = {
    "memlock": (resource.RLIMIT_MEMLOCK, -1),
    "stack": (resource.RLIMIT_STACK, 67108864),
    "nofile": (resource.RLIMIT_NOFILE, 65536),
}


@dataclass(frozen=True)
class Options:
    """Options of `run`, and what was left out because this host cannot give it."""

    words: tuple[str, ...]
    left_out: tuple[str, ...] = ()


def gpu_present() -> bool:
    """True if the kernel's NVIDIA driver is loaded here."""
    return Path("/dev/nvidiactl").exists()


def options(client: Engine, gpu: bool) -> Options:
    """What a container needs: with a GPU also the devices, host memory and limits, as far as the host's own limits go."""
    words = ["--shm-size", SHARED_MEMORY]
    if not gpu:
        return Options(tuple(words))
    words += ["--device", "nvidia.com/gpu=all"] if client.podman else ["--gpus", "all"]
    words += ["--ipc", "host", "--cap-add", "SYS_PTRACE"]
    left_out = []
    for name, (limit, wanted) in ULIMITS.items():
        hard = resource.getrlimit(limit)[1]
        if os.geteuid() != 0 and hard != resource.RLIM_INFINITY and (wanted < 0 or wanted > hard):
            left_out.append(f"ulimit {name}={wanted}: this host allows {hard} at most")
        else:
            words += ["--ulimit", f"{name}={wanted}:{wanted}"]
    words.remove("--shm-size")  # --ipc host shares the host's /dev/shm: a size of its own would be refused
    words.remove(SHARED_MEMORY)
    return Options(tuple(words), tuple(left_out))


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


def shell(
    catalog: Catalog, framework: str | None, target: str, base: str | None, tag: str | None, image: str | None
) -> Command:
    """The command that opens a shell in an image. Raises Wrong for a wrong choice, Failed if the image is not there."""
    client = engine.any_client()
    if image is None:
        names = [f.name for f in catalog.frameworks]
        if framework is None:
            raise Wrong(f"shell needs --framework (choose from: {', '.join(names)}) or --image REFERENCE")
        selected = catalog.select([framework], [target])[0]
        image = planning.name(selected, bases.choose(catalog, [framework], base, tag)[framework])
        if not engine.images(client, [image]):
            raise Failed(f"{image} is not built; run `invoke build --framework={framework} --target={target}` first")
    wanted = options(client, gpu_present())
    terminal: Sequence[str] = ("--interactive", "--tty") if sys.stdin.isatty() else ("--interactive",)
    words = (client.client, "run", "--rm", *terminal, *wanted.words, client.local(image), "bash")
    return Command(words, wanted.left_out)
