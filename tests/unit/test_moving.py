"""What bump does to a config: flags, variables, fields and images moved in place, in every way they may be written."""

import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from ngc import catalog, releases
from ngc.moving import configs
from ngc.moving.source import quoted
from ngc.reference import Reference

TEAM = "nvcr.io/nvidia/ai-dynamo"


def move(text, to="1.4.0", at="0.6.1"):
    known = releases.read(catalog.read())
    name = "nvidia/ai-dynamo/vllm-runtime"
    head = "kind: DynamoGraphDeployment\nspec:\n"
    text = text.replace("IMAGE", f"{TEAM}/vllm-runtime:{at}")
    new = Reference("nvcr.io", name, to, None)
    moved = configs.move(Path("x.yaml"), head + text, known, [name], new, known.tag(to))
    return moved, moved.text.removeprefix(head)


WORKER = """\
  services:
    W:
      subComponentType: ROLE
      envs: [{name: A, value: "1"}, {name: DYN_SYSTEM_ENABLED, value: "true"}]  # kept
      extraPodSpec:
        mainContainer:
          image: IMAGE
          ARGS
"""


def worker(args, role="x"):
    return WORKER.replace("ARGS", args).replace("ROLE", role)


def args_of(text):
    return YAML(typ="safe").load(text)["services"]["W"]["extraPodSpec"]["mainContainer"]["args"]


NIXL = '{"kv_connector":"NixlConnector","kv_role":"kv_both"}'


@pytest.mark.parametrize(
    ("args", "role", "after"),
    [
        ("args: [--is-decode-worker]", "x", ["--disaggregation-mode", "decode"]),
        ("args: [--connector, lmcache, -v]", "x", ["--kv-transfer-config", '{"kv_connector":"LMCacheConnectorV1","kv_role":"kv_both"}', "-v"]),
        ("args: [--model, m, --connector, none]", "x", ["--model", "m"]),
        ("args: [--connector=none, --model, m]", "x", ["--model", "m"]),
        ("args:\n            - --connector  # off\n            - \"null\"\n            - --model\n            - m", "x", ["--model", "m"]),
        ("args: [--connector, nixl, --disaggregation-mode=decode]", "decode", ["--kv-transfer-config", NIXL, "--disaggregation-mode=decode"]),
    ],
)  # fmt: skip
def test_flags_move_in_every_way_of_writing_a_list(args, role, after):
    _, text = move(worker(args, role))
    assert args_of(text) == after
    again, _ = move(text.replace("image: nvcr", "image: nvcr"), at="1.4.0")
    assert again.done == ()


def test_a_variable_that_is_gone_is_taken_out_of_its_list():
    moved, text = move(worker("args: [x]"))
    assert '      envs: [{name: A, value: "1"}]  # kept\n' in text
    assert (
        "0.7.0: without the variable DYN_SYSTEM_ENABLED: DYN_SYSTEM_PORT alone switches the status server (W)"
        in moved.done
    )


def test_the_comment_beside_and_behind_a_moved_flag_stays_where_it_is():
    block = "args:\n            - --is-prefill-worker  # beside\n          # behind\n          tty: true"
    _, text = move(worker(block))
    lines = text[text.index("args:") :].splitlines()
    assert lines[1:5] == [
        "            - --disaggregation-mode  # beside",
        "            - prefill",
        "          # behind",
        "          tty: true",
    ]


def test_what_is_not_known_to_move_is_left_for_a_person():
    moved, text = move(worker("args: [--connector, kvbm, nixl]"))
    assert args_of(text) == ["--connector", "kvbm", "nixl"]
    assert moved.look == ("W: --connector has a value that nothing is known to stand for now: --connector is gone",)
    shell = 'args: ["exec python3 -m dynamo.vllm --is-prefill-worker"]'
    moved, text = move(worker(shell, "prefill"))
    assert args_of(text) == ["exec python3 -m dynamo.vllm --is-prefill-worker"]
    assert "W: --is-prefill-worker stands in a command line for a shell" in moved.look[0]
    assert "W: add --kv-transfer-config" in moved.look[1]


def test_an_image_of_a_mirror_or_of_others_keeps_its_place():
    text = worker("args: [x]").replace("IMAGE", "mirror.example.com/team/nvidia/ai-dynamo/vllm-runtime:0.6.1")
    assert "image: mirror.example.com/team/nvidia/ai-dynamo/vllm-runtime:1.4.0\n" in move(text)[1]
    text = worker("args: [--is-prefill-worker]").replace("IMAGE", "example.com/other:0.6.1")
    assert move(text)[1] == text
    moved, _ = move(worker("args: [x]").replace("IMAGE", f"{TEAM}/vllm-runtime:mine"))
    assert moved.look == (
        f"W: its image {TEAM}/vllm-runtime:mine has no version in its tag, so nothing of it was moved",
    )


def test_the_newer_form_of_a_graph_is_moved_as_well():
    text = """\
  components:
    - name: W
      type: prefill
      podTemplate:
        spec:
          containers:
            - name: main
              image: IMAGE
              args: [--is-prefill-worker]
              env: [{name: DYN_SYSTEM_ENABLED, value: "1"}, {name: B, value: "2"}]
            - {name: side, image: "IMAGE"}
"""
    _, text = move(text)
    containers = YAML(typ="safe").load(text)["components"][0]["podTemplate"]["spec"]["containers"]
    assert containers[0]["args"][:3] == ["--disaggregation-mode", "prefill", "--kv-transfer-config"]
    assert containers[0]["env"] == [{"name": "B", "value": "2"}]
    assert [container["image"].rpartition(":")[2] for container in containers] == ["1.4.0", "0.6.1"]


@pytest.mark.parametrize(
    "word", ["--flag", "a b", "yes", "1", "1.5", "it's", '{"a":1}', "-", "", "x: y", "# no", "a:b", "null", "*x"]
)
def test_a_word_is_written_so_that_it_is_read_as_it_was(word):
    assert YAML(typ="safe").load(f"- {quoted(word)}") == [word]
    assert YAML(typ="safe").load(f"[{quoted(word, flow=True)}, x]") == [word, "x"]


def comments(text):
    return sorted(re.findall(r"#.*", text))


def test_the_configs_of_this_repository_move_to_the_newest_release_and_lose_no_comment(root):
    known = releases.read(catalog.read())
    to = known.tag(list(known.known)[-1])
    for framework in catalog.read().frameworks:
        new = known.successor(framework.default_base)
        for path in sorted((root / "configs").glob("*.yaml")):
            old = path.read_text()
            moved = configs.move(path, old, known, [new.repository], new, to)
            assert comments(moved.text) == comments(old)
            assert moved.look == (), path
            assert configs.move(path, moved.text, known, [new.repository], new, to).text == moved.text
            list(YAML(typ="safe").load_all(moved.text))
