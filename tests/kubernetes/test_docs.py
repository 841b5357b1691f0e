"""Every command of docs/KUBERNETES.md, in order, on a real cluster: only names of the page are put in, and the stand-in's image."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

from tests import pages
from tests.conftest import ROOT

from ngc import catalog
from ngc.asked.configs import Config
from ngc.deploy.cluster import installed
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.prepare import prepare

from .conftest import PREFIX, made

PAGE = ROOT / "docs" / "KUBERNETES.md"
# What the page's commands may end with: a diff says by 1 that something would change.
ENDS = {"diff": 1}
# Run with the same flags where what they need is made: a claim and a model, a scraping client.
ELSEWHERE = {"--fill-cache=hub": "test_modelcache.py", "--metrics=annotations": "test_metrics.py"}
NEEDS_AN_IMAGE = ("deploy", "diff")
CLAIM = "model-cache.yaml"


def every() -> list[list[str]]:
    return [words for under in pages.commands(PAGE).values() for words in under]


def ready(words: list[str], context: str, own: str) -> list[str]:
    """A command of the page with this cluster's names."""
    found = pages.put_in(words, {"my-cluster": context, "serving": own, "serving-by-operator": f"{own}-operator"})
    found = [word for word in found if not word.startswith("--registry=")]
    return [*found, "--base=stand-in", "--allow-stand-in"] if found[1] in NEEDS_AN_IMAGE else found


def claim() -> str:
    """The file of the page that a command names."""
    (found,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    return str(found)


def test_the_platform_is_installed_by_the_commands_that_deploy_prints():
    charts = [words for words in every() if words[0] == "helm"]
    prepared = prepare(catalog.read(), Config("vllm-disagg"))
    printed = installed._install(Cluster("my-cluster", "serving", ""), prepared)
    assert [shlex.split(command) for command in printed.split(" && ")] == charts


def test_every_command_of_the_page_does_what_it_says(cluster, verbs, images, operator, tmp_path):
    own = f"{PREFIX}-page"
    seen = []
    for words in every():
        name = words[1] if words[0] == "invoke" else words[0]
        if name in (
            "build",
            "push",
            "export",
            "helm",
        ):  # tests of images run these; here is no registry, and an operator
            continue
        if flag := next((flag for flag in ELSEWHERE if flag in words), None):
            assert flag.partition("=")[0] in (Path(__file__).parent / ELSEWHERE[flag]).read_text()
            continue
        typed = ready(words, cluster.context, own)
        if name == "kubectl" and "namespace" in typed:
            assert typed[:-1] == ["kubectl", "--context", cluster.context, "create", "namespace"]
            made(cluster, typed[-1])  # as the page says, and labelled so that it goes with this run
        elif name == "kubectl":
            (tmp_path / CLAIM).write_text(claim())
            done = subprocess.run(
                [*typed, "--dry-run=server"], cwd=tmp_path, capture_output=True, text=True, timeout=60
            )
            assert done.returncode == 0, done.stderr
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
