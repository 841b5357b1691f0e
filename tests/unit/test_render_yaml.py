"""The YAML that `render` prints, and the verb as users type it."""

from functools import partial

import pytest
from ruamel.yaml import YAML

from ngc.deploy import render


@pytest.fixture
def verb(invoke, root):
    return partial(invoke, "render", folder=root)


def test_no_text_is_a_number_or_a_truth_to_the_yaml_of_kubernetes():
    words = [
        "yes",
        "No",
        "on",
        "OFF",
        "y",
        "true",
        "null",
        "~",
        "",
        "1",
        "-1",
        "0x1f",
        "1_000",
        "12:30",
        "1e3",
        ".5",
        "=",
        "2026-01-01",
        "0.6",
    ]
    written = render.dump([{"words": words, "data": dict.fromkeys(words, "text")}])
    lines = [line.strip() for line in written.splitlines() if line.startswith("  ")]
    assert lines == [*(f'- "{word}"' for word in words), *(f'"{word}": text' for word in words)]


def test_plain_texts_are_not_quoted():
    words = ["Qwen/Qwen3-0.6B", "8Gi", "100m", "--tensor-parallel-size", "nats://graph-nats:4222", "none", "yesterday"]
    assert render.dump([{"words": words}]) == "words:\n" + "".join(f"  - {word}\n" for word in words)


def test_long_texts_stay_on_one_line_and_texts_of_several_lines_are_blocks():
    long, block = "word " * 100 + "end", "first\n  second\n"
    written = render.dump([{"long": long, "block": block}])
    assert written == f"long: {long}\nblock: |\n  first\n    second\n"


def test_what_two_objects_share_is_written_twice():
    shared = {"a": ["b"]}
    assert render.dump([{"one": shared, "two": shared}]) == "one:\n  a:\n    - b\ntwo:\n  a:\n    - b\n"


def test_an_object_begins_with_what_people_read_first():
    written = render.dump([{"spec": {}, "data": {}, "metadata": {"name": "x"}, "kind": "K", "apiVersion": "v1"}])
    assert [line.split(":")[0] for line in written.splitlines() if line[0] != " "] == [
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        "data",
    ]


def test_the_graph_itself_is_rendered_and_nothing_is_hidden(verb, root):
    code, out, err = verb("--config=vllm-agg", "--image=registry.example.com/mine:1.0.0")
    config = YAML(typ="safe").load((root / "configs" / "vllm-agg.yaml").read_text())
    for service in config["spec"]["services"].values():
        service["extraPodSpec"]["mainContainer"]["image"] = "registry.example.com/mine:1.0.0"
    assert (code, err) == (0, "")
    assert YAML(typ="safe").load(out) == config


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to=helm"], "--to is 'helm'; choose from: dgd, kubernetes, compose"),
        (["--namespace=Not_Good"], "--namespace is 'Not_Good'; write lower-case letters"),
        (["--to=kubernetes", "--metrics=always"], "--metrics is 'always'; choose from: annotations, podmonitor"),
        (["--metrics=podmonitor"], "--metrics is for --to=kubernetes"),
        (["--to=compose", "--namespace=x"], "--namespace is for a cluster"),
        (["--to=compose", "--metrics=podmonitor"], "--metrics is for a cluster"),
        (["--config=vllm-multinode", "--to=kubernetes"], "configs/vllm-multinode.yaml:46: VllmDecodeWorker spans 2 nodes"),
        (["--config=none-such"], "unknown config 'none-such'; choose from: "),
        (["--set=spec.services.Frontend.replicaz=2"], "write replicas"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)  # fmt: skip
def test_wrong_input_is_one_sentence_and_exit_2(verb, words, said):
    code, out, err = verb(*([] if words[0].startswith("--config") else ["--config=vllm-agg"]), *words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and said in err
    assert len(err.splitlines()) == 1
