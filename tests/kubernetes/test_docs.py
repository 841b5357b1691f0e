"""Every command of docs/KUBERNETES.md, in order, on a real cluster: only names of the page are put in, and the stand-in's image."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from tests import pages
from tests.conftest import ROOT

from .conftest import PREFIX, made

PAGE = ROOT / "docs" / "KUBERNETES.md"
# What the page's commands may end with: a diff says by 1 that something would change.
ENDS = {"diff": 1}
# Run with the same flags where what they need is made: a claim and a model, a scraping client.
ELSEWHERE = {"--fill-cache=hub": "test_modelcache.py", "--metrics=annotations": "test_metrics.py"}
NEEDS_AN_IMAGE = ("deploy", "diff")


def every() -> list[list[str]]:
    return [words for under in pages.commands(PAGE).values() for words in under]


def ready(words: list[str], context: str, namespace: str) -> list[str]:
    """A command of the page with this cluster's names."""
    found = pages.put_in(words, {"my-cluster": context, "serving": namespace})
    found = [word for word in found if not word.startswith("--registry=")]
    return [*found, "--base=stand-in", "--allow-stand-in"] if found[1] in NEEDS_AN_IMAGE else found


def test_every_command_of_the_page_does_what_it_says(cluster, verbs, images):
    own = f"{PREFIX}-page"
    seen = []
    for words in every():
        name = words[1] if words[0] == "invoke" else words[0]
        if name in ("build", "push", "export"):  # tests of images run these; here is no registry
            continue
        if flag := next((flag for flag in ELSEWHERE if flag in words), None):
            assert flag.partition("=")[0] in (Path(__file__).parent / ELSEWHERE[flag]).read_text()
            continue
        typed = ready(words, cluster.context, own)
        if name == "kubectl":
            assert typed == ["kubectl", "--context", cluster.context, "create", "namespace", own]
            made(cluster, own)  # as the page says, and labelled so that it goes with this run
        else:
            environment = {"HF_TOKEN": "hf_page", "NGC_API_KEY": "nvapi-page"} if "--create-secrets" in words else {}
            said = verbs(*typed[1:], **environment)
            assert said.code == ENDS.get(name, 0), f"{shlex.join(words)}: {said.err}"
        seen.append(name)
    assert {"kubectl", "deploy", "smoke", "status", "logs", "diff", "rollback", "undeploy"} <= set(seen)


def test_the_page_says_nothing_of_secrets_on_a_command_line():
    assert not [words for words in every() if words[0] != "export" and any("TOKEN=" in word for word in words)]


def test_kubectl_takes_the_forwarding_that_deploy_prints(cluster):
    """Its flags stand in the printed line, which nobody types by hand."""
    words = [
        "kubectl",
        "port-forward",
        f"--context={cluster.context}",
        "--namespace=default",
        "service/no-such",
        "8000:8000",
    ]
    done = subprocess.run(words, capture_output=True, text=True, env=os.environ, timeout=60)
    assert 'services "no-such" not found' in done.stderr
