"""What is inside an image: read from the image and a container of it, never from what we expect."""

from __future__ import annotations

import io
import json
import os
import shlex
import shutil
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, TypedDict

import msgspec

from ngc import bases, engine, output, sizes
from ngc.clean import TEST_LABEL
from ngc.engine import Engine, Found
from ngc.errors import Failed, Wrong
from ngc.plan import BASE_NAME_LABEL

PROBE = Path(__file__).with_name("probe.py")
PROBE_SECONDS = 180
BASE_DIGEST = "org.opencontainers.image.base.digest"
# Python packages that people ask for first; --json has all.
NOTABLE = (
    "ai-dynamo", "ai-dynamo-runtime", "nixl", "vllm", "tensorrt-llm", "sglang", "torch", "triton", "flashinfer-python", "lmcache",
    "nvidia-nccl-cu12", "nvidia-nccl-cu13", "transformers", "ray", "numpy",
)  # fmt: skip
DEPTH = 4  # folders of a path under which a layer's bytes are added up
SHOWN = 3  # folders shown for a layer


@dataclass(frozen=True)
class Layer:
    """A step of the image's history that added bytes. `added`: largest folders and their bytes; None: not looked at."""

    size: int  # bytes on disk
    made_by: str
    of_base: bool | None  # None: the base is not here to compare with
    added: Mapping[str, int] | None = None


class Part(TypedDict):
    """A component or package, and where it lies in the image."""

    name: str
    version: str
    path: str


class Inside(TypedDict):
    """What the probe answers, if the image lets it. `tools`: where each lies; `nixl_loads` is None where no agent starts."""

    os: str
    components: list[Part]
    python_packages: list[Part]
    system_packages: list[str]
    nixl_plugins: list[str]
    nixl_loads: list[str] | None
    tools: dict[str, str | None]


def look(image: str, files: bool = False) -> dict[str, Any]:
    """Everything about an image that is here, as plain data; sizes in bytes. Raises Failed if it is not here."""
    client = engine.any_client()
    found = engine.images(client, [image]).get(image)
    if found is None:
        raise Failed(f"{image} is not here; `invoke list` shows what is built, `{client.name} pull {image}` fetches it")
    config = json.loads(engine.ask(client, "image", "inspect", found.id) or "[]")[0].get("Config") or {}
    return {
        "image": image,
        "id": found.id,
        "digests": list(found.digests),
        "platform": found.platform,
        "created": found.created,
        "on_disk": sizes.on_disk(client, found),
        "base": {
            "name": found.labels.get(BASE_NAME_LABEL),
            "digest": found.labels.get(BASE_DIGEST),
            "stand_in_for": found.labels.get(bases.STANDS_FOR_LABEL),
        },
        "user": found.user,
        "working_directory": config.get("WorkingDir") or "/",
        "entrypoint": config.get("Entrypoint") or [],
        "command": config.get("Cmd") or [],
        "environment": list(found.environment),
        "labels": dict(found.labels),
        "layers": [asdict(layer) for layer in layers(client, found, files)],
        **inside(client, image),
    }


def inside(client: Engine, image: str) -> dict[str, Any]:
    """What the probe says in a container without network; `probe` says why where it could not run."""
    import sh

    start = 'exec "${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/}python3" -'
    words = ["run", "--rm", "--interactive", "--network", "none", "--label", f"{TEST_LABEL}=1", "--entrypoint", "sh"]
    try:
        said = sh.Command(client.client)(
            *words, client.local(image), "-c", start,
            _in=PROBE.read_text(), _timeout=PROBE_SECONDS, _tty_out=False, _decode_errors="replace",
        )  # fmt: skip
    except sh.ErrorReturnCode as error:
        last = error.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no output"]
        return {"probe": f"could not look inside: {last[0]}"}
    except sh.TimeoutException:
        return {"probe": f"could not look inside: no answer within {PROBE_SECONDS} s"}
    try:
        answer = msgspec.json.decode((str(said).strip().splitlines() or [""])[-1], type=Inside)
    except (msgspec.MsgspecError, RecursionError):
        return {"probe": "could not look inside: its python3 answers otherwise than Python does"}
    return {"probe": "done", **answer}


