"""`up` itself: run twice, killed at any moment, ended by Ctrl-C. The same command succeeds next."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from tests.serving.deployed import ROOT, free_port, left_over, up

CONFIG = ("--config=vllm-disagg", "--base=stand-in")


def test_up_run_twice_changes_nothing(verbs, client):
    with up(verbs, client, "vllm-disagg", "ngc-test-twice") as deployed:
        before = str(
            client("ps", "--quiet", "--filter", f"label=com.docker.compose.project={deployed.project}")
        ).split()
        port = deployed.url.rpartition(":")[2]
        again = verbs("up", *CONFIG, f"--port={port}", "--set=metadata.name=ngc-test-twice")
        assert again.code == 0, again.err
        after = str(client("ps", "--quiet", "--filter", f"label=com.docker.compose.project={deployed.project}")).split()
        assert sorted(before) == sorted(after)


@pytest.mark.parametrize("seconds", [0.3, 0.8, 1.2, 1.8, 2.5, 3.2])
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT], ids=["kill", "ctrl-c"])
def test_up_that_was_ended_half_way_comes_up_next_time(verbs, client, seconds, sign):
    name, port = "ngc-test-killed", free_port()
    words = ["up", *CONFIG, f"--port={port}", f"--set=metadata.name={name}", "--timeout=60"]
    try:
        child = subprocess.Popen(
            [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words],
            env=verbs.environment, cwd="/", start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(seconds)  # the moment of the fault
        child.send_signal(sign)  # the verb alone: Compose, its child, may live on
        code = child.wait(30)
        assert code in (0, 130, -signal.SIGKILL)
        again = verbs(*words)
        assert again.code == 0, again.err
        assert verbs("smoke", f"--config={name}").code == 0
    finally:
        verbs("down", f"--config={name}")
    assert left_over(client, f"ngc-{name}") == []


def test_down_that_was_killed_half_way_finishes_next_time(verbs, client):
    name, port = "ngc-test-down", free_port()
    said = verbs("up", *CONFIG, f"--port={port}", f"--set=metadata.name={name}")
    assert said.code == 0, said.err
    child = subprocess.Popen(
        [sys.executable, "-m", "invoke", "--search-root", str(ROOT), "down", f"--config={name}"],
        env=verbs.environment, cwd="/", start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(0.7)
    child.kill()
    child.wait(30)
    again = verbs("down", f"--config={name}")
    assert again.code == 0 or "no stack is up" in again.err
    assert left_over(client, f"ngc-{name}") == []
