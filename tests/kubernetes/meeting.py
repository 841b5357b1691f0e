"""A verb as a process that is met in the middle of its work, and what it says in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.conftest import ROOT

PATIENT = "--timeout=5m"  # many times what a deploy takes: where nothing is wrong a busy node is only slow


def one_sentence(said) -> str:
    """The last line of what a verb said, which is its error."""
    last = said.err.strip().splitlines()[-1]
    assert last.startswith(("error: ", "interrupted")), said.err
    assert "Traceback" not in said.err
    return last


@contextmanager
def running(verbs, *words: str, **environment: str) -> Iterator[subprocess.Popen]:
    """A verb as a process, to be met in the middle of its work."""
    child = subprocess.Popen(
        [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words],
        env={**verbs.environment, **environment}, cwd="/", start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield child
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # with the kubectl it may have started
        child.wait(30)
        for pipe in (child.stdout, child.stderr):
            pipe.close()


def until(child: subprocess.Popen, text: str) -> list[str]:
    """What a verb said up to a line with the text."""
    said = []
    for row in child.stderr:
        said.append(row)
        if text in row:
            return said
    raise AssertionError(f"it never said {text}: {''.join(said)}")
