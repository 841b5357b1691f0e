"""Programs that go on running in a container under test, and waiting for what they do."""

from __future__ import annotations

import shlex
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

FOLDER = f"/tmp/ngc-test-{uuid.uuid4().hex[:8]}"  # of this run: a pod or a host may have that of another
LIFE = 600  # seconds; whatever happens to the tests, nothing is left running in a pod or on a host


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """The first true value of `condition`; fails the test with `what` if there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    pytest.fail(f"not within {seconds:.0f} s: {what}")


@dataclass(frozen=True)
class Background:
    """A program that was started in a container; its output is in a file there."""

    container: Any
    name: str
    pid: str

    @property
    def log(self) -> str:
        return str(self.container.run("cat", f"{FOLDER}/{self.name}.log").stdout)

    @property
    def runs(self) -> bool:
        """False too for one that has ended and whose parent does not ask, as `sleep` never does."""
        state = f"grep -q '^State:[[:space:]]*[A-WYa-z]' /proc/{self.pid}/status"
        return bool(self.container.run("sh", "-c", state).rc == 0)

    def end(self) -> None:
        """Send it SIGTERM, for it may run in a place that outlives the tests."""
        self.container.run("sh", "-c", f"kill {self.pid}")

    def wait_for(self, condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
        """As the function of that name, but fails as soon as the program has ended, with what it printed last."""

        def either() -> Any:
            if value := condition():
                return value
            if not self.runs:
                pytest.fail(f"{self.name} ended before {what}; it said: {self.log[-1500:] or 'nothing'}")
            return None

        return wait_for(either, f"{what} ({self.name})", seconds)


def begin(container: Any, name: str, *command: str, environment: Mapping[str, str] | None = None) -> Background:
    """Start a program and leave it running. One that is missing is no error here: waiting for it says so."""
    variables = [f"{key}={value}" for key, value in (environment or {}).items()]
    words = shlex.join(["env", *variables, "timeout", "-k", "5", str(LIFE), *command])
    script = f"mkdir -p {FOLDER}; setsid {words} >{FOLDER}/{name}.log 2>&1 </dev/null & echo $!"
    return Background(container, name, container.output("sh", "-c", script))
