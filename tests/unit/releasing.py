"""Small images of the layouts that NVIDIA's releases have, and a registry filled with the tags that they published."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sh

from ngc import bump, catalog
from ngc.asked.images import Bump

from .extracting import OCI, Image, digest_of, folder, member, tar
from .fronting import push, push_manifest

INDEX = "application/vnd.oci.image.index.v1+json"
TEAM = "nvidia/ai-dynamo"
# Rows of the releases' tables: general availability, patches, CUDA 13, EFA, enterprise, previews and nightlies.
VLLM = (
    "0.6.0", "0.6.1", "0.6.1.post1", "0.7.0", "0.7.0.post1", "0.7.0.post2", "0.7.1", "0.8.0", "0.8.0-cuda13", "0.8.1",
    "0.8.1-cuda13", "0.9.0", "0.9.0-cuda13", "0.9.1", "1.0.0", "1.0.0-cuda13", "1.0.0-efa-amd64", "1.0.1", "1.0.2", "1.1.0",
    "1.1.0-dev.1", "1.1.1", "1.2.0", "1.2.1", "1.2.1-cuda13", "1.3.0", "1.3.0-efa", "1.3.0-dev.1-cuda13", "1.3.0-deepseek-v4-dev.2",
    "1.3.1", "1.4.0", "1.4.1", "1.4.2", "1.4.2-enterprise", "1.5.0", "1.5.1", "1.6.0", "1.6.1", "1.6.2", "1.7.0.dev20261120",
)  # fmt: skip
TRTLLM = (
    "0.6.0", "0.6.1", "0.6.1-cuda13", "0.6.1.post1", "0.7.0", "0.7.0.post1", "0.7.0.post2", "0.7.1", "0.8.0", "0.8.1",
    "0.8.1.post1", "0.8.1.post3", "0.9.0", "0.9.1", "1.0.0", "1.0.1", "1.0.2", "1.1.0", "1.2.0", "1.2.1", "1.3.0", "1.3.1",
    "1.4.0", "1.4.2", "1.5.0", "1.5.1", "1.6.0", "1.6.1", "1.6.2",
)  # fmt: skip


@dataclass
class Made(Image):
    """An image with a history and a config of its own; `settings` are fields of the config such as User."""

    settings: dict[str, Any] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)  # a step per layer
    architecture: str = "amd64"

    @property
    def config(self) -> bytes:
        data = json.loads(super().config)
        data["architecture"] = self.architecture
        data["config"] |= self.settings
        steps: list[dict[str, Any]] = [{"created_by": text} for text in self.history]
        data["history"] = [*steps, {"created_by": "ENV A=1", "empty_layer": True}] if steps else []
        return json.dumps(data).encode()


def layer(name: str, size: int) -> bytes:
    """A layer of one file that does not compress."""
    seed = digest_of(name.encode()).encode()
    data = b"".join(bytes.fromhex(digest_of(seed + bytes([n % 256, n // 256]))[7:]) for n in range(size // 32 + 1))
    return tar(folder("opt"), member(f"opt/{name}", data[:size]))


def release(version: str, architecture: str = "amd64") -> Made:
    """An image as NVIDIA's of that release, a few kB large: up to 0.6 root with a venv, then `dynamo`, from 1.3 without entrypoint."""
    numbers = tuple(int(part) for part in version.split(".")[:2])
    user = {"User": "dynamo"} if numbers >= (0, 7) else {}
    entrypoint = [] if numbers >= (1, 3) else ["/opt/nvidia/nvidia_entrypoint.sh"]
    own = layer(f"dynamo-{version}-{architecture}", 3000)
    return Made(
        [layer("ubuntu", 2000), own],
        environment=["PATH=/usr/bin", f"DYNAMO_VERSION={version}"],
        settings={**user, "Entrypoint": entrypoint, "WorkingDir": "/workspace"},
        history=["ADD ubuntu", f"COPY dynamo {version}"],
        architecture=architecture,
    )


def push_release(host: str, repository: str, tags: Sequence[str], images: Mapping[str, Made]) -> str:
    """Push an index of images by architecture, with an attestation, under each tag; returns its digest."""
    entries = []
    for architecture, image in images.items():
        push(host, repository, digest_of(image.manifest), image)
        entries.append(_entry(image.manifest, architecture))
    proof = Made([tar(member("proof", b"signed"))], architecture="unknown")
    push(host, repository, digest_of(proof.manifest), proof)
    entries.append(_entry(proof.manifest, "unknown", "unknown"))
    index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    for tag in tags:
        push_manifest(host, repository, tag, index, INDEX)
    return digest_of(index)


def _entry(manifest: bytes, architecture: str, system: str = "linux") -> dict[str, Any]:
    platform = {"os": system, "architecture": architecture}
    return {"mediaType": OCI[0], "digest": digest_of(manifest), "size": len(manifest), "platform": platform}


