"""Records of the stacks that are up on this machine: which is meant, one at a time, and none lost for another's sake."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from ngc import catalog
from ngc.deploy import composecli, local, stacks
from ngc.deploy.promise import Promise
from ngc.deploy.serving import Endpoint
from ngc.deploy.stacks import Stack
from ngc.errors import Failed, Wrong

from ..conftest import require

PROMISE = Promise("ns", ("m",), (Endpoint("decode", "backend.generate", 1, ("Decode",)),), "local", stand_in=True)


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "ngc-dynamo" / "stacks"


def up(name, config="vllm-agg", path=""):
    stack = Stack(name, config, "image", "http://127.0.0.1:8000", PROMISE, path)
    texts = {stacks.FILE: '{"services": {}}', stacks.KEEP: '{"volumes": {}}'}
    stacks.keep(stack, stacks.stage(stack, texts))
    return stack


def break_record(name):
    path = stacks.folder(name) / stacks.RECORD
    path.write_text(path.read_text()[:40])


def test_what_was_written_down_is_read_again(state):
    stack = up("a", path="/x/a.yaml")
    assert stacks.known() == [stack]
    assert [path.name for path in state.iterdir()] == ["a"]


def test_what_is_only_staged_is_not_up():
    stacks.stage(Stack("a", "vllm-agg", None, "http://127.0.0.1:8000", PROMISE), {})
    assert not stacks.on_record()


def test_what_a_killed_run_had_staged_is_removed_by_the_next_and_nothing_else_is(state):
    stack = Stack("a", "vllm-agg", None, "http://127.0.0.1:8000", PROMISE)
    other = stacks.stage(Stack("a.b", "vllm-agg", None, "http://127.0.0.1:8001", PROMISE), {})
    left = stacks.stage(stack, {})
    stacks.keep(stack, stacks.stage(stack, {stacks.FILE: "{}"}))
    assert not left.exists()
    assert other.exists()
    assert sorted(path.name for path in state.iterdir()) == sorted(["a", other.name])


def test_where_a_stack_is_staged_cannot_be_guessed_and_is_nobody_elses():
    stack = Stack("a", "vllm-agg", None, "http://127.0.0.1:8000", PROMISE)
    first, second = stacks.stage(stack, {}), stacks.stage(stack, {})
    assert first != second
    assert second.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a/../../../x"])
def test_no_file_of_a_stack_is_written_outside_of_its_folder(name, tmp_path):
    with pytest.raises(Wrong, match="is no name of a file below"):
        stacks.stage(Stack("a", "vllm-agg", None, "http://127.0.0.1:8000", PROMISE), {name: "x"})
    assert not list(tmp_path.rglob("x"))


@pytest.mark.parametrize("name", ["a", "vllm-agg", "vllm-agg.yaml", "./vllm-agg.yaml", "../configs/vllm-agg.yaml"])
def test_a_stack_is_known_by_its_name_its_config_and_its_file(name, monkeypatch):
    """However it was started: what was typed then need not be typed again."""
    folder = catalog.ROOT / "configs"
    monkeypatch.chdir(folder)
    up("b", "vllm-disagg", str(folder / "vllm-disagg.yaml"))
    for typed in ("vllm-agg", "configs/vllm-agg.yaml", str(folder / "vllm-agg.yaml")):
        up("a", typed, str(folder / "vllm-agg.yaml"))
        assert stacks.named(name) == "a"


def test_a_name_is_rather_a_stack_than_another_stacks_config():
    up("vllm-agg", "mine.yaml")
    up("other", "vllm-agg")
    assert stacks.named("vllm-agg") == "vllm-agg"


def test_an_unclear_choice_names_the_stacks():
    with pytest.raises(Wrong, match="no stack is up on this machine; `invoke up --config=NAME` starts one"):
        stacks.named(None)
    up("a")
    up("b")
    with pytest.raises(Wrong, match="several stacks are up; name one with --config: a, b"):
        stacks.named(None)
    with pytest.raises(Wrong, match="several stacks serve vllm-agg; name one with --config: a, b"):
        stacks.named("vllm-agg")
    with pytest.raises(Wrong, match="'c' is not up on this machine; what is up: a, b"):
        stacks.named("c")


def test_a_record_that_cannot_be_read_keeps_nobody_from_the_others():
    up("a")
    up("broken")
    break_record("broken")
    assert [stack.name for stack in stacks.known()] == ["a"]
    assert stacks.choose(None).name == "a"
    assert stacks.named("broken") == "broken"
    (told,) = stacks.unreadable()
    assert "broken/stack.json cannot be read; `invoke down --config=broken` removes that stack" in told
    assert "com.docker.compose.project=ngc-broken" in told
    with pytest.raises(Failed, match=r"broken/stack\.json cannot be read"):
        stacks.choose("broken")


def test_the_only_record_that_cannot_be_read_is_the_one_that_is_meant():
    up("broken")
    break_record("broken")
    assert stacks.on_record()
    assert stacks.named(None) == "broken"


def test_a_record_of_before_files_were_written_down_is_read(state):
    up("a")
    path = state / "a" / stacks.RECORD
    data = json.loads(path.read_text())
    del data["path"]
    path.write_text(json.dumps(data))
    assert stacks.choose("a").path == ""


def test_one_at_a_time_and_the_other_is_named(state):
    hold = "import sys; from ngc.deploy import stacks\nwith stacks.locked('a', 'up'): print('held', flush=True); sys.stdin.read()"
    environment = {"XDG_STATE_HOME": str(state.parents[1]), "PYTHONPATH": str(catalog.ROOT / "scripts")}
    words = [sys.executable, "-c", hold]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(Wrong, match=rf"`invoke up` of a is running \(process {other.pid}\); wait until"):
            stacks.locked("a", "down").__enter__()
        with stacks.locked("b", "up"):
            pass
        other.kill()
    with stacks.locked("a", "up"):
        pass


@pytest.fixture(params=["docker compose", "docker-compose"])
def compose(request, monkeypatch):
    monkeypatch.setenv(composecli.VARIABLE, request.param)
    try:
        return composecli.find()
    except (Wrong, Failed) as error:
        require("compose", str(error))


def test_a_file_that_compose_refuses_does_not_replace_a_good_one(compose):
    stack = up("a")
    good = {"services": {"x": {"image": "x"}}}
    local._keep(compose, stack, {stacks.FILE: json.dumps(good)})
    assert json.loads(stack.file.read_text()) == good
    bad = {"services": {"x": {"image": "x", "no-such-option": 1}}}
    with pytest.raises(Wrong, match=r"and nothing was changed: .*no-such-option"):
        local._keep(compose, stack, {stacks.FILE: json.dumps(bad)})
    assert json.loads(stack.file.read_text()) == good
    assert stacks.known() == [stack]
