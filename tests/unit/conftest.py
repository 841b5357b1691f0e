"""Trees of our own for the code behind the verbs: small, in temporary folders, with a base of one file."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sh

from ngc import catalog, imageyaml, planning, runner
from ngc import engine as engines
from ngc.asked.images import Build
from ngc.catalog import Catalog
from ngc.deploy import graph, lint
from ngc.deploy.lint import Report
from ngc.engine import Engine
from ngc.plan import Plan
from ngc.runner import Result

IMAGE_YAML = """\
purpose: for tests
stand-in: 1.0.0
targets:
  runtime: {purpose: what runs, budget: 1MB}
  dev: {purpose: what builds, budget: 1MB}
bases:
  1.0.0: &base
    reference: registry.invalid/test/BASE:1.0.0
    layout: test-1.0.0
    user: ""
    platforms: [linux/amd64]
  1.0.0.post1:
    <<: *base
    reference: registry.invalid/test/BASE:1.0.0.post1
"""


@dataclass(frozen=True)
class Tree:
    """A checkout of our own. `prefix` begins the name of its base, so that tests do not meet."""

    root: Path
    base: str

    @property
    def builds(self) -> Path:
        return self.root / "ngc-builds"

    def add_framework(self, name: str) -> Path:
        """A framework with runtime and dev, each copying one file."""
        folder = self.builds / name
        folder.mkdir(parents=True)
        (folder / "image.yaml").write_text(IMAGE_YAML.replace("BASE", name))
        (folder / "Dockerfile.runtime").write_text(
            f"ARG BASE_IMAGE=registry.invalid/test/{name}:1.0.0.post1\nFROM ${{BASE_IMAGE}}\nCOPY {name}/runtime.txt /etc/\n"
        )
        (folder / "Dockerfile.dev").write_text(f"ARG PARENT_IMAGE\nFROM ${{PARENT_IMAGE}}\nCOPY {name}/dev.txt /etc/\n")
        (folder / "runtime.txt").write_text("runtime\n")
        (folder / "dev.txt").write_text("dev\n")
        return folder

    def read(self) -> Catalog:
        return catalog.read(self.root)


@pytest.fixture
def tree(tmp_path: Path, root: Path, unique: str) -> Tree:
    """Two frameworks, `alpha` and `beta`, whose image names no other test uses."""
    made = Tree(tmp_path / "tree", f"{unique}/base:1.0.0")
    for name in ("alpha", "beta"):
        made.add_framework(name)
    shutil.copy(root / "ngc-builds" / imageyaml.SCHEMA, made.builds)
    return made


@pytest.fixture
def invoke(root: Path) -> Callable[..., tuple[int, str, str]]:
    """Run a verb from any folder; returns exit code, stdout, stderr."""

    def run(*words: str, folder: str | Path = "/", **environment: str) -> tuple[int, str, str]:
        done = sh.Command(sys.executable)(
            "-m", "invoke", "--search-root", str(root), *words,
            _env={**os.environ, **environment}, _cwd=str(folder), _ok_code=list(range(256)), _return_cmd=True, _tty_out=False,
        )  # fmt: skip
        return done.exit_code, done.stdout.decode(), done.stderr.decode()

    return run


@pytest.fixture(scope="session")
def layer_of_one_file() -> bytes:
    """A root file system with one file, as a tar."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        member = tarfile.TarInfo("etc/base")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"base\n"))
    return data.getvalue()


MADE_BY = "ngc-test.made-by"  # a label that every image inherits from the base of the test that built it


class Builder:
    """Builds the images of a tree on its base with a real engine, under a tag of its own."""

    def __init__(self, tree: Tree, engine: Engine, tag: str, logs: Path) -> None:
        self.tree, self.engine, self.tag, self.logs = tree, engine, tag, logs
        self.heard: list[tuple[str, str]] = []

    def import_base(self, layer: bytes, *changes: str, name: str = "") -> None:
        """Make the base of the layer, with Dockerfile instructions on top; one that was there loses its name."""
        options = [word for change in (f"LABEL {MADE_BY}={self.tag}", *changes) for word in ("--change", change)]
        sh.Command(self.engine.client)("import", *options, "-", name or self.tree.base, _in=layer)

    def plan(self, *targets: str, **request: Any) -> Plan:
        asked = Build(["alpha"], targets, base=self.tree.base, tag=self.tag, **request)
        return planning.make(self.tree.read(), asked, self.engine, lambda names: engines.images(self.engine, names))

    def build(self, *targets: str, jobs: int = 2, **request: Any) -> dict[str, Result]:
        """Results by step name."""
        plan = self.plan(*targets, **request)
        results = runner.run(plan, jobs, lambda name, text: self.heard.append((name, text)), self.logs)
        return {result.step.name: result for result in results}

    def outcomes(self, *targets: str, **request: Any) -> dict[str, str]:
        """What became of each image, without the base."""
        results = self.build(*targets, **request)
        return {name.removeprefix("alpha-"): r.outcome for name, r in results.items() if r.step.build}

    def has(self, target: str) -> bool:
        return bool(engines.images(self.engine, [f"dynamo-alpha-{target}:{self.tag}"]))


@pytest.fixture
def builder(tree: Tree, engine: Engine, layer_of_one_file: bytes, tmp_path: Path, unique: str) -> Iterator[Builder]:
    """A Builder whose base is here; all images on that base are removed afterwards, whatever their names."""
    made = Builder(tree, engine, unique, tmp_path / "logs")
    made.import_base(layer_of_one_file)
    yield made
    listed = engines.ask(engine, "image", "ls", "--quiet", "--no-trunc", "--filter", f"label={MADE_BY}={unique}")
    ids = list(dict.fromkeys(listed.split()))  # children before parents, as they come; an image is listed for each name
    engines.ask(engine, "image", "rm", "--force", *ids, fails=False)


@pytest.fixture(scope="module")
def table() -> Catalog:
    """The repository's own table."""
    return catalog.read()


@pytest.fixture
def report(table: Catalog, tmp_path: Path) -> Callable[[str], Report]:
    """Lint a text."""

    def check(text: str) -> Report:
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return lint.check(table, graph.load(path))

    return check
