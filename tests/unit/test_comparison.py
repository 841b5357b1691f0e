"""docs/COMPARISON.md: every figure has a kind and a source, what is computed is computed right, and kinds are never mixed."""

from __future__ import annotations

import copy
import shutil
import xml.etree.ElementTree as ElementTree

import pytest
from ruamel.yaml import YAML

from ngc.errors import Failed

from ..bench.common import figures, page
from ..bench.common.figures import COMPUTED, MEASURED, PUBLISHED


@pytest.fixture(scope="module")
def file():
    return YAML(typ="safe").load(figures.DATA)


@pytest.fixture(scope="module")
def data():
    return figures.read()


def test_every_published_figure_is_bytes_of_a_kind_or_seconds_and_has_a_source(data):
    for figure in data.published.values():
        assert figure.what
        assert figure.source in data.sources
        assert (figure.bytes is None) != (figure.seconds is None)
        assert figure.kind in (("on disk", "compressed") if figure.bytes else (None,))


def test_every_source_says_what_it_is_and_when(data):
    assert all(source["what"] and source["date"] for source in data.sources.values())


def test_measured_figures_name_the_machine_and_the_day(data):
    assert {"cores", "memory", "engine", "system", "base", "load"} <= set(data.measured["machine"])
    assert data.measured["date"]


def test_every_image_of_the_tree_is_measured(data, root):
    images = {(path.parent.name, path.suffix[1:]) for path in (root / "ngc-builds").glob("*/Dockerfile.*")}
    names = {path.parent.name for path in (root / "ngc-builds").glob("*/image.yaml")}
    assert {(layer.framework, layer.target) for layer in data.layers} == {i for i in images if i[0] in names}


@pytest.mark.parametrize(("gigabits", "seconds"), [(1, 69.84), (10, 6.984)])
def test_a_pull_is_bytes_over_the_line(data, gigabits, seconds):
    assert data.published["ngc-compressed"].bytes == 8_730_000_000
    assert data.pull(gigabits) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("seconds", "text"), [(2700, "45 min"), (69.8, "70 s"), (6.98, "7.0 s"), (0.28, "0.3 s"), (0.063, "63 ms")]
)
def test_a_time_is_written_for_people(seconds, text):
    assert figures.duration(seconds) == text


def test_size_is_claimed_like_for_like_only(data):
    rows = {row[0]: row for row in page.promise(data)}
    assert rows["smaller, on disk against on disk"][2].startswith("**1.9x**")
    assert "not claimed here" in rows['"3.7x smaller"'][2]
    assert {data.published[key].kind for key in ("chain", "ngc-on-disk")} == {"on disk"}


def test_a_first_build_waits_for_the_pull_and_our_slowest_runtime_layer(data):
    slowest = max(layer.seconds for layer in data.layers if layer.target == "runtime")
    assert data.runtime.seconds == slowest
    (bar,) = (bar for bars in page.parts(data).values() for bar in bars if bar.label.startswith("pull at 1 "))
    assert bar.value == pytest.approx(69.84 + slowest)


def test_every_speed_says_that_it_is_an_upper_limit(data):
    speeds = [row for row in page.time(data)[1:] if row[2] != "-"]
    assert len(speeds) == 2 * len(page.LINES)
    assert all("at most" in row[2] and COMPUTED in row[3] for row in speeds)


def test_a_layer_without_a_registry_has_no_compressed_size(file):
    changed = copy.deepcopy(file)
    del changed["measured"]["images"][0]["compressed"]
    assert figures.read(changed).layers[0].compressed is None


def test_the_picture_says_the_kind_of_every_bar(data):
    drawn = ElementTree.fromstring(page.svg(data))
    text = " ".join(node.text or "" for node in drawn.iter() if node.tag.endswith("text"))
    assert all(kind in text for kind in (PUBLISHED, COMPUTED, MEASURED))
    assert "unknown" in text
    fills = [node.get("fill") for node in drawn.iter() if node.tag.endswith("rect")]
    assert set(fills) == {"#fff", *page.COLOURS.values()}


def test_bars_of_a_part_are_of_one_unit(data):
    for bars in page.parts(data).values():
        longest = max(bar.value for bar in bars)
        assert longest > 0
        assert all(value <= longest for bar in bars for value, _ in bar.pieces)


def test_the_page_and_its_picture_come_from_the_figures(root):
    page.main(check=True)


@pytest.mark.parametrize(
    ("name", "said"), [("COMPARISON.md", "a table is stale"), ("comparison.svg", "the picture is stale")]
)
def test_a_stale_page_or_picture_fails_the_check_and_is_written_anew(root, tmp_path, monkeypatch, name, said):
    for file in ("COMPARISON.md", "comparison.svg"):
        shutil.copy(root / "docs" / file, tmp_path)
    monkeypatch.setattr(page, "DOCS", tmp_path)
    (tmp_path / name).write_text((tmp_path / name).read_text().replace("32.40 GB", "31.40 GB"))
    with pytest.raises(Failed, match=f"{name}: {said}; run `nox -s tables`"):
        page.main(check=True)
    page.main(check=False)
    assert (tmp_path / name).read_bytes() == (root / "docs" / name).read_bytes()
