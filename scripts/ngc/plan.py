"""What a build would do: steps as plain data, each one command that anybody can run by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ngc import engine, inputs
from ngc.catalog import Image
from ngc.engine import Engine, Found

NAME_LABEL = "ngc-dynamo.name"
TARGET_LABEL = "ngc-dynamo.target"
BASE_NAME_LABEL = "org.opencontainers.image.base.name"
MADE_ANEW = "is made anew"  # the reason of a child; it falls away if the parent comes out the same


@dataclass(frozen=True)
class Build:
    """One `docker build`: what does not depend on the moment it runs."""

    dockerfile: Path
    arguments: Mapping[str, str]
    labels: Mapping[str, str]
    parent: str  # the image that FROM takes
    target: Image | None = None  # None: the stand-in base

    def inputs(self, context: Path, parent_id: str, memo: inputs.Memo | None = None) -> str:
        """What the image's label is to say, when its parent has this id."""
        return inputs.line(self.dockerfile, context, self.arguments, self.labels, parent_id, memo)


@dataclass(frozen=True)
class Step:
    """One thing to do, or found done already (`why` is None).

    `needs` are names of steps that must have succeeded before; the first is the parent's.
    """

    name: str
    image: str
    why: str | None
    needs: tuple[str, ...] = ()
    build: Build | None = None
    command: tuple[str, ...] = ()  # of a step that is no build: a pull, the stand-in's root file system
    found: Found | None = None


@dataclass(frozen=True)
class Plan:
    """Steps, parents first, and what they are built with."""

    context: Path
    engine: Engine
    steps: tuple[Step, ...]
    options: tuple[str, ...] = ()  # options of `docker build` for images, not for the stand-in base
    refused: Mapping[str, str] = field(default_factory=dict)  # image name -> why this base cannot have it

    @property
    def todo(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.why)

    @property
    def images(self) -> list[str]:
        """Names of the images, without bases."""
        return [step.image for step in self.steps if step.build and step.build.target]

    def parent_of(self, step: Step) -> Step | None:
        """The step that makes what this one is built on."""
        return next((other for other in self.steps if step.build and other.image == step.build.parent), None)


def build_command(plan: Plan, step: Step, parent_id: str | None, moment: Mapping[str, str]) -> tuple[str, ...]:
    """The `docker build` of a step. `moment` are labels that say when and from what it was built; they are no inputs."""
    build = step.build
    assert build is not None
    record = build.inputs(plan.context, parent_id or "")
    if parent_id is None:
        record = f"{record.rpartition('parent=')[0]}parent=<known when {build.parent} is there>"
    command = [plan.engine.client, "build", "--file", str(build.dockerfile)]
    command += plan.options if build.target else ()
    if not plan.engine.podman:
        command += ["--progress", "plain"]
    for key, value in build.arguments.items():
        command += ["--build-arg", f"{key}={plan.engine.local(value) if key.endswith('_IMAGE') else value}"]
    for key, value in {**build.labels, inputs.LABEL: record, **moment}.items():
        command += ["--label", f"{key}={value}"]
    return (*command, *engine.secrets(), "--tag", plan.engine.local(step.image), str(plan.context))
