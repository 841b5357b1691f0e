"""Faults of a served stack, each with what an open-loop client saw; the table at the end is kept in docs/SERVING.md."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from tests.serving.conftest import client, engine_ready, verbs  # noqa: F401  # fixtures
from tests.serving.deployed import Deployed
from tests.serving.load import OpenLoop

ROWS: pytest.StashKey[list[tuple[str, str, str]]] = pytest.StashKey()
BEFORE = 1.0  # seconds of quiet asking before a fault, so that its first failure is its own


@pytest.fixture
def fault(request: pytest.FixtureRequest, wait_for) -> Callable[..., object]:
    """A context manager: the client asks, the fault happens inside, then it waits for well answers and writes a row."""

    @contextmanager
    def during(
        what: str, deployed: Deployed, first_words: set[str], well: str, rate: float = 20.0, patience: float = 10.0
    ) -> Iterator[OpenLoop]:
        with OpenLoop(deployed.url, deployed.model, first_words, rate, timeout=patience) as load:
            wait_for(lambda: load.outcomes and load.outcomes[-1].at > BEFORE, "the client asks")
            begun = time.monotonic()
            yield load
            wait_for(lambda: deployed.first_word() == well, f"answers begin with {well} again", 60)
            wait_for(lambda: deployed.status()[0] == 0, "the status is healthy again", 60)
            well_after = time.monotonic() - begun
        rows = request.config.stash.setdefault(ROWS, [])
        rows.append((what, load.said(), f"{well_after:.1f} s"))

    return during


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash.get(ROWS, [])
    if rows:
        terminalreporter.write_sep("-", "faults")
        terminalreporter.write_line("| fault | what the client saw | all well after |\n| --- | --- | --- |")
        for row in rows:
            terminalreporter.write_line(f"| {' | '.join(row)} |")
