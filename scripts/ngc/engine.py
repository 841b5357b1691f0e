"""Docker or podman, through its command line: find a client, ask, and say how a container is run."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ngc import certificates
from ngc.errors import Failed, Wrong

CLIENT_VARIABLE = "NGC_ENGINE"
_BUILDKIT_INSIDE = range(18, 23)  # docker 18.09 to 22 carry BuildKit in the client; later ones need the buildx plugin


@dataclass(frozen=True)
class Engine:
    """A client program and which engine's language it speaks."""

    client: str  # path or name of the program
    podman: bool = False

    @property
    def name(self) -> str:
        return "podman" if self.podman else "docker"

    @property
    def environment(self) -> dict[str, str]:
        """What the client needs in its environment: docker must be asked for BuildKit by name."""
        return dict(os.environ) if self.podman else {**os.environ, "DOCKER_BUILDKIT": "1"}

    def local(self, image: str) -> str:
        """The name under which this engine keeps a locally built image."""
        return f"localhost/{image}" if self.podman and "/" not in image and not image.startswith("sha256:") else image


@dataclass(frozen=True)
class Found:
    """An image that the engine has. `size` is bytes on disk, None where the engine's own figure counts more than layers."""

    id: str
    labels: Mapping[str, str]
    user: str
    platform: str
    environment: tuple[str, ...]
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    layers: tuple[str, ...]
    size: int | None
    created: str


def clients() -> list[str]:
    """Every docker client on PATH, first come first, then podman; the variable NGC_ENGINE replaces the search."""
    chosen = os.environ.get(CLIENT_VARIABLE)
    if chosen:
        path = shutil.which(chosen)
        if path is None:
            raise Wrong(f"{CLIENT_VARIABLE} is '{chosen}', which is no program; name docker, podman or a path")
        return [path]
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    found = [path for name in ("docker", "podman") for folder in folders if (path := shutil.which(name, path=folder))]
    return list({os.path.realpath(path): path for path in reversed(found)}.values())[::-1]


def at(path: str) -> Engine:
    """The engine whose client this program is, told by its name."""
    return Engine(path, podman=Path(path).name.startswith("podman"))


def any_client() -> Engine:
    """The first client there is: good enough to ask. Raises Failed when there is none."""
    for path in clients():
        return at(path)
    raise Failed(
        "there is no docker and no podman on PATH; `scripts/build-all.sh --setup` installs one on Debian and Ubuntu"
    )


def builder() -> Engine:
    """The first client that can do BuildKit builds. Raises Failed with what would help."""
    engine = any_client()
    refused = []
    for path in clients():
        candidate = at(path)
        if candidate.podman or can_buildkit(candidate):
            return candidate
        refused.append(path)
    raise Failed(
        f"{' and '.join(refused) or engine.client} cannot do BuildKit builds: install the buildx plugin (package docker-buildx), "
        f"or put a docker client older than 23 on PATH, or name a client in {CLIENT_VARIABLE}"
    )


def can_buildkit(engine: Engine) -> bool:
    """True if `docker build` of this client can use BuildKit: carried inside before 23, the buildx plugin from 23 on."""
    version = client_version(engine)
    if version and version[0] in _BUILDKIT_INSIDE:
        return True
    return ask(engine, "buildx", "version", fails=False) is not None


def client_version(engine: Engine) -> tuple[int, ...]:
    """The client's version as numbers, () when it does not say one."""
    match = re.search(r"version (\d+)\.(\d+)\.(\d+)", ask(engine, "--version", fails=False) or "")
    return tuple(map(int, match.groups())) if match else ()


def ask(engine: Engine, *arguments: str, fails: bool = True) -> str | None:
    """Run a short command of the client and return its stdout; None if it failed and `fails` is False. Raises Failed."""
    import sh

    try:
        return str(sh.Command(engine.client)(*arguments, _env=engine.environment, _tty_out=False))
    except sh.ErrorReturnCode as error:
        if not fails:
            return None
        raise Failed(explain(engine, error.stderr.decode(errors="replace"))) from None


