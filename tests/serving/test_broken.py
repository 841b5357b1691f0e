"""A broken hand-over can never look healthy: what clients get, and what `status` says of it."""

from __future__ import annotations

import pytest

from .deployed import up


@pytest.mark.parametrize(
    ("config", "prefill", "client_gets", "status_says"),
    [
        ("vllm-disagg", "vllmprefillworker-0", "local", "decode workers compute prompts themselves"),
        ("trtllm-disagg", "trtllmprefillworker-0", "500", "until one is, requests fail"),
    ],
)
def test_without_prefill_the_status_says_what_it_means(
    verbs, client, wait_for, config, prefill, client_gets, status_says
):
    with up(verbs, client, config, f"ngc-test-gone-{config}") as deployed:
        assert deployed.first_word() == "transferred"
        client("stop", "--time", "1", deployed.container(prefill))
        wait_for(lambda: deployed.first_word() == client_gets, f"requests without prefill end as {client_gets}")
        code, data = deployed.status()
        assert (code, data["healthy"]) == (1, False)
        assert any(f"{prefill} is exited" in text for text in data["problems"])
        assert any(status_says in text for text in data["problems"])
        assert verbs("smoke", f"--config={deployed.name}").code == 1
        client("start", deployed.container(prefill))
        wait_for(lambda: deployed.first_word() == "transferred", "the hand-over works again")
        wait_for(lambda: deployed.status()[0] == 0, "the status is healthy again")


def test_prefill_first_is_served_too(verbs, client):
    with up(
        verbs, client, "trtllm-disagg", "ngc-test-first",
        "--set=spec.services.TrtllmDecodeWorker.extraPodSpec.mainContainer.args[9]=prefill_first",
        "--set=spec.services.TrtllmPrefillWorker.extraPodSpec.mainContainer.args[9]=prefill_first",
    ) as deployed:  # fmt: skip
        assert deployed.first_word() == "transferred"
        assert deployed.status()[0] == 0


@pytest.mark.parametrize(
    ("worker", "value", "first_word", "said"),
    [
        ("VllmPrefillWorker", "{name: STAND_IN_FAULT, value: corrupt}", "corrupt", "its content is wrong"),
    ],
)
def test_a_transfer_that_brings_the_wrong_content_is_never_up(verbs, client, worker, value, first_word, said):
    name = "ngc-test-corrupt"
    try:
        done = verbs(
            "up", "--config=vllm-disagg", "--base=stand-in", "--port=18471", f"--set=metadata.name={name}",
            f"--set=spec.services.{worker}.envs={[value]}".replace("'", ""), "--timeout=15",
        )  # fmt: skip
        assert done.code == 1
        assert f"no KV cache was handed over: the KV transfer failed, or {said}" in done.err
    finally:
        verbs("down", f"--config={name}")


def test_a_decode_worker_without_a_connector_is_never_up(verbs):
    name = "ngc-test-unlinked"
    try:
        done = verbs(
            "up", "--config=vllm-disagg", "--base=stand-in", "--port=18472", f"--set=metadata.name={name}",
            "--set=spec.services.VllmDecodeWorker.extraPodSpec.mainContainer.args[+]=--connector",
            "--set=spec.services.VllmDecodeWorker.extraPodSpec.mainContainer.args[+]=none", "--timeout=15",
        )  # fmt: skip
        assert done.code == 1
        assert "no KV cache was handed over" in done.err
    finally:
        verbs("down", f"--config={name}")
