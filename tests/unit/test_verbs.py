"""The verbs as users type them: exit codes, stdout and stderr."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import sh

from ngc import catalog


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["build", "--framework=vlm"], "unknown framework 'vlm'; choose from: trtllm, vllm"),
        (["build", "--target=prod"], "unknown target 'prod'; choose from: "),
        (["build-all", "--base=standin"], "is one image, and trtllm, vllm are selected; add exactly one --framework"),
        (["build", "--framework=vllm", "--base=standin"], "unknown base 'standin'; choose from: ngc, stand-in"),
        (["build-all", "--platform=amd64"], "unknown platform 'amd64'; choose from: linux/amd64, linux/arm64"),
        (["build-all", "--jobs=many"], "--jobs is 'many'; write a number from 0 to 999999999"),
        (["build-all", "--jobs=-1"], "--jobs is '-1'; write a number from 0 to 999999999"),
        (["build-all", "--format=yaml", "--plan"], "--format is 'yaml'; choose from: text, json, bake"),
        (["build-all", "--push", "--registry=https://x"], "--registry is 'https://x'; write host[:port][/path]"),
        (["build-all", "--mirror=https://x"], "--mirror is 'https://x'; write host[:port][/path]"),
        (["build-all", "--base=stand-in", "--tag=a b"], "--tag is 'a b'; write letters, digits"),
        (["push"], "push needs to know where; add --registry"),
        (["shell"], "shell needs --framework (choose from: trtllm, vllm) or --image REFERENCE"),
        (["shell", "--image=-v"], "'-v' is not an image reference; write [registry/]"),
        (["list", "--base=a/b:1"], "list shows what is built on ngc or stand-in, not on 'a/b:1'"),
        (["test", "--image=a/b:1"], "say what it is held to by one --framework"),
    ],
)
def test_wrong_input_is_one_sentence_with_the_choices_and_exit_code_2(invoke, words, said):
    code, out, err = invoke(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("/dev/null/x", "error: /dev/null/x: Not a directory; choose another place\n"),
        (f"/{'x' * 300}", f"error: /{'x' * 300}: File name too long; choose a shorter name\n"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_sentence(invoke, out, said):
    assert invoke("render", "--config=vllm-agg", f"--out={out}") == (1, "", said)


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["validate"]])
def test_an_output_that_cannot_be_written_is_one_sentence(root, words):
    verb = [sys.executable, "-m", "invoke", "--search-root", str(root), *words]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(verb, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith("error: the output: No space left on device; free some space there\n")
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["validate"]])
def test_a_reader_that_has_gone_is_no_error_to_tell(root, words):
    read, write = os.pipe()
    os.close(read)
    verb = [sys.executable, "-m", "invoke", "--search-root", str(root), *words]
    try:
        done = subprocess.run(verb, stdout=write, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(write)
    assert done.returncode == 1
    assert "rror" not in done.stderr


def test_the_list_needs_no_engine(invoke, tmp_path):
    code, out, _ = invoke("list", "--json", PATH=str(tmp_path))
    rows = json.loads(out)
    assert code == 0
    assert {row["built"] for row in rows} == {None}
    assert {"image", "base", "parent", "purpose", "note"} <= rows[0].keys()


def test_the_list_says_what_is_to_be_known_of_a_base(invoke):
    _, out, _ = invoke("list")
    known = [framework.known(framework.default_base) for framework in catalog.read().frameworks]
    notes = [base.note for base in known if base and base.note]
    assert [note for note in notes if note not in " ".join(out.split())] == []


def test_a_machine_without_an_engine_is_told_how_to_get_one(invoke, tmp_path):
    code, out, err = invoke("build-all", "--base=stand-in", PATH=str(tmp_path))
    assert (code, out) == (1, "")
    assert (
        err
        == "error: there is no docker and no podman on PATH; `scripts/build-all.sh --setup` installs one on Debian and Ubuntu\n"
    )


def test_a_daemon_that_does_not_answer_is_told_how_to_start_it(invoke, engine):
    code, _, err = invoke("build-all", "--base=stand-in", DOCKER_HOST="unix:///nowhere.sock", NGC_ENGINE=engine.client)
    assert code == 1
    assert err.startswith("error: the docker daemon does not answer at unix:///nowhere.sock; start it with")


def test_a_plan_is_printed_and_nothing_runs(invoke, tmp_path):
    code, out, _ = invoke("build-all", "--base=stand-in", "--plan", PATH=str(tmp_path))
    assert code == 0
    assert re.search(r"^# dynamo-vllm-runtime:\S+-stand-in: not here yet", out, re.M)
    assert "make-root.sh" in out


def test_doctor_says_what_is_missing_with_the_fix(invoke, tmp_path):
    code, out, _ = invoke("doctor", "--json", PATH=str(tmp_path))
    checks = {check["name"]: check for check in json.loads(out)}
    assert code == 1
    assert checks["client"]["state"] == "fail"
    assert checks["client"]["fix"] == "invoke setup --yes"
    assert all(check["fix"] for check in checks.values() if check["state"] == "fail")


def test_setup_without_a_terminal_asks_for_yes(invoke, tmp_path):
    code, _, err = invoke("setup", PATH=f"{tmp_path}")
    assert code in (1, 2)
    assert "apt-get" in err or "--yes" in err


def test_a_shells_command_is_shown(invoke, engine):
    code, out, err = invoke("shell", "--image=anything:1", "--plan")
    assert code == 0, err
    assert "run --rm" in out
    assert "--shm-size" in out
    assert "anything:1 bash" in out


@pytest.fixture(scope="module")
def declared(root):
    """Of each verb: its text, its flags with their help, and how many parameters its body has."""
    program = (
        "import inspect, json\n"
        "from tasks import namespace\n"
        "print(json.dumps({name: {\n"
        "    'doc': task.body.__doc__,\n"
        "    'flags': {each.name: each.help for each in task.get_arguments()},\n"
        "    'parameters': len(inspect.signature(inspect.unwrap(task.body)).parameters),\n"
        "} for name, task in namespace.tasks.items()}))"
    )
    # In a process of its own: Invoke hands out a verb's help once, and other tests may have asked.
    return json.loads(str(sh.Command(sys.executable)("-c", program, _cwd=str(root))))


def test_every_verb_and_every_flag_explains_itself(declared):
    assert len(declared) == 27
    assert [name for name, verb in declared.items() if not verb["doc"]] == []
    assert [(name, flag) for name, verb in declared.items() for flag, text in verb["flags"].items() if not text] == []


def test_no_verb_takes_more_than_five_parameters(declared):
    assert {name: verb["parameters"] for name, verb in declared.items() if verb["parameters"] > 5} == {}
