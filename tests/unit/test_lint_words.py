"""Two things that the lint reads closely: the words of command lines, and the comments that silence rules."""

import json
import re
import shlex

import pytest
from ruamel.yaml import YAML

from ngc.deploy import lint

from .linting import GOOD


def test_a_comment_silences_a_rule_and_is_counted(report):
    bad = GOOD["vllm"].replace("replicas: 1", "replicas: two", 1)
    silenced = report(f"# allow field-type: the server is ours\n{bad}")
    assert (silenced.findings, [f.rule for f in silenced.silenced]) == ((), ["field-type"])
    assert not silenced.failed
    assert lint.summary([silenced]) == "1 config: 1 silenced"
    assert report(bad).failed


def test_one_comment_silences_several_rules(report):
    bad = GOOD["vllm"].replace("replicas: 1", "replicas: two", 1).replace('"2"', '"4"', 2)
    found = report(f"# Allow field-type, gpu-too-few ,gpu-unused: the server is ours: really\n{bad}")
    assert (found.findings, {f.rule for f in found.silenced}) == ((), {"field-type", "gpu-unused"})
    assert {f.reason for f in found.silenced} == {"the server is ours: really"}


@pytest.mark.parametrize(
    ("line", "silences"),
    [
        ('annotations: {x: "# allow field-type: in a value"}', False),
        ("annotations: {x: '{}'}  # allow field-type: behind a value", True),
        ("annotations:\n        x: |\n          # allow field-type: in a text", False),
        ("annotations:\n        x: |  # allow field-type: behind its mark\n          text", True),
        ("annotations:\n        x: |\n          text\n      # allow field-type: below a text", True),
        ("annotations: {x: y#z}  # disallow field-type: another word", False),
    ],
)
def test_only_comments_silence(report, line, silences):
    found = report(GOOD["vllm"].replace("replicas: 1", f"replicas: two\n      {line}", 1))
    assert [f.rule for f in found.silenced] == ["field-type"] * silences
    assert [f.rule for f in found.findings] == ["field-type"] * (not silences)


def test_prose_that_begins_with_allow_is_no_finding(report):
    assert report(f"# Allow traffic: see the wiki\n{GOOD['vllm']}").findings[0].rule == "unknown-rule"
    assert report(f"# Allow all traffic from the gateway\n{GOOD['vllm']}").findings == ()


def _newer(*more):
    """The good config with an image whose flags are not all known; `more` are words for both workers."""
    text = GOOD["vllm"].replace("0.6.1-post1", "1.6.2")
    text = text.replace("            - --is-prefill-worker\n", "")
    for role in ("decode", "prefill"):
        words = "".join(f"            - '{word}'\n" for word in ("--disaggregation-mode", role, *more))
        at = text.index('"2"\n', text.index(f"subComponentType: {role}") + 300) + 4
        text = text[:at] + words + text[at:]
    return text


def test_a_release_whose_flags_are_not_all_known_is_held_to_those_that_are(report):
    assert report(_newer("--kv-transfer-config", "{}", "--whatever", "x", "--conn")).findings == ()
    found = report(_newer("--kv-transfer-config", "{}", "--connector", "nixl")).findings
    assert [f.rule for f in found] == ["refused-flag"] * 2
    assert found[0].fix == "use --kv-transfer-config"


def test_without_a_connector_that_a_release_needs_nothing_is_handed_over(report):
    found = report(_newer()).findings
    assert [(f.rule, f.fix.partition(" '")[0]) for f in found] == [("no-connector", "add --kv-transfer-config")] * 2


def test_kinds_of_flags_are_known(root):
    schema = json.loads((root / "ngc-builds" / "image.schema.json").read_text())
    pattern = schema["definitions"]["serving"]["properties"]["flags"]["additionalProperties"]["pattern"]
    frontend = YAML(typ="safe").load(root / "ngc-builds" / lint.FRONTEND_FLAGS)
    assert [kind for kind in frontend["flags"].values() if not re.fullmatch(pattern, kind)] == []
    assert set(frontend["variables"].values()) <= frontend["flags"].keys()


def test_a_shells_text_is_read_as_words(report):
    text = GOOD["vllm"].replace(
        "command: [python3, -m, dynamo.frontend]\n          args: [--router-mode, kv]",
        'command: [/bin/sh, -c]\n          args: ["python3 -m dynamo.frontend --router-mode kw && echo --done"]',
    )
    (found,) = report(text).findings
    assert (found.rule, found.field) == ("flag-value", "spec.services.Frontend.extraPodSpec.mainContainer.args[0]")


@pytest.mark.parametrize(
    "words",
    [
        "--no-enable-prefix-caching", "--max_model_len=99", "--max-model-len 8k", "-q awq", "--compilation-config.level=3",
        "--connector nixl", "--connector LMCache nixl", "--max-num-seqs None", "--max-num-seqs $SEQUENCES", "--block-size 32",
        "--hf-overrides '{}'", "--collect-detailed-traces model,worker", "--dynamo-port-min 1024 --dynamo-port-max 2048",
    ],
)  # fmt: skip
def test_what_an_engines_parser_takes_is_known(report, words):
    given = "".join(f'- "{word}"\n            ' for word in shlex.split(words))
    text = GOOD["vllm"].replace("- --model\n", f"{given}- --model\n", 1)
    assert report(text).findings == ()


def test_what_follows_in_a_shells_text_is_no_value(report):
    run = "command: [python3, -m, dynamo.frontend]\n          args: [--router-mode, kv]"
    for after in ("2>/tmp/log", "; sleep 1", "&& echo done", "\\n echo done"):
        text = GOOD["vllm"].replace(
            run,
            f'command: [sh, -c]\n          args: ["python3 -m dynamo.frontend --router-mode kv --no-kv-events {after}"]',
        )
        assert (after, report(text).findings) == (after, ())


def test_nearest_flags_are_named(report):
    text = GOOD["vllm"].replace("--tensor-parallel-size", "--tensr-parallel-size", 1)
    (found,) = [f for f in report(text).findings if f.rule == "unknown-flag"]
    assert found.fix.startswith("write --tensor-parallel-size")


def test_a_role_may_be_written_with_an_equals_sign(report):
    text = GOOD["trtllm"].replace("mode\n            - decode\n", "mode=decode\n")
    assert report(text).findings == ()
