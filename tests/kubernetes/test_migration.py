"""docs/MIGRATION.md on a cluster: its commands, in order, beside a deployment that is not ours and answers all the while."""

from __future__ import annotations

import shlex

import pytest
from tests import pages
from tests.conftest import ROOT, wait_for
from tests.serving.load import said

from ngc.deploy.cluster import kubectl

from . import client
from .conftest import PREFIX, made

PAGE = ROOT / "docs" / "MIGRATION.md"
MODEL = "Qwen/Qwen3-0.6B"
NEEDS_AN_IMAGE = ("deploy", "diff")
ENDS = {"diff": 1}  # something would change


@pytest.fixture
def old(cluster, verbs, images):
    """A deployment applied by hand: it answers under a name of its own, and knows nothing of revisions."""
    own = made(cluster, f"{PREFIX}-migration")
    rendered = verbs("render", "--config=vllm-agg", "--to=kubernetes", "--base=stand-in", "--set=metadata.name=old")
    assert rendered.code == 0, rendered.err
    kubectl.ask(own, "apply", "--server-side", "-f", "-", text=rendered.out)
    client.start(own, images["vllm"])
    kubectl.ask(own, "wait", "--for=condition=Available", "deployments", "--all", "--timeout=120s", timeout=130)
    return own


def test_the_new_graph_comes_beside_the_old_one_and_goes_without_a_trace(old, verbs):
    before, seen = generations(old), []
    with client.asking(old, "old-frontend", MODEL, "local", 5) as outcomes:
        for words in (words for under in pages.commands(PAGE).values() for words in under):
            if "--context=my-cluster" not in words:
                continue
            typed = pages.put_in(words, {"my-cluster": old.context, "serving": old.namespace})
            if words[1] in NEEDS_AN_IMAGE:
                typed += ["--base=stand-in", "--allow-stand-in"]
            done = verbs(*typed[1:])
            assert done.code == ENDS.get(words[1], 0), f"{shlex.join(words)}: {done.err}"
            seen.append(words[1])
            if words[1] == "rollback":
                assert replicas(old, "vllm-disagg-vllmdecodeworker") == 1
        wait_for(lambda: set(generations(old)) == set(before), "only the old deployment is there", 180)
    assert seen == ["deploy", "smoke", "status", "diff", "deploy", "rollback", "undeploy"]
    assert generations(old) == before
    assert [outcome for outcome in outcomes if outcome.wrong] == [], said(outcomes)


def generations(cluster) -> dict[str, tuple[str, int]]:
    """Identity and generation of every Deployment: a change of any would show."""
    found = kubectl.get(cluster, "deployments.apps")
    return {e["metadata"]["name"]: (e["metadata"]["uid"], e["metadata"]["generation"]) for e in found}


def replicas(cluster, name: str) -> int:
    return int(kubectl.get(cluster, f"deployments.apps/{name}")[0]["spec"]["replicas"])
