"""An `up` that cannot succeed says why and who is to blame, and `down` removes it, whatever is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from .deployed import free_port, left_over, up

MAIN = "spec.services.VllmDecodeWorker.extraPodSpec.mainContainer"
LOADS_FOR_EVER = "echo loading; sleep 600; exec python3 -m dynamo.vllm --model Qwen/Qwen3-0.6B"


@pytest.mark.parametrize(
    ("settings", "first", "what", "blamed"),
    [
        (
            ["--set=spec.services.Frontend.envs=[{name: DYN_HTTP_PORT, value: '8001'}]"],
            "warning frontend-port: spec.services.Frontend: it listens on 8001",
            "the frontend does not answer",
            "frontend-0",
        ),
        (
            [f"--set={MAIN}.command=[sh, -c]", f"--set={MAIN}.args=['{LOADS_FOR_EVER}']"],
            "etcd-server: running",
            "worker: 0 of 1 registered as backend.generate",
            "vllmdecodeworker-0",
        ),
    ],
)
def test_a_wait_that_ends_with_all_running_names_who_is_to_blame(verbs, client, settings, first, what, blamed):
    name = "ngc-test-blamed"
    said = verbs(
        "up", "--config=vllm-agg", "--base=stand-in", f"--port={free_port()}", f"--set=metadata.name={name}",
        *settings, "--timeout=10",
    )  # fmt: skip
    gone = verbs("down", f"--config={name}")
    lines = said.err.splitlines()
    assert (said.code, gone.code) == (1, 0)
    assert first in lines[0]
    assert lines[-2].startswith(f"{blamed} | ")
    assert lines[-1].startswith(f"error: {name} does not serve after 10 s: {what}")
    assert f"`invoke logs --config={name} --component={blamed}` shows all" in lines[-1]
    assert f"`invoke down --config={name}` ends it" in lines[-1]
    assert "" not in lines
    assert left_over(client, f"ngc-{name}") == []


@pytest.mark.parametrize("lost", [["compose.json"], ["stack.json"], ["compose.json", "stack.json", "keep.json"]])
def test_down_works_without_files_that_can_be_read(verbs, client, compose, lost):
    name = "ngc-test-lost"
    with up(verbs, client, "vllm-agg", name, NGC_COMPOSE=compose):
        folder = Path(verbs.environment["XDG_STATE_HOME"], "ngc-dynamo", "stacks", name)
        for file in lost:
            (folder / file).write_text((folder / file).read_text()[:20])
        if "stack.json" in lost:
            said = verbs("status", f"--config={name}", NGC_COMPOSE=compose)
            assert said.code == 1
            assert f"`invoke down --config={name}` removes that stack" in said.err
        gone = verbs("down", f"--config={name}", NGC_COMPOSE=compose)
        assert gone.code == 0, gone.err
        assert left_over(client, f"ngc-{name}") == []
        assert not folder.exists()
