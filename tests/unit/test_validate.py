"""The verb validate as users type it: what it prints, its exit codes, and wrong input."""

import json
import re
from functools import partial

import pytest

from ngc.deploy import dryrun, graph
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.rules.rule import Found
from ngc.errors import Failed, Wrong


@pytest.fixture
def validate(invoke):
    return partial(invoke, "validate")


@pytest.fixture
def config(root, tmp_path):
    """A copy of vllm-agg, changed."""

    def make(*changes):
        text = (root / "configs" / "vllm-agg.yaml").read_text()
        text = re.sub(r"(image: \S+):\S+", r"\1:0.6.1-post1", text)  # a tag that no rule finds anything in
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / "mine.yaml").write_text(text)
        return tmp_path / "mine.yaml"

    return make


def test_all_of_configs_are_checked_and_are_good(validate, root):
    code, out, err = validate(folder=root)
    assert code == 0
    assert " error " not in out
    assert " warning " not in out
    assert all(line.startswith("configs/") for line in out.splitlines())
    assert err.startswith(f"{len(list((root / 'configs').glob('*.yaml')))} configs: ")


def test_an_error_is_printed_with_file_and_line_and_fails(validate, config, tmp_path):
    path = config(("replicas: 1", "replicas: two"))
    code, out, err = validate("--config=mine.yaml", folder=tmp_path)
    line = path.read_text().splitlines().index("      replicas: two") + 1
    assert code == 1
    assert out == (
        f"mine.yaml:{line}: error field-type: spec.services.Frontend.replicas: 'two' is refused by the API server; "
        "write a whole number\n"
    )
    assert err == "1 config: 1 error\n"


def test_a_config_without_findings_is_said_to_have_none(validate, config):
    path = config()
    assert validate(f"--config={path}") == (0, "", "1 config: nothing found\n")


def test_json_has_all_that_was_found(validate, config):
    path = config(
        ("replicas: 1", "replicas: two"),
        ("spec:", "# allow no-pre-stop: it is a test\nspec:"),
        ("          lifecycle:", "          stdin: true #"),
    )
    path.write_text(re.sub(r"\n +preStop: .*", "", path.read_text(), count=1))
    code, out, _ = validate(f"--config={path}", "--config=vllm-disagg", "--json")
    data = json.loads(out)
    assert code == 1
    assert data.keys() == {"findings", "silenced"}
    assert {"rule", "severity", "file", "line", "field", "what", "fix"} == data["findings"][0].keys()
    assert [d["rule"] for d in data["findings"] if d["severity"] == "error"] == ["field-type"]
    assert len({d["file"] for d in data["findings"]}) == 2
    (silenced,) = data["silenced"]
    assert (silenced["rule"], silenced["reason"]) == ("no-pre-stop", "it is a test")
    assert silenced.keys() == {*data["findings"][0], "reason"}


def test_what_is_found_in_several_files_is_printed_once(validate, config, tmp_path):
    text = config(("replicas: 1", "replicas: two")).read_text()
    (tmp_path / "yours.yaml").write_text(f"# one line more\n{text}")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "theirs.yaml").write_text(text)
    line = text.splitlines().index("      replicas: two") + 1
    words = ["--config=mine.yaml", "--config=yours.yaml", "--config=below/theirs.yaml"]
    code, out, err = validate(*words, folder=tmp_path)
    assert (code, err) == (1, "3 configs: 3 errors\n")
    assert out.count("\n") == 1
    assert out.startswith(f"mine.yaml:{line}: error field-type: ")
    assert out.endswith(f"; write a whole number (also yours.yaml:{line + 1}, below/theirs.yaml:{line})\n")
    assert len(json.loads(validate(*words, "--json", folder=tmp_path)[1])["findings"]) == 3


def test_the_page_shows_what_is_printed(validate, root):
    page = (root / "docs" / "VALIDATE.md").read_text()
    words = re.search(r"^invoke validate (--config=vllm-tp --set=\S+)$", page, re.M)[1].split()
    code, out, _ = validate(*words, folder=root)
    errors = [line for line in out.splitlines() if " error " in line]  # what else is found depends on the release
    assert (code, len(errors)) == (1, 2)
    assert [line for line in errors if line not in page.splitlines()] == []


