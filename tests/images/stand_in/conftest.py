"""Fixtures for what only a stand-in can show: whole stacks of real processes, without a GPU."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sh

from ngc import engine as engines
from ngc.catalog import Base
from ngc.testing import Subject

from .stack import CALL_SECONDS, LABEL, Model, Stack, wait_for


@pytest.fixture(scope="module")
def image(subject: Subject) -> str:
    """The image under test, as the engine names it."""
    return engines.any_client().local(subject.image)


@pytest.fixture(scope="module")
def client() -> sh.Command:
    """docker or podman."""
    return sh.Command(engines.any_client().client).bake(_tty_out=False)


@pytest.fixture(scope="module")
def facts(client: sh.Command, image: str) -> dict[str, Any]:
    """`docker image inspect` of the image."""
    return json.loads(str(client("image", "inspect", image, _timeout=CALL_SECONDS)))[0]


@pytest.fixture(scope="module")
def framework(subject: Subject) -> str:
    return subject.framework


@pytest.fixture(scope="module")
def known(entry: Base | None) -> Base:
    """The entry of the layout, which a stand-in always has."""
    assert entry is not None, "this stand-in stands for nothing that image.yaml knows"
    return entry


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


@pytest.fixture(scope="module")
def workers(known: Base) -> None:
    """Skip where no worker can run: the stubs of the engines hold their KV cache in NIXL's memory."""
    if known.lacks("nixl"):
        pytest.skip(
            "this base has no nixl, says image.yaml, and without it neither Dynamo's worker nor the stub starts"
        )


@pytest.fixture
def model(workers: None, services: tuple[Stack, str], framework: str) -> Model:
    """A model without workers yet."""
    stack, url = services
    return Model(stack, url, framework)
