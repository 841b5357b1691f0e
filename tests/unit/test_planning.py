"""Choosing bases, names and steps; nothing here needs an engine."""

import json

import pytest

from ngc import bases, build, catalog, planning
from ngc.asked.images import Build
from ngc.engine import Engine
from ngc.errors import Wrong

GPT_OSS = "nvcr.io/nvidia/ai-dynamo/tensorrtllm-gpt-oss:latest"
TENSORRT = "nvcr.io/nvidia/ai-dynamo/tensorrtllm-runtime:0.6.1.post1"


def planned(table, **request):
    return planning.make(table, Build(**request, plan=True), Engine("docker"), lambda _: {})


def why(plan):
    return {step.name: step.why for step in plan.steps}


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("ngc", "dynamo-vllm-runtime:0.6.1-post1"),
        ("stand-in", "dynamo-vllm-runtime:0.6.1-stand-in"),
        ("nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.6.1", "dynamo-vllm-runtime:0.6.1"),
    ],
)
def test_an_image_is_named_after_its_base(root, base, name):
    assert name in planned(catalog.read(root), framework=["vllm"], base=base).images


def test_an_image_without_a_version_in_its_tag_is_named_after_its_entry(root):
    assert "dynamo-trtllm-runtime:0.4.0-gpt-oss" in planned(catalog.read(root), framework=["trtllm"]).images


def test_a_reference_without_a_version_needs_a_tag_which_replaces_the_whole_tag(root):
    table = catalog.read(root)
    with pytest.raises(Wrong, match="has no version in its tag to name images after; add --tag"):
        bases.choose(table, ["vllm"], "example.com/mine:latest")
    assert bases.choose(table, ["vllm"], "example.com/mine:latest", tag="7")["vllm"].tag == "7"
    assert bases.choose(table, ["vllm"], "stand-in", tag="7")["vllm"].tag == "7"


def test_the_variable_sets_the_base_and_the_flag_wins(root, monkeypatch):
    monkeypatch.setenv("NGC_BASE", "stand-in")
    table = catalog.read(root)
    assert bases.choose(table, ["vllm"])["vllm"].stand_in
    assert not bases.choose(table, ["vllm"], "ngc")["vllm"].stand_in


def test_one_reference_is_no_base_for_two_frameworks(root):
    with pytest.raises(Wrong, match="is one image, and trtllm, vllm are selected; add exactly one --framework"):
        planned(catalog.read(root), base=TENSORRT)


def test_an_unknown_word_is_no_base(root):
    with pytest.raises(Wrong, match="unknown base 'standin'; choose from: ngc, stand-in, or an image reference"):
        planned(catalog.read(root), framework=["vllm"], base="standin")


def test_an_unknown_platform_lists_the_right_ones(root):
    with pytest.raises(Wrong, match="unknown platform 'arm'; choose from: linux/amd64, linux/arm64"):
        planned(catalog.read(root), platform="arm")


def test_a_mirror_is_asked_instead_and_the_entry_is_still_known(root):
    chosen = bases.choose(catalog.read(root), ["vllm"], "ngc", mirror="mirror.example:5000/copy")["vllm"]
    assert chosen.reference == "mirror.example:5000/copy/nvidia/ai-dynamo/vllm-runtime:0.6.1.post1"
    assert chosen.entry.key == "0.6.1.post1"


def test_parents_are_added_and_nothing_else(root):
    plan = planned(catalog.read(root), framework=["vllm"], target=["dev"], base="stand-in")
    assert [step.name for step in plan.steps] == ["stand-in root", "vllm base", "vllm-runtime", "vllm-dev"]


def test_the_root_of_the_stand_in_is_made_once_for_all(root):
    plan = planned(catalog.read(root), base="stand-in")
    assert [step.name for step in plan.steps if "root" in step.name] == ["stand-in root"]
    assert all(plan.parent_of(step) for step in plan.steps if step.build)


def test_on_a_base_without_nixl_benchmark_stops_by_name_and_is_left_out_of_all(root):
    table = catalog.read(root)
    with pytest.raises(
        Wrong, match=f"needs nixl and ucx, which {GPT_OSS} does not have; build it with --base={TENSORRT}"
    ):
        planned(table, framework=["trtllm"], target=["benchmark"])
    plan = planned(table, framework=["trtllm"])
    assert plan.images == ["dynamo-trtllm-runtime:0.4.0-gpt-oss", "dynamo-trtllm-dev:0.4.0-gpt-oss"]
    assert list(plan.refused) == ["dynamo-trtllm-benchmark:0.4.0-gpt-oss"]


def test_a_plan_is_data(root):
    asked = Build(["vllm"], ["runtime"], base="stand-in", plan=True, format="json")
    steps = json.loads(build.planned(catalog.read(root), asked))["steps"]
    assert [step["step"] for step in steps] == ["stand-in root", "vllm base", "vllm-runtime"]
    assert all(isinstance(step["command"], list) for step in steps)


@pytest.mark.parametrize("base", ["ngc", "stand-in"])
def test_buildx_accepts_the_bake_form_unchanged(root, buildx, base):
    import sh

    text = build.planned(catalog.read(root), Build(base=base, plan=True, format="bake"))
    printed = json.loads(str(sh.Command(buildx)("buildx", "bake", "--file", "-", "--print", _in=text)))
    assert printed["target"]["vllm-dev"]["contexts"].popitem()[1] == "target:vllm-runtime"
    assert set(printed["group"]["default"]["targets"]) <= set(printed["target"])


def test_several_platforms_need_a_builder(root):
    asked = Build(base="stand-in", platform="linux/amd64,linux/arm64", plan=True)
    with pytest.raises(Wrong, match="names 2 platforms, which only a buildx builder makes"):
        build.planned(catalog.read(root), asked)


def test_stand_ins_are_not_pushed_by_a_build(root):
    asked = Build(base="stand-in", push=True, registry="registry.example", plan=True)
    with pytest.raises(Wrong, match="built on the stand-in are not pushed"):
        build.planned(catalog.read(root), asked)
