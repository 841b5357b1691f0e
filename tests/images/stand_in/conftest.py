"""Fixtures for the tests of a stand-in image.

NGC_TEST_IMAGE  the image; every test skips without it
NGC_ENGINE      docker (default), podman, or the path of one
Everything carries the label ngc-dynamo.test and is removed, also when a test fails.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sh

from .stack import CALL_SECONDS, LABEL, Model, Stack, wait_for


@pytest.fixture(scope="session")
def image() -> str:
    """The image under test."""
    name = os.environ.get("NGC_TEST_IMAGE")
    if not name:
        pytest.skip("no image: set NGC_TEST_IMAGE to a stand-in image")
    return name


@pytest.fixture(scope="session")
def client() -> sh.Command:
    """docker or podman."""
    name = os.environ.get("NGC_ENGINE", "docker")
    try:
        command = sh.Command(name)
    except sh.CommandNotFound:
        pytest.skip(f"no container engine: '{name}' is not on PATH; set NGC_ENGINE")
    # docker's help and plugins must not depend on a terminal
    return command.bake(_tty_out=False)


@pytest.fixture(scope="session")
def facts(client: sh.Command, image: str) -> dict[str, Any]:
    """`docker image inspect` of the image."""
    try:
        return json.loads(str(client("image", "inspect", image, _timeout=CALL_SECONDS)))[0]
    except sh.ErrorReturnCode:
        pytest.fail(f"no image '{image}' here; build it, see ngc-builds/stand-in/README.md")


@pytest.fixture(scope="session")
def framework(facts: dict[str, Any]) -> str:
    """vllm or trtllm, from the image's own label."""
    stands_for = facts["Config"]["Labels"].get("ngc-dynamo.stands-for", "")
    for part, name in (("/vllm-runtime:", "vllm"), ("/tensorrtllm-runtime:", "trtllm")):
        if part in stands_for:
            return name
    pytest.fail(f"label ngc-dynamo.stands-for is '{stands_for}'; expected a vllm-runtime or tensorrtllm-runtime")


@pytest.fixture
def run(client: sh.Command, image: str) -> Callable[..., str]:
    """Run a command in a fresh container and return its stdout, without the entrypoint's banner."""

    def call(*command: str, options: tuple[str, ...] = ()) -> str:
        program, *rest = command
        return str(
            client(
                "run", "--rm", "--label", LABEL, "--entrypoint", program, *options, image, *rest, _timeout=CALL_SECONDS
            )
        )

    return call


@pytest.fixture(scope="module")
def services(client: sh.Command, image: str) -> Iterator[tuple[Stack, str]]:
    """etcd, NATS and a frontend from the image; the stack and the frontend's URL."""
    stack = Stack(client, image)
    try:
        stack.start(
            "etcd", "etcd", "--data-dir", "/tmp/etcd",
            "--listen-client-urls", "http://0.0.0.0:2379", "--advertise-client-urls", "http://etcd:2379",
        )  # fmt: skip
        stack.start("nats", "nats-server", "-js", "-sd", "/tmp/nats", "-m", "8222")
        frontend = stack.start(
            "frontend",
            "python3",
            "-m",
            "dynamo.frontend",
            "--http-port",
            "8000",
            options=("--publish", "127.0.0.1::8000"),
        )
        address = str(client("port", frontend.name, "8000", _timeout=CALL_SECONDS)).strip().splitlines()[0]
        url = f"http://{address}"

        def alive() -> bool:
            try:
                with urllib.request.urlopen(f"{url}/live", timeout=5) as answer:
                    return answer.status == 200
            except OSError:
                return False

        wait_for(alive, 30, "the frontend")
        yield stack, url
    finally:
        stack.remove()


@pytest.fixture
def model(services: tuple[Stack, str], framework: str) -> Model:
    """A model without workers yet."""
    stack, url = services
    return Model(stack, url, framework)
