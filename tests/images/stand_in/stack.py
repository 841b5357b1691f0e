"""Real containers of one image on a network of their own, and what tests ask of them."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import sh

LABEL = "ngc-dynamo.test"
# One call of the engine, in seconds; nothing here needs more on a slow machine.
CALL_SECONDS = 60


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The first true value of `condition`; fails the test with `what` when none came within `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    pytest.fail(f"not within {seconds} s: {what}")


@dataclass(frozen=True)
class Container:
    """A container, and what tests ask of it."""

    client: sh.Command
    name: str

    def exec(self, *command: str) -> str:
        """Stdout of a command inside; raises sh.ErrorReturnCode when it fails."""
        return str(self.client("exec", self.name, *command, _timeout=CALL_SECONDS))

    def logs(self) -> str:
        """All that it printed, both streams."""
        return str(self.client("logs", self.name, _err_to_out=True, _timeout=CALL_SECONDS))

    def inspect(self, template: str) -> str:
        """One value from `docker inspect`."""
        return str(self.client("inspect", "--format", template, self.name, _timeout=CALL_SECONDS)).strip()

    def restart(self) -> None:
        """Kill and start again."""
        self.client("restart", "--time", "0", self.name, _timeout=CALL_SECONDS)


@dataclass
class Stack:
    """Containers of one image on one network."""

    client: sh.Command
    image: str
    network: str = field(default_factory=lambda: f"ngc-test-{uuid.uuid4().hex[:10]}")
    containers: list[Container] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.client("network", "create", "--label", LABEL, self.network, _timeout=CALL_SECONDS)

    def start(self, name: str, *command: str, options: tuple[str, ...] = ()) -> Container:
        """Start a container that the others reach as `name`."""
        container = Container(self.client, f"{self.network}-{name}-{len(self.containers)}")
        self.containers.append(container)
        self.client(
            "run", "--detach", "--name", container.name, "--label", LABEL,
            "--network", self.network, "--network-alias", name,
            "--env", "ETCD_ENDPOINTS=http://etcd:2379", "--env", "NATS_SERVER=nats://nats:4222",
            "--env", "DYN_SYSTEM_ENABLED=true", "--env", "DYN_SYSTEM_PORT=9090",
            *options, self.image, *command,
            _timeout=CALL_SECONDS,
        )  # fmt: skip
        return container

    def remove(self) -> None:
        """Remove all of it; a container that is gone already is no trouble."""
        for container in self.containers:
            self.client("rm", "--force", "--volumes", container.name, _ok_code=range(256), _timeout=CALL_SECONDS)
        self.client("network", "rm", self.network, _ok_code=range(256), _timeout=CALL_SECONDS)


@dataclass
class Model:
    """One served model: workers in a Dynamo namespace of their own, so that tests do not see each other's."""

    stack: Stack
    url: str
    framework: str
    name: str = field(default_factory=lambda: f"test/{uuid.uuid4().hex[:10]}")

    @property
    def namespace(self) -> str:
        """Dynamo namespace."""
        return self.name.replace("/", "-")

    def worker(self, *flags: str, options: tuple[str, ...] = ()) -> Container:
        """Start a worker of this model."""
        model = "--model" if self.framework == "vllm" else "--model-path"
        return self.stack.start(
            "worker", "python3", "-m", f"dynamo.{self.framework}", model, self.name, *flags,
            options=("--env", f"DYN_NAMESPACE={self.namespace}", *options),
        )  # fmt: skip

    def ask(self, prompt: str, tokens: int = 2) -> tuple[int, list[str]]:
        """HTTP status and the words of the answer; (0, []) when the frontend does not answer."""
        body = {"model": self.name, "max_tokens": tokens, "messages": [{"role": "user", "content": prompt}]}
        request = urllib.request.Request(
            f"{self.url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                content = json.load(answer)["choices"][0]["message"]["content"]
                return answer.status, (content or "").split()
        except urllib.error.HTTPError as error:
            return error.code, []
        except OSError:
            return 0, []

    def first_word(self, prompt: str = "Hi") -> str:
        """The word that tells which way the request went; empty while there is no answer."""
        words = self.ask(prompt)[1]
        return words[0] if words else ""

    def wait_for_workers(self, *components: str, seconds: float = 30) -> None:
        """Wait until the frontend lists these workers in this model's namespace: one component for each."""
        wanted = Counter(components)

        def listed() -> bool:
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                    found = json.load(answer).get("instances", [])
            except OSError:
                return False
            mine = [one for one in found if one["namespace"] == self.namespace and one["endpoint"] == "generate"]
            return Counter(one["component"] for one in mine) == wanted

        wait_for(listed, seconds, f"workers {components} of {self.namespace}")

    def wait_for_answer(self, seconds: float = 30) -> None:
        """Wait until a request is answered at all."""
        wait_for(self.first_word, seconds, f"an answer from {self.name}")
