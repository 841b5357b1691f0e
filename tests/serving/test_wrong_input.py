"""What `up` is asked wrongly: one sentence with the fix, exit code 2, and nothing was started."""

from __future__ import annotations

import socket

import pytest

from .deployed import left_over


def refused(verbs, *words, **environment):
    said = verbs("up", *words, **environment)
    assert said.code == 2, said
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    return said.err


def test_no_config_lists_the_configs(verbs):
    assert "add --config=NAME, one of: trtllm, trtllm-disagg, vllm-agg" in refused(verbs)


def test_an_unknown_config_lists_the_configs(verbs):
    assert "unknown config 'vllm'; choose from: trtllm" in refused(verbs, "--config=vllm")


def test_a_config_that_is_no_graph_says_what_it_is(verbs, tmp_path):
    file = tmp_path / "pod.yaml"
    file.write_text("apiVersion: v1\nkind: Pod\n")
    assert "holds 0 objects of kind DynamoGraphDeployment (Pod)" in refused(verbs, f"--config={file}")


def test_a_yaml_error_has_its_line(verbs, tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("kind: X\nmetadata: {name: [\n")
    assert f"{file}:3: " in refused(verbs, f"--config={file}")


def test_an_image_that_is_not_built_says_how_to_build_it(verbs, engine_ready):
    said = refused(verbs, "--config=vllm-agg", NGC_BASE="nvcr.io/nvidia/ai-dynamo/vllm-runtime:9.9.9")
    assert "dynamo-vllm-runtime:9.9.9 is not here; `invoke build --framework=vllm --target=runtime" in said


@pytest.mark.parametrize(
    "words",
    [
        ["--image=nope:1"],
        [f"--set=spec.services.{name}.extraPodSpec.mainContainer.image=nope:1" for name in ("Frontend", "VllmDecodeWorker")],
    ],
)  # fmt: skip
def test_an_image_of_the_users_own_is_pulled_not_built(verbs, engine_ready, words):
    said = refused(verbs, "--config=vllm-agg", "--base=stand-in", *words)
    assert said == "error: nope:1 is not here; `docker pull nope:1` fetches it\n"


def test_a_gpu_that_is_not_there(verbs, engine_ready, tmp_path):
    from ngc import running

    if running.gpu_present():
        pytest.skip("there is a GPU here")
    said = refused(verbs, "--config=vllm-agg", "--base=stand-in", "--gpu=on")
    assert said == "error: --gpu=on, and no NVIDIA driver is loaded here; leave out --gpu: the stand-in needs none\n"


def test_a_taken_port_is_named_before_anything_starts(verbs, client):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused(
            verbs, "--config=vllm-agg", "--base=stand-in", f"--port={port}", "--set=metadata.name=ngc-test-port"
        )
    assert f"port {port} is taken by another program; choose one with --port" in said
    assert left_over(client, "ngc-ngc-test-port") == []


def test_no_engine(verbs, tmp_path):
    assert "there is no docker and no podman on PATH" in refused(
        verbs, "--config=vllm-agg", "--base=stand-in", PATH=str(tmp_path)
    )


def test_no_compose(verbs, engine_ready):
    assert "there is no Compose here: `invoke setup --yes`" in refused(
        verbs, "--config=vllm-agg", "--base=stand-in", NGC_COMPOSE="true"
    )


def test_a_compose_that_is_no_program(verbs, engine_ready):
    assert "NGC_COMPOSE is 'no-such', which is no program" in refused(
        verbs, "--config=vllm-agg", "--base=stand-in", NGC_COMPOSE="no-such"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--gpu=maybe"], "--gpu is 'maybe'; choose from: auto, on, off"),
        (["--port=0"], "--port is '0'; write a number from 1 to 65535"),
        (["--port=99999"], "--port is '99999'; write a number from 1 to 65535"),
        (["--port=foo"], "--port is 'foo'; write a number from 1 to 65535"),
        (
            ["--port=65535", "--set=spec.services.Frontend.replicas=2"],
            "each frontend takes a port, from --port=65535 to 65536, and 65535 is the last one",
        ),
        (["--timeout=soon"], "--timeout is 'soon'; write seconds, or a time such as 90s, 30m or 1h"),
        (["--model=/no/such/folder"], "there is no folder /no/such/folder"),
        (["--model=/"], "/ has no config.json"),
    ],
)
def test_a_wrong_flag(verbs, engine_ready, words, said):
    assert said in refused(verbs, "--config=vllm-agg", "--base=stand-in", *words)


@pytest.mark.parametrize("verb", ["down", "status", "logs", "smoke"])
def test_nothing_is_up(verbs, verb, tmp_path):
    (tmp_path / "config").write_text("apiVersion: v1\nkind: Config\n")
    said = verbs(verb, XDG_STATE_HOME=str(tmp_path), KUBECONFIG=str(tmp_path / "config"))
    assert said.code == 2
    cluster = "" if verb == "down" else ", and --context=NAME looks at a cluster"
    assert said.err == f"error: no stack is up on this machine; `invoke up --config=NAME` starts one{cluster}\n"


def test_logs_count_lines_in_numbers(verbs):
    said = verbs("logs", "--tail=all")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "--tail is 'all'; write a number from 1" in said.err
