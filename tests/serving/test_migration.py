"""docs/MIGRATION.md up to one machine: its commands, in order, with an image of a from-source layout for the old one."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import sh
from tests import pages
from tests.conftest import ROOT

from ngc import catalog

from .deployed import free_port, left_over

PAGE = ROOT / "docs" / "MIGRATION.md"
MADE_FOR = ROOT / "tests" / "migration"
OLD, NEW = "my-registry.example.com/dynamo-vllm:old", "dynamo-vllm-runtime:0.6.1-post1"
PROJECT = "ngc-vllm-disagg"


@pytest.fixture(scope="module")
def old_image(client: sh.Command) -> Iterator[str]:
    """The page's old image, made from the stand-in's parts."""
    framework = next(f for f in catalog.read().frameworks if f.name == "vllm")
    base = f"dynamo-stand-in-{framework.name}:{framework.stand_in.version}"
    dockerfile = MADE_FOR / "Dockerfile.from-source"
    client("build", "--quiet", "--build-arg", f"STAND_IN={base}", "--file", dockerfile, "--tag", OLD, MADE_FOR)
    yield OLD
    client("rmi", "--force", OLD)


@pytest.fixture(scope="module")
def said(verbs, client, old_image, tmp_path_factory) -> Iterator[dict[str, list]]:
    """What each step's commands ended with and printed, up to the steps that need a cluster."""
    port = free_port()
    names = {NEW: NEW.replace("post1", "stand-in"), "vllm-old.yaml": str(MADE_FOR / "vllm-old.yaml")}
    found: dict[str, list] = {}
    try:
        for heading, commands in pages.commands(PAGE).items():
            if any("--context=my-cluster" in words for words in commands):
                continue
            for words in commands:
                typed = pages.put_in(words, names)
                if words[1] == "up":
                    typed += ["--base=stand-in", f"--port={port}"]
                if words[1] == "build":
                    typed.append("--base=stand-in")
                found.setdefault(heading, []).append((words, verbs(*typed[1:])))
        yield found
    finally:
        verbs("down", "--config=vllm-disagg")
    assert left_over(client, PROJECT) == []


def step(said, number: int) -> list:
    """(words, what they ended with) of a step."""
    return next(done for heading, done in said.items() if heading.startswith(f"{number}."))


def test_the_comparison_says_what_the_new_image_lacks(said):
    (_, built), (_, compared) = step(said, 1)
    assert built.code == 0, built.err
    assert compared.code == 0, compared.err
    verdict = compared.out.partition("## Moving from A to B")[2]
    assert "acme-patches 1.4" in verdict
    assert "ETCD_ENDPOINTS http://etcd.infra:2379" in verdict
    assert re.search(r"/usr/local/nixl/lib: \d+ files", verdict)
    assert "~ NIXL_PREFIX /usr/local/nixl -> /opt/nvidia/nvda_nixl" in compared.out


def test_the_old_image_fails_the_contract_in_what_it_does_otherwise(said):
    ((_, tested),) = step(said, 2)
    assert tested.code == 1
    failed = set(re.findall(r"^FAILED \S+::(\w+)", tested.out, re.M))
    assert failed >= {
        "test_any_user_of_group_0_can_run_the_frontend",
        "test_nixl_loads_its_ucx_plugin_from_the_base",
        "test_the_variables_lead_to_nixl_ucx_and_python",
        "test_a_worker_can_be_drained",
    }
    assert int(re.search(r"(\d+) passed", tested.out)[1]) >= 20


def test_the_old_config_is_told_what_is_wrong_with_it_and_the_new_one_is_right(said):
    (_, old), *new = step(said, 3)
    assert old.code == 1
    assert set(re.findall(r" error ([\w-]+):", old.out)) == {"no-frontend", "gpu-too-few", "refused-flag"}
    assert [done.code for _, done in new] == [0] * len(new)
    assert len(new) >= 2


def test_the_page_shows_what_validate_says_of_the_old_config(said):
    (_, old), *_ = step(said, 3)
    shown = re.findall(r"^vllm-old\.yaml:\d+: error .*$", PAGE.read_text(), re.M)
    told = re.findall(r"vllm-old\.yaml:\d+: error .*$", old.out, re.M)
    assert shown == told


def test_the_new_stack_serves_and_goes_again(said):
    for words, done in step(said, 4):
        assert done.code == 0, f"{words}: {done.err}"
    assert [words[1] for words, _ in step(said, 4)] == ["up", "smoke", "down"]
    assert "transferred" in step(said, 4)[1][1].out