def fill(host: str, name: str, tags: Sequence[str], amd64_only: Sequence[str] = ()) -> None:
    """A repository of NVIDIA's with these tags; the images of most are the same, which nobody who asks for tags can see."""
    both = {architecture: release("0.6.1", architecture) for architecture in ("amd64", "arm64")}
    push_release(host, f"{TEAM}/{name}", [tag for tag in tags if tag not in amd64_only], both)
    if amd64_only:
        push_release(host, f"{TEAM}/{name}", amd64_only, {"amd64": both["amd64"]})


_IMAGE_YAML = """\
purpose: for tests  # kept
stand-in: 0.6.1
targets:
  runtime: {purpose: what runs}
bases:
  # Where it was read.
  0.6.1: &first
    reference: nvcr.io/nvidia/ai-dynamo/NAME:0.6.1
    layout: LAYOUT-0.6.1
    user: ""
    platforms: [linux/amd64, linux/arm64]
    checked: stand-in layout
  0.6.1.post1:
    <<: *first
    reference: nvcr.io/nvidia/ai-dynamo/NAME:0.6.1.post1
"""
_FROZEN = """\
  # An image of its day.
  gpt-oss:
    reference: nvcr.io/nvidia/ai-dynamo/tensorrtllm-gpt-oss:latest
    version: 0.4.0-gpt-oss
    checked: not at all
    note: >-
      frozen; for a current one
      use another
"""
_WORKER = """\
    NAMEWorker:
      subComponentType: ROLE  # its part
      extraPodSpec:
        mainContainer:
          image: nvcr.io/nvidia/ai-dynamo/IMAGE:0.6.1.post1
          workingDir: /workspace/components/backends/MODULE
          command: [python3, -m, dynamo.MODULE]
          args:
            - --model
            - "3"  # beside
ARGS          # behind
          lifecycle: *drain
"""


def _config(image: str, module: str, prefill: Sequence[str], decode: Sequence[str]) -> str:
    text = f"""\
# A graph for tests.
apiVersion: nvidia.com/v1alpha1
kind: DynamoGraphDeployment
metadata:
  name: graph
spec:
  services:
    Frontend:
      componentType: frontend
      extraPodSpec:
        mainContainer:
          image: nvcr.io/nvidia/ai-dynamo/{image}:0.6.1.post1
          lifecycle: &drain
            preStop: {{exec: {{command: [sleep, "5"]}}}}
"""
    for role, words in (("decode", decode), ("prefill", prefill)):
        args = "".join(f"            - {word}\n" for word in words)
        worker = _WORKER.replace("NAME", role.title()).replace("ROLE", role).replace("MODULE", module)
        text += worker.replace("IMAGE", image).replace("ARGS", args)
    return text


def old_tree(repository: Path, to: Path) -> Path:
    """A checkout as it was on 0.6.1.post1, with this repository's schema and releases.yaml; its vLLM and TensorRT-LLM are small."""
    builds, rules = to / "ngc-builds", repository / "ngc-builds"
    for framework, name, stands in (
        ("vllm", "vllm-runtime", "vllm-runtime:0.6.1.post1"),
        ("trtllm", "tensorrtllm-runtime", "tensorrtllm-gpt-oss:latest"),
    ):
        (builds / framework).mkdir(parents=True)
        text = _IMAGE_YAML.replace("NAME", name).replace("LAYOUT", framework)
        (builds / framework / "image.yaml").write_text(text + (_FROZEN if framework == "trtllm" else ""))
        base = f"ARG BASE_IMAGE=nvcr.io/{TEAM}/{stands}\nFROM ${{BASE_IMAGE}}\n# Why.\nENV A=1\n"
        (builds / framework / "Dockerfile.runtime").write_text(base)
        (builds / framework / "Dockerfile.dev").write_text("ARG PARENT_IMAGE\nFROM ${PARENT_IMAGE}\n")
    for name in ("image.schema.json", "releases.yaml"):
        (builds / name).write_text((rules / name).read_text())
    configs = to / "configs"
    configs.mkdir()
    (configs / "vllm-disagg.yaml").write_text(_config("vllm-runtime", "vllm", ["--is-prefill-worker"], []))
    mode = "--disaggregation-mode"
    trtllm = _config("tensorrtllm-runtime", "trtllm", [mode, "prefill"], [mode, "decode"])
    (configs / "trtllm.yaml").write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: beside}\n---\n" + trtllm)
    return to


class OldTree:
    """Such a tree, in a git repository of its own; `mirror` is the registry that bump asks."""

    def __init__(self, root: Path, mirror: str) -> None:
        self.root, self.mirror = root, mirror

    def read(self) -> catalog.Catalog:
        return catalog.read(self.root)

    def plan(self, framework: str, to: str, pin: bool = False) -> bump.Plan:
        return bump.make(self.read(), Bump(framework, to, pin, mirror=self.mirror))

    def bump(self, framework: str, to: str, pin: bool = False) -> bump.Plan:
        plan = self.plan(framework, to, pin)
        bump.apply(plan)
        return plan

    def git(self, *words: str) -> str:
        settings = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
        return str(sh.Command("git")("-C", str(self.root), *settings, *words, _tty_out=False))

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=state")

    def text(self, name: str) -> str:
        return (self.root / name).read_text()