def explain(engine: Engine, stderr: str) -> str:
    """One sentence for what a client printed when it failed, with the fix where it is known."""
    text = " ".join(stderr.split())
    if re.search(
        r"Cannot connect to the Docker daemon|Is the docker daemon running|connect: connection refused|no such file or directory.*docker\.sock",
        text,
    ):
        where = re.search(r"(unix|tcp|ssh)://[^\s.]*[^\s]*", text)
        return f"the docker daemon does not answer{f' at {where[0].rstrip(chr(46))}' if where else ''}; start it with `invoke setup --yes` or `systemctl start docker`"
    if "permission denied" in text and ".sock" in text:
        return "this user may not talk to the docker daemon; run `sudo usermod -aG docker $USER` and log in again"
    if "could not select device driver" in text or "unresolvable CDI devices" in text:
        return f"{engine.name} cannot give a container the GPU; install nvidia-container-toolkit, and run `nvidia-ctk runtime configure` (podman: `nvidia-ctk cdi generate`)"
    return f"{engine.name} says: {text or 'nothing'}"


def images(engine: Engine, references: Iterable[str]) -> dict[str, Found]:
    """Of the named images those that the engine has, by the name asked for. One call. Raises Failed if the engine does not answer."""
    import sh

    names = list(dict.fromkeys(references))
    if not names:
        return {}
    command = sh.Command(engine.client)
    done = command(
        "image",
        "inspect",
        "--",
        *names,
        _env=engine.environment,
        _tty_out=False,
        _ok_code=[0, 1, 125],
        _return_cmd=True,
    )
    data: list[dict[str, Any]] = json.loads(str(done) or "[]")
    lost = [line for line in done.stderr.decode(errors="replace").splitlines() if line and not _says_missing(line)]
    if lost and not data:
        raise Failed(explain(engine, "\n".join(lost)))
    found = [described(entry) for entry in data]
    return {name: image for name in names if (image := _named(name, found, engine)) is not None}


def _says_missing(line: str) -> bool:
    return re.search(r"no such image|image not known|not found|^\[\]$", line, re.IGNORECASE) is not None


def _named(name: str, found: Sequence[Found], engine: Engine) -> Found | None:
    full = name if re.search(r":[^/]+$", name) or "@" in name or name.startswith("sha256:") else f"{name}:latest"
    wanted = {full, engine.local(full), f"docker.io/{full}", f"docker.io/library/{full}"}
    if "@" in name:  # engines list a digest without the tag that may stand before it
        wanted.add(re.sub(r":[^/:@]+@", "@", name))
    for image in found:
        if wanted & {*image.tags, *image.digests} or image.id == name or f"sha256:{image.id}" == name:
            return image
    return None


def described(entry: Mapping[str, Any]) -> Found:
    """An image from its entry in `docker image inspect`."""
    config: Mapping[str, Any] = entry.get("Config") or {}
    identifier = str(entry["Id"])
    return Found(
        id=identifier if identifier.startswith("sha256:") else f"sha256:{identifier}",
        labels=config.get("Labels") or {},
        user=config.get("User") or "",
        platform=f"{entry.get('Os', 'linux')}/{entry.get('Architecture', '')}",
        environment=tuple(config.get("Env") or ()),
        tags=tuple(entry.get("RepoTags") or ()),
        digests=tuple(entry.get("RepoDigests") or ()),
        layers=tuple((entry.get("RootFS") or {}).get("Layers") or ()),
        # With the containerd store Size counts compressed blobs as well, and no graph driver is named.
        size=int(entry["Size"]) if (entry.get("GraphDriver") or {}).get("Data") else None,
        created=str(entry.get("Created", "")),
    )


def layer_sizes(engine: Engine, reference: str) -> list[tuple[int, str]]:
    """(bytes on disk, what made it) of each layer of an image, newest first."""
    if engine.podman:  # its --human=false still writes "12 kB"
        data = json.loads(ask(engine, "history", "--no-trunc", "--format", "json", reference) or "[]")
        rows = [(step["size"], step["CreatedBy"]) for step in data]
    else:
        form = "{{.Size}}\t{{.CreatedBy}}"
        text = ask(engine, "history", "--no-trunc", "--human=false", "--format", form, reference) or ""
        rows = [(size, made) for size, _, made in (line.partition("\t") for line in text.splitlines() if line.strip())]
    return [(int(float(size)), made.removeprefix("/bin/sh -c ").strip()) for size, made in rows]


def secrets() -> list[str]:
    """Build options that hand the certificates of a TLS-inspecting network to a build; [] where there is no such network."""
    bundle = certificates.ca_bundle()
    return ["--secret", f"id=ca,src={bundle}"] if bundle else []
