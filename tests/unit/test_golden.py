"""What the configs become, held to files that a change is reviewed by: tests/golden, which `nox -s golden` writes anew."""

import os
import re
import subprocess
import sys

import pytest
from ruamel.yaml import YAML

from ..golden import make


def run(*words, folder="/", **environment):
    """The script as a process; returns exit code, stdout, stderr."""
    done = subprocess.run(
        [sys.executable, make.__file__, *words],
        cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(("config", "target"), make.names())
def test_a_config_becomes_what_its_golden_file_says(config, target):
    diff = make.difference(config, target)
    assert not diff, f"if this is what you want, `{make.AGAIN}` writes it anew:\n{diff}"


def test_every_golden_file_belongs_to_a_config(root):
    there = {path.name for path in make.FOLDER.iterdir() if path.name not in ("make.py", "__pycache__")}
    assert there == {f"{config}.{target}.yaml" for config, target in make.names()}
    assert len(there) == 3 * len(list((root / "configs").glob("*.yaml"))) >= 30


def test_a_target_that_cannot_express_a_config_has_the_reason_with_its_place():
    refused = {name: text for name in make.names() if (text := make.path_of(*name).read_text()).startswith("#")}
    assert set(refused) == {("vllm-multinode", "kubernetes"), ("vllm-multinode", "compose")}
    for text in refused.values():
        assert text.startswith("# refused: configs/vllm-multinode.yaml:46: VllmDecodeWorker ")
        assert text.count("\n") == 1


@pytest.mark.parametrize(("config", "target"), make.names())
def test_a_golden_file_means_the_same_by_both_rules_of_yaml(config, target):
    """Kubernetes and Compose read YAML 1.1, where `on` is a truth and 12:30 a number; we write by 1.2."""
    text = make.path_of(config, target).read_text()
    old, new = YAML(typ="safe"), YAML(typ="safe")
    old.version = (1, 1)
    assert list(old.load_all(text)) == list(new.load_all(text))


@pytest.mark.parametrize("seed", ["0", "7", "4711"])
def test_a_rendering_depends_on_nothing_but_the_config(seed, tmp_path):
    """Not on the hashes of texts, which order sets, nor on the folder, nor on what the shell builds on."""
    assert run("--check", folder=tmp_path, PYTHONHASHSEED=seed, NGC_BASE="stand-in") == (0, "", "")


def test_a_stale_golden_file_is_shown_as_a_difference_and_written_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(make, "FOLDER", tmp_path)
    monkeypatch.setattr(make, "ROOT", tmp_path)
    monkeypatch.setattr(make, "names", lambda: [("mine", "dgd"), ("other", "dgd")])
    monkeypatch.setattr(make, "text", lambda *_: "a: 2\n")
    (tmp_path / "mine.dgd.yaml").write_text("a: 1\n")
    (tmp_path / "gone.dgd.yaml").write_text("a: 1\n")
    assert make.check() == 1
    out, err = capsys.readouterr()
    assert "--- mine.dgd.yaml\n+++ rendered now\n@@ -1 +1 @@\n-a: 1\n+a: 2\n" in out
    assert "gone.dgd.yaml belongs to no config" in out
    assert "`nox -s golden`" in err
    assert make.write() == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "mine.dgd.yaml": "a: 2\n",
        "other.dgd.yaml": "a: 2\n",
    }
    assert make.check() == 0


def test_the_script_refuses_words_that_it_does_not_know():
    assert run("--chek") == (1, "", "usage: make.py [--check]\n")


def test_the_page_shows_parts_of_golden_files(root):
    blocks = re.findall(r"^```yaml\n(.*?)^```", (root / "docs" / "RENDER.md").read_text(), re.M | re.S)
    written = [make.path_of(*name).read_text() for name in make.names() if name[0] == "vllm-disagg"]
    assert len(blocks) == 3
    assert [block for block in blocks if not any(f"\n{block}" in text for text in written)] == []