def test_set_changes_before_the_check(validate):
    code, out, _ = validate("--config=vllm-tp", "--set=spec.services.VllmDecodeWorker.resources.limits.gpu=1")
    assert code == 1
    assert "error gpu-too-few: " in out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "a: b\n",
            "mine.yaml holds 0 objects of kind DynamoGraphDeployment (without a kind); a config holds exactly one",
        ),
        ("", "mine.yaml holds 0 objects of kind DynamoGraphDeployment (it is empty)"),
        ("a: b\nc: [\n", "mine.yaml:3: "),
        ("kind: DynamoGraphDeployment\nmetadata: {name: x}\n", "mine.yaml:1: spec.services has no service"),
        (
            "kind: DynamoGraphDeployment\napiVersion: nvidia.com/v1beta1\nmetadata: {name: x}\nspec: {components: []}\n",
            "mine.yaml:2: apiVersion is nvidia.com/v1beta1, and configs here are nvidia.com/v1alpha1; write the config as "
            "nvidia.com/v1alpha1 with services in place of components; `invoke render --api=v1beta1` makes v1beta1 of it",
        ),
        (
            "kind: DynamoGraphDeployment\napiVersion: nvidia.com/v1\nmetadata: {name: x}\nspec: {services: {A: {}}}\n",
            "mine.yaml:2: apiVersion is nvidia.com/v1, and configs here are nvidia.com/v1alpha1; write the config as nvidia.com/v1alpha1",
        ),
    ],
)
def test_a_file_that_is_no_config_is_one_sentence(validate, tmp_path, text, said):
    (tmp_path / "mine.yaml").write_text(text)
    code, out, err = validate(f"--config={tmp_path / 'mine.yaml'}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")
    assert said in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--config=vlm-agg"], "unknown config 'vlm-agg'; choose from: trtllm"),
        (["--config=configs"], "configs is a folder; name a file in it, or one of: trtllm"),
        (["--config=./configs/"], "./configs/ is a folder; name a file in it, or one of: trtllm"),
        (["--config=no/such.yaml"], "there is no file no/such.yaml; name a file, or one of: "),
        (["--config=vllm-agg", "--set=spec.services.Frontned.replicas=2"], "there is no service 'Frontned'; write Frontend"),
        (["--config=vllm-agg", "--set=spec.services.Frontend.replica=2"], "replica'; write replicas"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_sentence_with_the_choices(validate, root, words, said):
    code, out, err = validate(*words, folder=root)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_crds_that_are_not_there_are_one_sentence(validate, tmp_path):
    code, _, err = validate("--config=vllm-agg", DYNAMO_CRDS=str(tmp_path / "none"))
    assert (code, err) == (
        2, f"error: DYNAMO_CRDS names {tmp_path / 'none'}, which is no folder; name one with the CRDs of Dynamo, or unset it\n",
    )  # fmt: skip


# What kubectl 1.32 says of an API server 1.36's refusals.
STRICT = (
    'Error from server (BadRequest): error when creating "STDIN": DynamoGraphDeployment in version "v1alpha1" cannot be handled as a '
    'DynamoGraphDeployment: strict decoding error: unknown field "spec.services.Frontend.extraPodSpec.mainContainer.workingdir", '
    'unknown field "spec.services.Frontend.replicaz"'
)
INVALID = """The DynamoGraphDeployment "vllm-agg" is invalid: 
* spec.services.Frontend.replicas: Invalid value: "string": spec.services.Frontend.replicas in body must be of type integer: "string"
* spec.pvcs[0]: Invalid value: When create is true, size, storageClass, and volumeAccessMode are required
* spec.services[Frontend].extraPodSpec.mainContainer.env[1]: Duplicate value: {"name":"A"}
* <nil>: Invalid value: null: some validation rules were not checked because the object was invalid"""  # noqa: W291
MAIN = ("spec", "services", "Frontend", "extraPodSpec", "mainContainer")


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """A kubectl that says a text and keeps how it was called."""

    def make(said):
        (tmp_path / "said").write_text(said)
        program = tmp_path / "kubectl"
        program.write_text(
            f'#!/bin/sh\necho "$@" >>{tmp_path}/asked; /bin/cat >/dev/null; /bin/cat {tmp_path}/said >&2; [ ! -s {tmp_path}/said ]\n'
        )
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        return tmp_path / "asked"

    return make


@pytest.fixture
def asked(root):
    return lambda name="vllm-agg": dryrun.findings(
        graph.load(root / "configs" / f"{name}.yaml"), Cluster("ours", "team", "https://ours")
    )


@pytest.mark.parametrize(
    ("said", "places"),
    [
        ("", []),
        ('Error from server (AlreadyExists): error when creating "STDIN": it "already exists"', []),
        (STRICT, [(*MAIN, "workingdir"), ("spec", "services", "Frontend", "replicaz")]),
        (INVALID, [("spec", "services", "Frontend", "replicas"), ("spec", "pvcs", 0), (*MAIN, "env", 1)]),
        ('error: resource mapping not found: no matches for kind "DynamoGraphDeployment" in version "x"', [()]),
        ("Error from server (Forbidden): you may not", [()]),
    ],
)
def test_what_a_server_refuses_is_found_with_its_place(kubectl, asked, said, places):
    calls = kubectl(said)
    found = asked()
    assert [each.keys for _, each in found] == places
    assert all(name == "server" and isinstance(each, Found) and each.fix for name, each in found)
    assert "--context ours --namespace team create --dry-run=server --validate=strict -f -" in calls.read_text()


def test_every_object_of_the_file_is_asked_for(kubectl, asked):
    calls = kubectl("")
    assert asked("trtllm") == []
    assert len(calls.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("said", "error", "sentence"),
    [
        ('Error from server (NotFound): namespaces "team" not found', Wrong, "namespace team is not there"),
        ("Unable to connect to the server: dial tcp: i/o timeout", Failed, "the API server of context ours does not answer"),
    ],
)  # fmt: skip
def test_a_server_that_cannot_be_asked_is_one_sentence(kubectl, asked, said, error, sentence):
    kubectl(said)
    with pytest.raises(error, match=sentence):
        asked()
