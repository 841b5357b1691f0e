"""Another model in every worker's command line, however the config writes its flag."""

import pytest

from ngc import catalog
from ngc.asked.configs import Config
from ngc.deploy import modelling, prepare
from ngc.errors import Wrong

from .rendered import CONFIG

FLAG = "args: [--model, Qwen/Qwen3-0.6B]"
SERVING = {"model": "--model", "served-name": "--served-model-name", "aliases": {"-m": "--model"}}


def words(given, model="a/b", name="a/b"):
    args = list(given)
    return args if modelling._replace(args, SERVING, model, name) else None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["--model", "x"], ["--model", "a/b"]),
        (["--model=x", "--y"], ["--model=a/b", "--y"]),
        (["-m", "x"], ["-m", "a/b"]),
        (["--y", "--model"], ["--y", "--model", "a/b"]),
        (["--model", "x", "--served-model-name=old"], ["--model", "a/b", "--served-model-name=a/b"]),
        (["--models", "x"], None),
        ([], None),
    ],
)
def test_the_model_is_replaced_however_it_is_written(before, after):
    assert words(before) == after


def test_a_folder_is_served_by_its_name():
    assert words(["--model", "x"], "/models/mine", "mine") == ["--model", "/models/mine", "--served-model-name", "mine"]


@pytest.fixture
def prepared(tmp_path):
    (tmp_path / "graph.yaml").write_text(CONFIG)
    return prepare.prepare(catalog.read(), Config(str(tmp_path / "graph.yaml"), image="a/b:1.0.0"))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("", "--model is ''; name a folder"),
        ("foo bar", "--model is 'foo bar'; name a folder"),
        ("a/b/c", "--model is 'a/b/c'; name a folder"),
        ("/nowhere", "there is no folder /nowhere; name a folder"),
        (__file__, r"--model is .*test_modelling\.py, which is a file; name a folder"),
        ("FOLDER", "has no config.json; name a folder"),
    ],
)
def test_what_is_no_model_is_refused(prepared, tmp_path, model, said):
    with pytest.raises(Wrong, match=said):
        modelling.with_model(prepared, str(tmp_path) if model == "FOLDER" else model)