def layers(client: Engine, image: Found, files: bool) -> list[Layer]:
    """The steps that added bytes, oldest first."""
    history = list(reversed(engine.layer_sizes(client, image.id)))
    name = image.labels.get(BASE_NAME_LABEL)
    base = engine.images(client, [name]).get(name) if name else None
    below = (
        len(engine.layer_sizes(client, base.id)) if base and image.layers[: len(base.layers)] == base.layers else None
    )
    added = contents(client, image.id) if files else {}
    return [
        Layer(
            size,
            " ".join(made.split()),
            None if below is None else number < below,
            dict(added[number].most_common(SHOWN)) if number in added else None,
        )
        for number, (size, made) in enumerate(history)
        if size
    ]


def contents(client: Engine, image: str) -> dict[int, Counter[str]]:
    """Bytes by folder of each layer, by the number of its step in the history, from the engine's `save`."""
    import sh

    out, into = os.pipe()
    with os.fdopen(out, "rb") as stream:
        with os.fdopen(into, "wb") as end:
            saving = sh.Command(client.client)("save", image, _out=end, _bg=True, _bg_exc=False, _tty_out=False)
        found = folders_by_step(stream)
    saving.wait()
    return found


def folders_by_step(stream: IO[bytes]) -> dict[int, Counter[str]]:
    """As `contents`, from a saved archive: Docker's (ID/layer.tar), podman's (DIGEST.tar) or the OCI layout (blobs/sha256/DIGEST)."""
    found: dict[str, Counter[str]] = {}
    texts: dict[str, Any] = {}
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            data = archive.extractfile(member) if member.isreg() else None
            if data is None:
                continue
            head = data.read(1)
            if head in (b"{", b"["):
                texts[member.name] = json.loads(head + data.read())
            elif member.name.endswith(".tar") or member.name.startswith("blobs/"):
                found[member.name] = _folders(_Joined(head, data))
    manifest = texts["manifest.json"][0]
    steps = [number for number, step in enumerate(texts[manifest["Config"]]["history"]) if not step.get("empty_layer")]
    return {number: found.get(name, Counter()) for number, name in zip(steps, manifest["Layers"], strict=True)}


class _Joined(io.RawIOBase):
    """A stream whose first byte was read already."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int = -1) -> bytes:
        head, self._head = self._head, b""
        return head + self._rest.read(size - len(head) if size >= 0 else -1)


def _folders(layer: IO[bytes] | _Joined) -> Counter[str]:
    found: Counter[str] = Counter()
    with tarfile.open(fileobj=layer, mode="r|*") as archive:
        for member in archive:
            if member.isreg():
                parts = member.name.removeprefix("./").split("/")
                found["/" + "/".join(parts[: min(DEPTH, len(parts) - 1)])] += member.size
    return found


SBOM_TOOLS = ("syft", "trivy")
SCAN_TOOLS = ("trivy", "grype")


def bill_command(image: str, file: str) -> list[str]:
    """The command that writes an SBOM, as the file's name asks: .spdx.json or .cdx.json. Raises Wrong, or Failed without a tool."""
    kinds = {".spdx.json": ("spdx-json", "spdx-json"), ".cdx.json": ("cyclonedx-json", "cyclonedx")}
    kind = next((ending for ending in kinds if file.endswith(ending)), None)
    if kind is None:
        raise Wrong(f"--sbom is '{file}'; name a file that ends in .spdx.json (SPDX) or .cdx.json (CycloneDX)")
    if shutil.which("syft"):
        return ["syft", "scan", image, "--output", f"{kinds[kind][0]}={file}"]
    if shutil.which("trivy"):
        return ["trivy", "image", "--format", kinds[kind][1], "--output", file, image]
    raise Failed(f"no SBOM was written: none of {', '.join(SBOM_TOOLS)} is on PATH; install one of them")


