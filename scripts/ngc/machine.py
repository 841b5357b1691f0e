"""What this machine has and lacks for building and serving, each with its fix."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ngc import bases, certificates, engine, running
from ngc.deploy import composecli
from ngc.deploy.cluster import kubectl
from ngc.engine import Engine
from ngc.errors import Failed, Wrong

# Bytes for the three images of one framework above the base, and the base: 17 GB as published for 0.6.1.post1.
WANTED_DISK = 25 * 10**9
SETUP = "invoke setup --yes"
# Compose as Ubuntu, Docker's own packages and Debian 12 have it; the first that there is.
COMPOSE_PACKAGES = ("docker-compose-v2", "docker-compose-plugin", "docker-compose")


@dataclass(frozen=True)
class Check:
    """One line of `doctor`. `state`: pass, warn (some verbs need it) or fail (nothing is built without it)."""

    name: str
    state: str
    detail: str
    fix: str = ""


def checks() -> list[Check]:
    """Look at everything; no network is asked."""
    found = [_python(), *_client_checks()]
    client = _client()
    if client is not None:
        found += [_daemon(client), _disk(client)]
        found += [_plugin(client, "buildx", "bake and --builder"), _compose()]
    return [
        *found,
        _kubectl(),
        _program("git", "the revision label of images"),
        _stand_in_root(),
        _certificates(),
        *_gpu(client),
    ]


def _client() -> Engine | None:
    try:
        return engine.any_client()
    except Failed:
        return None


def _python() -> Check:
    return Check("python", "pass", f"{platform.python_version()} at {sys.executable}")


def _client_checks() -> list[Check]:
    rows = []
    for path in engine.clients():
        candidate = engine.at(path)
        version = ".".join(map(str, engine.client_version(candidate))) or "unknown"
        can = candidate.podman or engine.can_buildkit(candidate)
        rows.append(
            Check(
                f"client {path}",
                "pass" if can else "warn",
                f"version {version}, {'builds' if can else 'has no BuildKit'}",
                "" if can else "install the package docker-buildx, or leave it: another client builds",
            )
        )
    if not any(row.state == "pass" for row in rows):
        rows.append(Check("client", "fail", "no client on PATH can do BuildKit builds", SETUP))
    return rows


def _daemon(client: Engine) -> Check:
    form = "{{.Version}}" if client.podman else "{{.Server.Version}}"
    try:
        version = (engine.ask(client, "version", "--format", form) or "").strip()
    except Failed as error:
        return Check("engine", "fail", str(error), SETUP)
    driver = "" if client.podman else (engine.ask(client, "info", "--format", "{{.Driver}}", fails=False) or "").strip()
    return Check("engine", "pass", f"{client.name} {version}" + (f" on {driver}" if driver else ""))


def _disk(client: Engine) -> Check:
    folder = bases.disk_of(client)
    if folder is None:
        return Check("disk", "warn", "the engine's disk is not on this machine; its room is unknown")
    free = shutil.disk_usage(folder).free
    enough = free >= WANTED_DISK
    return Check(
        "disk",
        "pass" if enough else "warn",
        f"{free / 1e9:.0f} GB free at {folder}",
        "" if enough else f"real images want {WANTED_DISK / 1e9:.0f} GB; `docker system df` shows what takes room",
    )


def _plugin(client: Engine, name: str, needed_by: str) -> Check:
    if client.podman:
        return Check(name, "warn", f"not with podman; needed by {needed_by}", "install docker")
    candidates = [found for found in map(engine.at, engine.clients()) if not found.podman]
    answers = (engine.ask(candidate, name, "version", fails=False) for candidate in candidates)
    answer = next((text for text in answers if text), None)
    return (
        Check(name, "pass", answer.strip().splitlines()[0])
        if answer
        else Check(name, "warn", f"missing; needed by {needed_by}", f"install the plugin docker-{name}")
    )


def _compose() -> Check:
    try:
        found = composecli.find()
    except (Failed, Wrong) as error:
        return Check("compose", "warn", str(error), SETUP)
    return Check("compose", "pass", f"{' '.join(found.words)}, version {found.version}")


def _kubectl() -> Check:
    try:
        version = kubectl.check_program()
    except Wrong as error:
        return Check("kubectl", "warn", str(error), "kubernetes.io/docs/tasks/tools; only deploy needs it")
    return Check("kubectl", "pass", f"version {'.'.join(map(str, version))}")


def _program(name: str, needed_by: str) -> Check:
    path = shutil.which(name)
    return (
        Check(name, "pass", path)
        if path
        else Check(name, "warn", f"missing; needed for {needed_by}", f"apt-get install {name}")
    )


def _stand_in_root() -> Check:
    path = shutil.which("mmdebstrap")
    return (
        Check("mmdebstrap", "pass", path)
        if path
        else Check("mmdebstrap", "warn", "missing; the stand-in needs it where no registry is reached", SETUP)
    )


def _certificates() -> Check:
    bundle = certificates.ca_bundle()
    return Check("certificates", "pass", f"builds get {bundle} as secret `ca`" if bundle else "the distribution's own")


def _gpu(client: Engine | None) -> list[Check]:
    if not running.gpu_present():
        return [Check("gpu", "warn", "none here; images build and test without one, and serve only the stand-in")]
    rows = [Check("gpu", "pass", "the driver is loaded")]
    if client is not None and not shutil.which("nvidia-ctk"):
        rows.append(
            Check(
                "gpu in containers",
                "warn",
                "nvidia-ctk is missing",
                "install nvidia-container-toolkit (docs.nvidia.com/datacenter/cloud-native)",
            )
        )
    left_out = running.options(client or Engine("docker"), gpu=True).left_out
    return [*rows, *(Check("limits", "warn", text, "raise it in /etc/security/limits.conf") for text in left_out)]


@dataclass(frozen=True)
class Action:
    """One command of `setup`, and why."""

    why: str
    command: tuple[str, ...]


def setup_actions(ask: Callable[[str], str | None]) -> list[Action]:
    """What would make this machine able to build. `ask` gives a package's candidate version. Raises Failed outside Debian and Ubuntu."""
    actions = []
    root = () if os.geteuid() == 0 else ("sudo",)
    packages = _packages(ask)
    if packages:
        if not shutil.which("apt-get"):
            raise Failed(
                "setup knows Debian and Ubuntu, and this machine has no apt-get; install docker by docs.docker.com/engine/install"
            )
        actions.append(Action("the list of packages", (*root, "apt-get", "update", "-qq")))
        environment = ("env", "DEBIAN_FRONTEND=noninteractive")
        actions.append(
            Action(
                "what building needs",
                (*root, *environment, "apt-get", "install", "--yes", "-qq", "--no-install-recommends", *packages),
            )
        )
    client = _client()
    if client is None or (not client.podman and _daemon(client).state != "pass"):
        actions.append(Action("the docker daemon", (*root, *_start())))
        if root:
            actions.append(
                Action(
                    "so that this user may use docker (log in again, or `newgrp docker`)",
                    ("sudo", "usermod", "-aG", "docker", os.environ.get("USER", "")),
                )
            )
    return actions


