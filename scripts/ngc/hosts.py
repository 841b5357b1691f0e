"""Where the contract tests run: containers of the image, a pod, this machine, or a root file system entered by chroot."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ngc import engine
from ngc.engine import Found
from ngc.errors import Failed, Wrong

CONTAINER = "container"
CHOICES = "kubectl:[NAMESPACE/]POD, local, chroot:DIR"
# Where NVIDIA's images look for a mounted driver; what lies there ends with the mounts.
DRIVER = "usr/local/nvidia"
DRIVER_LIBRARIES = ("libcuda.so.1", "libnvidia-ml.so.1", "libnvidia-ptxjitcompiler.so.1", "libnvidia-nvvm.so.4")
DRIVER_PROGRAMS = ("nvidia-smi",)
PASSWD = 1 << 20  # characters of /etc/passwd that are read
LINKS = 40  # symlinks on the way to a file, as the kernel has it


@dataclass(frozen=True)
class Host:
    """One place to run in; `name` is a pod or a folder, empty for containers and this machine."""

    kind: str = CONTAINER
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}" if self.name else self.kind

    @property
    def is_container(self) -> bool:
        return self.kind == CONTAINER

    @property
    def address(self) -> tuple[str, dict[str, str]]:
        """The host as testinfra.get_host takes it: a name, and what else it must be told."""
        if self.kind == "kubectl":
            namespace, _, pod = self.name.rpartition("/")
            return f"kubectl://{pod}" + (f"?namespace={namespace}" if namespace else ""), {}
        return (self.name, {"connection": self.kind}) if self.name else (f"{self.kind}://", {})


def parse(text: str | None) -> Host:
    """Read --host. Raises Wrong for what is none, Failed for a folder that cannot be entered."""
    if text is None or text == CONTAINER:
        return Host()
    kind, _, name = text.partition(":")
    if text == "local":
        return Host("local")
    if kind == "kubectl" and name and name.count("/") < 2 and all(name.split("/")):
        return Host(kind, name)
    if kind == "chroot" and name:
        folder = Path(name).resolve()
        if not inside(folder, "bin/sh").exists():
            raise Failed(f"{folder} is no root file system: it has no /bin/sh; docs/GPU.md says how to export one")
        if os.geteuid() != 0:
            raise Failed("only root can enter a root file system by chroot; run the same command with sudo")
        return Host(kind, str(folder))
    raise Wrong(f"--host is '{text}'; choose from: {CHOICES}")


def check(host: Host) -> None:
    """Raises Failed if the host's pod cannot be entered, in kubectl's own words; the other kinds were seen by `parse`."""
    if host.kind != "kubectl":
        return
    import sh

    namespace, _, pod = host.name.rpartition("/")
    words = ["exec", pod, *(["--namespace", namespace] if namespace else []), "--", "/bin/sh", "-c", "true"]
    try:
        sh.Command("kubectl")(*words, _timeout=30, _tty_out=False)
    except sh.CommandNotFound:
        raise Failed(f"--host={host} needs kubectl, and there is none on PATH; install it") from None
    except sh.TimeoutException:
        raise Failed(f"pod {host.name} cannot be entered: the cluster does not answer within 30 s") from None
    except sh.ErrorReturnCode as error:
        said = (error.stderr.decode(errors="replace").strip().splitlines() or ["kubectl says nothing"])[-1]
        raise Failed(
            f"pod {host.name} cannot be entered: {said}; `kubectl config current-context` names the cluster"
        ) from None


def inspected(folder: Path) -> Mapping[str, Any]:
    """The image's description kept as FOLDER.json beside its root file system, which does not carry it. Raises Failed."""
    file = folder.with_name(f"{folder.name}.json")
    try:
        data = json.loads(file.read_text())
        entry: Mapping[str, Any] = data[0] if isinstance(data, list) else data
        if "Config" not in entry:
            raise ValueError
    except (OSError, ValueError, IndexError):
        raise Failed(
            f"{file} does not say how the image is run; make it where the image is: docker image inspect IMAGE >{file.name}"
        ) from None
    return entry


def image_of(folder: Path) -> Found:
    """The image that a root file system was exported from."""
    return engine.described(inspected(folder))


def environment(folder: Path, home: str) -> dict[str, str]:
    """The variables of the image's processes; the driver's folders come last, so that nothing of the image is hidden."""
    pairs = (text.partition("=") for text in inspected(folder)["Config"].get("Env") or ())
    found = {"HOME": home, **{name: value for name, _, value in pairs}}
    for name, place in (("PATH", f"/{DRIVER}/bin"), ("LD_LIBRARY_PATH", f"/{DRIVER}/lib64")):
        parts = [part for part in found.get(name, "").split(":") if part]
        found[name] = ":".join(parts if place in parts else [*parts, place])
    return found


