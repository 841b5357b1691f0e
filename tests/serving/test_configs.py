"""Every config that fits one machine: `up` makes it serve, requests take the path it promises, `down` leaves nothing."""

from __future__ import annotations

import socket

import pytest

from ngc import catalog
from ngc.deploy import graph, serving

from .deployed import free_port, left_over, up

TRANSFERRED, LOCAL = "transferred", "local"
# What a config needs changed to run without its hardware: the stand-in's UCX must not look for a NIC that is not there.
WITHOUT_HARDWARE = {"vllm-disagg-rdma": ["--set=spec.envs[0].value=all"]}


def graphs() -> dict[str, graph.Graph]:
    return {path.stem: graph.load(path) for path in sorted((catalog.ROOT / "configs").glob("*.yaml"))}


def single_node() -> list[str]:
    return [name for name, one in graphs().items() if all(service.nodes == 1 for service in one.services)]


@pytest.mark.parametrize("config", single_node())
def test_a_config_serves_as_it_promises_and_leaves_nothing(verbs, client, compose, config):
    one = graphs()[config]
    entry = serving.base_of(catalog.read(), one)
    disaggregated = len(serving.endpoints(one, entry.serving)) > 1
    name = f"ngc-test-{config}"
    # Each worker is told how many GPUs it has: the stand-in's engine starts only if its flags ask for just those.
    gpus = {str(worker.gpus) for worker in one.workers}
    assert len(gpus) == 1
    words = [f"--set=spec.envs[+]={{name: STAND_IN_GPUS, value: '{gpus.pop()}'}}", *WITHOUT_HARDWARE.get(config, [])]
    with up(verbs, client, config, name, *words, NGC_COMPOSE=compose) as deployed:
        assert deployed.first_word() == (TRANSFERRED if disaggregated else LOCAL)
        code, data = deployed.status()
        assert (code, data["healthy"], data["problems"]) == (0, True, [])
        assert {e["registered"] for e in data["endpoints"]} == {e["wanted"] for e in data["endpoints"]}
        smoke = verbs("smoke", f"--config={name}")
        assert smoke.code == 0
        assert ("from prefill to decode over NIXL" in smoke.out) == disaggregated
    # Of claims that the config does not create the content is the user's; `up` has only made room for it.
    kept = [f"ngc-{name}_{claim}" for claim, entry in one.claims.items() if not entry.get("create")]
    if kept:
        client("volume", "rm", *kept)
    assert left_over(client, f"ngc-{name}") == []


@pytest.mark.parametrize("create", [True, False])
def test_down_leaves_the_volumes_of_claims_that_the_config_does_not_create(verbs, client, compose, create):
    """A model that took an hour to download went with the stack."""
    name = "ngc-test-claim"
    made = "{name: model-cache, create: true, size: 1Gi, storageClass: fast, volumeAccessMode: ReadWriteMany}"
    volume = f"ngc-{name}_model-cache"
    with up(
        verbs, client, "vllm-cache", name, *([f"--set=spec.pvcs[0]={made}"] if create else []), NGC_COMPOSE=compose
    ) as deployed:
        deployed.in_container("vllmdecodeworker-0", "touch", "/models/downloaded")
        gone = verbs("down", f"--config={name}", NGC_COMPOSE=compose)
        assert gone.code == 0
        fix = f"the config did not create {volume}, so it was kept; `docker volume rm {volume}` removes it"
        assert (fix in gone.err) == (not create)
    assert (volume in str(client("volume", "ls", "--quiet")).split()) == (not create)
    if not create:
        with up(verbs, client, "vllm-cache", name, NGC_COMPOSE=compose) as deployed:
            deployed.in_container("frontend-0", "test", "-e", "/models/downloaded")
        client("volume", "rm", volume)


def test_logs_are_those_of_the_component_with_each_compose(verbs, client, compose):
    with up(verbs, client, "vllm-disagg", "ngc-test-compose", NGC_COMPOSE=compose):
        logs = verbs("logs", "--config=ngc-test-compose", "--component=Frontend", NGC_COMPOSE=compose)
        assert (logs.code, "dynamo" in logs.out) == (0, True)


def test_two_of_each_serve_under_the_other_engines_names(verbs, client):
    with up(
        verbs, client, "trtllm-disagg", "ngc-test-two",
        "--set=spec.services.TrtllmPrefillWorker.replicas=2", "--set=spec.services.TrtllmDecodeWorker.replicas=2",
    ) as deployed:  # fmt: skip
        assert {deployed.first_word(f"question {number}") for number in range(8)} == {TRANSFERRED}
        assert deployed.registered() == {"tensorrt_llm": 2, "tensorrt_llm_next": 2}


def test_a_model_folder_of_this_machine_is_served_under_its_name(verbs, client, tmp_path):
    image = f"dynamo-vllm-runtime:{catalog.read().framework('vllm').stand_in.version}-stand-in"
    made = str(client("create", image)).strip()
    client("cp", f"{made}:/opt/stand-in/model", str(tmp_path / "my-model"))
    client("rm", made)
    with up(verbs, client, "vllm-disagg", "ngc-test-model", f"--model={tmp_path / 'my-model'}") as deployed:
        assert deployed.model == "my-model"
        assert deployed.first_word() == TRANSFERRED


def test_the_engine_refuses_gpus_that_its_flags_do_not_ask_for(verbs, client):
    """Otherwise the parallel configs above would prove nothing."""
    said = verbs(
        "up", "--config=vllm-tp", "--base=stand-in", f"--port={free_port()}", "--set=metadata.name=ngc-test-gpus",
        "--set=spec.envs[+]={name: STAND_IN_GPUS, value: '1'}", "--timeout=60",
    )  # fmt: skip
    try:
        assert said.code == 1
        assert "tensor parallel 2 x pipeline parallel 1 is not the 1 GPUs of this worker" in said.err
    finally:
        gone = verbs("down", "--config=ngc-test-gpus")
    assert gone.code == 0
    assert left_over(client, "ngc-ngc-test-gpus") == []


def test_a_config_for_several_nodes_is_refused_with_the_reason(verbs):
    with socket.socket() as taken:  # what no port and no image would mend is told first
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = verbs("up", "--config=vllm-multinode", "--image=no.such/image:1", f"--port={port}")
    assert said.code == 2
    assert "VllmDecodeWorker runs on 2 nodes, and Compose is one machine" in said.err