def _packages(ask: Callable[[str], str | None]) -> list[str]:
    """Packages that are missing: Debian 12's docker.io carries BuildKit, later ones need docker-buildx, Debian 13 splits off docker-cli."""
    wanted = []
    able = any(c.state == "pass" for c in _client_checks())
    daemon = any(shutil.which(name) for name in ("dockerd", "podman")) or shutil.which(
        "dockerd", path="/usr/sbin:/usr/local/sbin"
    )
    if not able or not (daemon or engine_check().state == "pass"):
        wanted += ["docker.io", "iptables", *(name for name in ("docker-cli", "docker-buildx") if ask(name))]
    if not _has_compose():
        wanted += [name for name in COMPOSE_PACKAGES if ask(name)][:1]
    if not shutil.which("mmdebstrap"):
        wanted.append("mmdebstrap")
    if not shutil.which("git"):
        wanted.append("git")
    return wanted


def _has_compose() -> bool:
    """True if some Compose can be called, or only podman is here, whose users bring their own."""
    clients = [engine.at(path) for path in engine.clients()]
    docker = [found for found in clients if not found.podman]
    plugins = (engine.ask(found, "compose", "version", fails=False) for found in docker)
    return bool(clients and not docker) or bool(shutil.which("docker-compose")) or any(plugins)


def engine_check() -> Check:
    """Whether an engine answers."""
    client = _client()
    return _daemon(client) if client else Check("engine", "fail", "there is no client", SETUP)


def _start() -> tuple[str, ...]:
    if Path("/run/systemd/system").is_dir():
        return ("systemctl", "enable", "--now", "docker")
    return (
        "start-stop-daemon",
        "--start",
        "--background",
        "--oknodo",
        "--output",
        "/var/log/dockerd.log",
        "--exec",
        shutil.which("dockerd") or "/usr/sbin/dockerd",
    )
