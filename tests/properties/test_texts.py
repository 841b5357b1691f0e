"""Files that people write: configs, settings, image.yaml, Dockerfiles. Read, or refused in a sentence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngc import catalog, dockerfile, imageyaml
from ngc.asked.configs import TARGETS
from ngc.catalog import ROOT
from ngc.deploy import edit, graph, lint, render
from ngc.deploy.prepare import Prepared
from ngc.errors import Failed, Wrong

TABLE = catalog.read()
CONFIG = (ROOT / "configs" / "vllm-agg.yaml").read_text()
IMAGE = (ROOT / "ngc-builds" / "vllm" / "image.yaml").read_text()
DOCKERFILE = (ROOT / "ngc-builds" / "vllm" / "Dockerfile.dev").read_text()
# What strangers write by accident or on purpose.
PIECES = st.sampled_from(
    ["null", "[]", "{}", "~", "- x", "&a [*a]", "*a", "<<: 1", "1" * 50, "1e999", "0x1F", "!!python/object:os.system x", "!x y", "\t", "'", '"', "|", "> ",
     "\x00", "\x1b[31m", "\u202e", "é", "2026-01-01", "1:30", "yes", "$(X)", "${X}", "..", "/", "- - - -", "? [a]", "--- ", "..."]
)  # fmt: skip


@st.composite
def changed(draw, text: str):
    """The text with some of its lines or values changed, dropped or doubled."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        how = draw(st.sampled_from(["value", "drop", "double", "indent", "line", "cut"]))
        if how == "value":
            lines[at] = lines[at].partition(":")[0] + ": " + draw(PIECES)
        elif how == "drop":
            del lines[at]
        elif how == "double":
            lines.insert(at, lines[at])
        elif how == "indent":
            lines[at] = draw(st.sampled_from([" ", "  ", ""])) + lines[at].lstrip()
        elif how == "line":
            lines.insert(at, draw(PIECES))
        else:
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
        if not lines:
            lines = [""]
    return "\n".join(lines) + "\n"


def sentence(error: Exception) -> None:
    assert str(error)
    assert len(str(error).splitlines()) == 1


@given(text=changed(CONFIG))
def test_a_changed_config_is_checked_and_rendered_or_refused(text, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    try:
        read = graph.load(path)
        lint.check(TABLE, read)
        for to in TARGETS:
            try:
                made = render.render(Prepared(read, None, None, None), to)
                assert render.dump(made)
            except Wrong as error:
                sentence(error)
    except (Wrong, Failed) as error:
        sentence(error)


PATHS = st.lists(
    st.sampled_from(["spec", "services", "Frontend", "VllmDecodeWorker", "replicas", "extraPodSpec", "mainContainer", "args", "[0]", "[+]", "[99999999999999999999]",
                     "[-1]", '["a.b/c"]', "metadata", "annotations", "envs", "x", "", "resources", "limits", "gpu", "image"]),
    max_size=6,
).map(lambda parts: ".".join(parts).replace(".[", "["))  # fmt: skip


@given(st.lists(st.tuples(PATHS, PIECES | st.text(max_size=20)).map("=".join), min_size=1, max_size=3))
def test_a_setting_is_applied_or_refused(settings):
    read = graph.load(ROOT / "configs" / "vllm-agg.yaml")
    try:
        lint.check(TABLE, edit.apply(read, settings))
    except (Wrong, Failed) as error:
        assert str(error)


@given(text=changed(IMAGE))
def test_a_changed_image_yaml_is_read_or_refused(text, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "builds" / "vllm" / "image.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    (path.parent.parent / imageyaml.SCHEMA).write_text((ROOT / "ngc-builds" / imageyaml.SCHEMA).read_text())
    path.write_text(text)
    try:
        assert isinstance(imageyaml.load(path), dict)
    except (Wrong, Failed) as error:
        sentence(error)


@pytest.mark.parametrize("kind", ["changed", "any"])
@given(data=st.data())
def test_a_dockerfile_is_read_or_refused(kind, data, tmp_path):
    words = [
        "FROM x",
        "ARG A=1",
        "ARG A",
        "RUN <<E",
        "E",
        "COPY a b \\",
        "# comment",
        "\\",
        "ADD --x=y [",
        '["a"]',
        "ENV a=$b",
        "\x00",
        "FROM",
        "é",
        "HEALTHCHECK",
    ]
    text = data.draw(
        changed(DOCKERFILE) if kind == "changed" else st.lists(st.sampled_from(words), max_size=8).map("\n".join)
    )
    path = tmp_path / "Dockerfile.x"
    path.write_text(text)
    try:
        read = dockerfile.read(path)
        assert isinstance(read.arguments, dict)
    except (Wrong, Failed) as error:
        assert str(error)
