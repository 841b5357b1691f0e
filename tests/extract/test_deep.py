"""Trees deeper than a path or a stack may be: extracted, checked, replaced and removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from ngc import catalog, files
from ngc.asked.images import Extract
from ngc.extract import run

from ..unit.extracting import Extraction, Image, folder, hard_link, member, symlink, tar

DEEP = "opt" + "/d" * 2040  # with a file in it the longest name there may be


@pytest.fixture
def deep(extract: Extraction, tmp_path: Path):
    """An output folder with a path so long that most names do not fit behind it; nothing is left for pytest to stumble over."""
    place = tmp_path
    while len(str(place)) < 3700:
        place = place / ("p" * 200)
    extract.out = place / "out"
    yield extract
    files.remove_tree(tmp_path)


def test_a_tree_of_thousands_of_folders_is_extracted_checked_replaced_and_removed(deep, tmp_path):
    layer = tar(
        folder("opt"),
        member(f"{DEEP}/f", b"x"),
        symlink(f"{DEEP}/s", "f"),
        hard_link(f"{DEEP}/h", f"{DEEP}/f"),
    )
    image = Image([layer]).layout(tmp_path / "image")
    made = deep(image, "/opt")
    assert len(made.entries) == 1 + 2040 + 3
    assert deep(image, "/opt") == made
    assert deep.read == []
    assert run.check(catalog.read(), Extract(None, ("/opt",), str(image), out=str(deep.out)))
    deep(image, "/opt" + "/d" * 2000)
    assert {path.name for path in deep.out.parent.iterdir()} == {"out"}
    files.remove_tree(deep.out)
    assert not deep.out.exists()


def test_a_change_at_the_bottom_of_a_deep_tree_is_told(deep, tmp_path, capsys):
    image = Image([tar(folder("opt"), member(f"{DEEP}/f", b"x"))]).layout(tmp_path / "image")
    deep(image, "/opt")
    top = deep.out
    for part in DEEP.split("/")[:-1]:  # no path is long enough: what is below is moved up on the way
        top = top / part
        if len(str(top)) > 3900:
            break
    (top / "added").write_text("")
    assert not run.check(catalog.read(), Extract(None, ("/opt",), str(image), out=str(deep.out)))
    assert "/added was added" in capsys.readouterr().out