def prefix(host: Host) -> str:
    """Shell text before a command, so that it runs as the image's own processes do: folder, user and variables."""
    if host.kind != "chroot":
        return ""  # an engine and a pod give all of that, this machine has it
    folder = Path(host.name)
    config = inspected(folder)["Config"]
    user, _, group = (config.get("User") or "").partition(":")
    line = _passwd(folder, user or "0")
    variables = environment(folder, line[5] if line else "/")
    words = ["env", "-i", *(f"{name}={value}" for name, value in variables.items())]
    if user not in ("", "0", "root"):
        identity = [f"--reuid={user}", f"--regid={group or (line[3] if line else '0')}", "--clear-groups"]
        words = ["setpriv", *identity, *words]
    return f"cd {shlex.quote(config.get('WorkingDir') or '/')} && exec {shlex.join(words)} "


def inside(root: Path, path: str) -> Path:
    """Where a path of an image lies on this machine: its symlinks lead where they lead in the image, never out of `root`.

    The path need not be there. Good for as long as nothing runs in the root file system. Raises Failed for links without end.
    """
    here: list[str] = []
    todo, links = path.split("/")[::-1], 0
    while todo:
        name = todo.pop()
        if name == "..":
            del here[-1:]  # that of / is / itself
        elif name not in ("", "."):
            here.append(name)
            if (place := root.joinpath(*here)).is_symlink():
                if (links := links + 1) > LINKS:
                    raise Failed(
                        f"{root}: more than {LINKS} symlinks lie on the way to /{path.lstrip('/')}; mend the image"
                    )
                target = os.readlink(place)  # noqa: PTH115  # Path would drop a last /
                here = [] if target.startswith("/") else here[:-1]
                todo += target.split("/")[::-1]
    return root.joinpath(*here)


def _passwd(folder: Path, user: str) -> Sequence[str] | None:
    file = inside(folder, "etc/passwd")
    lines = []
    if file.is_file():
        with file.open(errors="replace") as stream:
            lines = [line.split(":") for line in stream.read(PASSWD).splitlines()]
    return next((line for line in lines if len(line) > 5 and user in (line[0], line[2])), None)


def mounts(folder: Path, binds: Mapping[str, str], libraries: Iterable[Path], programs: Iterable[Path]) -> list[str]:
    """The shell lines that make a root file system usable: kernel interfaces, a /tmp, names, the driver's files, `binds`.

    All folders are made before the first mount: after it a path of the image may lead into a folder of this machine.
    """

    def at(path: str) -> str:
        return shlex.quote(str(inside(folder, path)))

    kernel = {
        "proc": "-t proc proc",
        "dev": "--rbind /dev",
        "sys": "--rbind /sys",  # without it UCX finds no network device, and NIXL's backend fails
        "tmp": "-t tmpfs -o mode=1777 tmpfs",
    }
    files = [*((f"lib64/{path.name}", path) for path in libraries), *((f"bin/{path.name}", path) for path in programs)]
    lines = [f"mkdir -p {at(target)}" for target in (*kernel, *([DRIVER] if files else []), *binds)]
    lines += [f"mount {what} {at(target)}" for target, what in kernel.items()]
    for name in ("etc/hosts", "etc/resolv.conf"):
        if inside(folder, name).is_file() and Path("/", name).is_file():
            lines.append(f"mount --bind /{name} {at(name)}")
    driver = at(DRIVER)
    if files:
        lines.append(f"mount -t tmpfs tmpfs {driver} && mkdir {driver}/lib64 {driver}/bin")
    for name, path in files:
        lines.append(f"touch {driver}/{name} && mount --bind {shlex.quote(str(path))} {driver}/{name}")
    return [*lines, *(f"mount --rbind {shlex.quote(source)} {at(target)}" for source, target in binds.items())]


def driver_files() -> tuple[list[Path], list[Path]]:
    """(libraries, programs) of the NVIDIA driver of this machine; empty lists where there is none."""
    import sh

    folders = [Path("/", DRIVER, "lib64"), *map(Path, filter(None, os.environ.get("LD_LIBRARY_PATH", "").split(":")))]
    try:
        cache = str(sh.Command(shutil.which("ldconfig", path="/sbin:/usr/sbin") or "ldconfig")("-p"))
    except (sh.CommandNotFound, sh.ErrorReturnCode):
        cache = ""
    listed = [
        Path(line.rpartition("=> ")[2].strip()) for line in cache.splitlines() if "=>" in line and "x32" not in line
    ]
    libraries = []
    for name in DRIVER_LIBRARIES:
        places = [*(folder / name for folder in folders), *(path for path in listed if path.name == name)]
        libraries += [path for path in places if path.is_file()][:1]
    found = [shutil.which(name) or shutil.which(name, path=f"/{DRIVER}/bin") for name in DRIVER_PROGRAMS]
    return libraries, [Path(path) for path in found if path]


def around(host: Host, command: Sequence[str], binds: Mapping[str, str]) -> list[str]:
    """The command, inside mounts of its own where the host is a root file system: they end with it."""
    if host.kind != "chroot":
        return list(command)
    script = "\n".join([*mounts(Path(host.name), binds, *driver_files()), 'exec "$@"'])
    return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh", *command]