def scan_command(image: str) -> list[str]:
    """The command that prints known vulnerabilities. Raises Failed without a tool."""
    if shutil.which("trivy"):
        return ["trivy", "image", "--scanners", "vuln", image]
    if shutil.which("grype"):
        return ["grype", image]
    raise Failed(f"nothing was scanned: none of {', '.join(SCAN_TOOLS)} is on PATH; install one of them")


def by_hand(command: Sequence[str]) -> None:
    """Run a tool as a user would, its output to ours. Raises Failed if it fails."""
    import sh

    print(shlex.join(command), file=sys.stderr)
    try:
        sh.Command(command[0])(
            *command[1:], _out=output.to_stdout, _err=output.to_stderr, _tty_out=False, _decode_errors="replace"
        )
    except sh.ErrorReturnCode as error:
        raise Failed(f"{command[0]} ended with {error.exit_code}; its own words stand above") from None


def page(data: Mapping[str, Any]) -> str:
    """The one page for people."""
    lines = [f"# {data['image']}", ""]
    base = data["base"]
    stand_in = f" (stand-in for {base['stand_in_for']})" if base["stand_in_for"] else ""
    rows = {
        "id": data["id"],
        "digest": ", ".join(data["digests"]) or "none: not pushed, not pulled",
        "base": (base["name"] or "not named") + stand_in,
        "base digest": base["digest"] or "not recorded",
        "platform": data["platform"],
        "made": data["created"],
        "on disk": sizes.text(data["on_disk"]),
        "system": data.get("os", data["probe"]),
        "user": data["user"] or "root (none set)",
        "folder": data["working_directory"],
        "entrypoint": shlex.join(data["entrypoint"]) or "none",
        "command": shlex.join(data["command"]) or "none",
    }
    lines += [f"{name:12} {value}" for name, value in rows.items()]
    if data["probe"] == "done":
        lines += ["", "## Components", *_components(data)]
        present = {name: path for name, path in data["tools"].items() if path}
        lines += [
            "",
            "## Tools",
            " ".join(present),
            f"not there: {' '.join(sorted(set(data['tools']) - set(present))) or 'none'}",
        ]
    lines += ["", "## Layers", *_layer_lines(data["layers"])]
    lines += ["", "## Environment", *data["environment"]]
    tools = {"SBOM": (SBOM_TOOLS, "--sbom FILE writes it"), "vulnerabilities": (SCAN_TOOLS, "--scan lists them")}
    lines.append("")
    for name, (programs, how) in tools.items():
        able = [program for program in programs if shutil.which(program)]
        lines.append(
            f"{name}: {able[0]} is here, {how}" if able else f"{name}: absent, none of {', '.join(programs)} is on PATH"
        )
    return output.lines(lines)


def _components(data: Mapping[str, Any]) -> Iterator[str]:
    packages = {package["name"]: package for package in data["python_packages"]}
    listed = [*data["components"], *(packages[name] for name in NOTABLE if name in packages)]
    width = max((len(part["name"]) for part in listed), default=0)
    for part in listed:
        yield f"{part['name']:{width}}  {part['version']:14}  {part['path']}"
    yield f"{len(packages)} Python packages, {len(data['system_packages'])} of the system: --json lists them"
    yield f"NIXL plugins: {' '.join(data['nixl_plugins']) or 'none'}"
    loads = data["nixl_loads"]
    yield "a NIXL agent loads: " + (
        " ".join(loads) if loads else "it does not start" if "nixl" in packages else "there is no nixl"
    )


def _layer_lines(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    of = {True: "base", False: "own", None: "?"}
    for row in rows:
        yield f"{sizes.text(row['size']):>9}  {of[row['of_base']]:4}  {row['made_by'][:110]}"
        for folder, size in (row["added"] or {}).items():
            yield f"{'':15}  {sizes.text(size):>9} {folder}"
