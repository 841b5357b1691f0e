"""A container with the GPUs of this machine, and what GPU tests ask of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ngc import running, testreport
from ngc.engine import Engine
from ngc.hosts import CONTAINER, Host
from ngc.testing import MODEL_FOLDER, Subject

INSIDE = Path(__file__).parent / "inside"
TRANSFER_SECONDS = 120
COMPLETION_SECONDS = 900


def lacking(request: pytest.FixtureRequest, what: str) -> NoReturn:
    """Skip what needs a GPU, or fail it if --gpu says that there must be one."""
    if request.config.getoption("--gpu"):
        pytest.fail(f"--gpu asks for a GPU, and {what}")
    pytest.skip(what)


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest) -> str | None:
    """What --model names: a folder here, or a name that the engine resolves."""
    value: str | None = request.config.getoption("--model")
    return value


@pytest.fixture(scope="module")
def container(
    where: Host, subject: Subject, start: Callable[..., Any], model: str | None, request: pytest.FixtureRequest
) -> Any:
    """The container of tests/images/conftest.py, with GPUs. Skips, or fails by --gpu, where there are none."""
    if not where.is_container:
        place = start()
        if place.run("test", "-e", "/dev/nvidiactl").rc:
            lacking(request, f"{where} has no GPU (no /dev/nvidiactl)")
        return place
    if refused := request.getfixturevalue("gpu_refused"):
        lacking(request, refused)
    engine: Engine = request.getfixturevalue("client")
    options = running.options(engine, gpu=True)
    folder = ["--volume", f"{model}:{MODEL_FOLDER}:ro"] if model and Path(model).is_dir() else []
    return start(*options.words, *folder)


@pytest.fixture(autouse=True)
def limits_left_out(where: Host, request: pytest.FixtureRequest) -> None:
    """Let the report say which limits this machine could not give the container."""
    if where.is_container and running.gpu_present():
        for text in running.options(request.getfixturevalue("client"), gpu=True).left_out:
            request.node.user_properties.append((testreport.NOTE, f"left out: {text}"))


@pytest.fixture
def measured(request: pytest.FixtureRequest) -> Callable[[str, object], None]:
    """Put a figure into the reports. (pytest's record_property refuses the current form of JUnit.)"""
    return lambda name, value: request.node.user_properties.append((name, value))


@pytest.fixture(scope="module")
def inside(container: Any) -> Callable[..., Any]:
    """Run a program of the folder `inside` by the image's Python; its last line, read as JSON."""

    def run(name: str, *arguments: str, seconds: int = TRANSFER_SECONDS) -> Any:
        text = (INSIDE / name).read_text()
        return json.loads(container.python(text, *arguments, seconds=seconds).splitlines()[-1])

    return run


@pytest.fixture(scope="module")
def driver(inside: Callable[..., Any]) -> dict[str, Any]:
    """What the driver says of itself and its GPUs."""
    answer: dict[str, Any] = inside("driver.py")
    return answer


@pytest.fixture
def two_gpus(driver: dict[str, Any]) -> None:
    """Skip with fewer than two GPUs; --gpu asks for one only."""
    if driver["gpus"] < 2:
        pytest.skip(f"this needs two GPUs, and the driver shows {driver['gpus']}")


@pytest.fixture
def package(container: Any) -> Callable[[str], str]:
    """The version of a Python package; skips where the image has none, whatever can be imported by its name."""

    def find(name: str) -> str:
        found = container.run("python3", "-c", f"from importlib.metadata import version; print(version({name!r}))")
        if found.rc:
            pytest.skip(f"this image has no {name}")
        return str(found.stdout).strip()

    return find


@pytest.fixture
def complete(
    where: Host, subject: Subject, model: str | None, inside: Callable[..., Any]
) -> Callable[[Callable[[str], list[str]]], str]:
    """The text that the engine adds to a prompt, served by the command that the test makes of the model's place."""

    def run(worker: Callable[[str], list[str]]) -> str:
        if model is None:
            pytest.skip("no model was given: --model=FOLDER or a name")
        if subject.stand_in:
            pytest.skip("the stand-in's engine computes nothing")
        mounted = Path(model).is_dir() and where.kind in (CONTAINER, "chroot")
        answer = inside("complete.py", *worker(MODEL_FOLDER if mounted else model), seconds=COMPLETION_SECONDS)
        assert answer["usage"]["completion_tokens"] > 0, answer
        return str(answer["choices"][0]["text"])

    return run
