"""Stacks beside each other on one machine, and verbs beside each other on one stack."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from .deployed import ROOT, Deployed, free_port, left_over, up

ONE, OTHER = "ngc-test-one", "ngc-test-other"


@pytest.fixture(scope="module")
def two(verbs, client) -> Iterator[tuple[Deployed, Deployed]]:
    with up(verbs, client, "vllm-agg", ONE) as one, up(verbs, client, "trtllm", OTHER) as other:
        yield one, other


def containers(client, *projects: str) -> set[str]:
    """Ids of the projects' containers that run."""
    labels = [f"label=com.docker.compose.project={project}" for project in projects]
    return {each for label in labels for each in str(client("ps", "--quiet", "--filter", label)).split()}


def port_of(deployed: Deployed) -> str:
    return deployed.url.rpartition(":")[2]


def test_two_stacks_serve_side_by_side(two):
    assert [stack.first_word() for stack in two] == ["local", "local"]
    assert [stack.status()[0] for stack in two] == [0, 0]


@pytest.mark.parametrize("verb", ["status", "smoke", "logs", "down"])
def test_a_verb_that_could_mean_both_asks_which(two, verbs, verb):
    said = verbs(verb)
    assert (said.code, said.err) == (
        2,
        f"error: several stacks are up; name one with --config: {ONE}, {OTHER}\n",
    )


def test_the_port_of_another_stack_is_refused_before_anything_is_touched(two, verbs, client):
    """A stack that ran was moved to the taken port, and its frontend ended there."""
    one, other = two
    before = containers(client, one.project, other.project)
    said = verbs("up", "--config=vllm-agg", "--base=stand-in", f"--port={port_of(other)}", f"--set=metadata.name={ONE}")
    assert (said.code, said.err) == (
        2,
        f"error: port {port_of(other)} is taken by the stack {OTHER} (`invoke down --config={OTHER}` ends it); choose one with --port\n",
    )
    assert containers(client, one.project, other.project) == before
    assert [stack.status()[0] for stack in two] == [0, 0]


def test_a_stack_is_named_by_its_configs_file_too(two, verbs, configs):
    assert verbs("status", f"--config={configs / 'vllm-agg.yaml'}").out.startswith(f"{ONE} at ")
    assert verbs("logs", "--config=trtllm", "--tail=1").code == 0


def test_another_file_of_the_same_name_does_not_take_a_stack_over(two, verbs, client, configs, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text((configs / "vllm-agg.yaml").read_text())
    before = containers(client, two[0].project)
    said = verbs("up", f"--config={file}", "--base=stand-in", f"--port={free_port()}", f"--set=metadata.name={ONE}")
    assert said.code == 2
    assert f"{ONE} is up from {configs / 'vllm-agg.yaml'}; `invoke down --config={ONE}` ends it, --set" in said.err
    assert containers(client, two[0].project) == before


def test_a_process_that_was_removed_is_a_problem_at_once_and_comes_back(two, verbs, client):
    one, _ = two
    client("rm", "--force", one.container("vllmdecodeworker-0"))
    code, data = one.status()
    assert code == 1
    assert data["problems"][0] == "vllmdecodeworker-0 is gone"
    again = verbs("up", "--config=vllm-agg", "--base=stand-in", f"--port={port_of(one)}", f"--set=metadata.name={ONE}")
    assert again.code == 0, again.err
    assert one.status()[0] == 0


def test_logs_have_no_colours_where_they_are_not_seen(two, verbs):
    for variables in ({}, {"NO_COLOR": "1"}):
        said = verbs("logs", f"--config={ONE}", **variables)
        assert (said.code, "INFO" in said.out, "\x1b" in said.out) == (0, True, False)


@pytest.fixture
def starting(verbs, client) -> Iterator[subprocess.Popen[str]]:
    """An `up` of which something can be seen already."""
    words = ["up", "--config=vllm-agg", "--base=stand-in", f"--port={free_port()}", "--set=metadata.name=ngc-test-busy"]
    command = [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words, "--timeout=60"]
    with subprocess.Popen(
        command, env=verbs.environment, cwd="/", text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert "running" in child.stderr.readline() or child.poll() is None
        yield child
    verbs("down", "--config=ngc-test-busy")
    assert left_over(client, "ngc-ngc-test-busy") == []


def test_while_a_stack_comes_up_nothing_else_touches_it(starting, verbs):
    """Two at once ended both: `network is ambiguous`, `container name already in use`."""
    words = ["--config=vllm-agg", "--base=stand-in", "--set=metadata.name=ngc-test-busy", f"--port={free_port()}"]
    starting.send_signal(signal.SIGSTOP)  # or it has ended before a slow machine comes to the second verb
    try:
        both = [verbs("up", *words), verbs("down", "--config=ngc-test-busy")]
    finally:
        starting.send_signal(signal.SIGCONT)
    for said in both:
        assert said.code == 2
        assert f"`invoke up` of ngc-test-busy is running (process {starting.pid}); wait until it has ended" in said.err
    _, err = starting.communicate()
    assert starting.returncode == 0, err


def test_an_interrupted_up_says_what_runs_and_starts_no_more(starting, verbs):
    starting.send_signal(signal.SIGINT)
    _, err = starting.communicate()
    assert starting.returncode == 130
    assert "etcd-server" in err.splitlines()[-1]
    assert "still run; `invoke down --config=ngc-test-busy` removes all of ngc-test-busy" in err.splitlines()[-1]
    assert verbs("down", "--config=ngc-test-busy").code == 0
