"""The result is whole at every moment, and what lies beside it is touched only where it is ours."""

from __future__ import annotations

import ctypes
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from ngc import catalog
from ngc.asked.images import Extract
from ngc.errors import Failed
from ngc.extract import run

from ..conftest import require
from ..unit.extracting import Extraction, Image, folder, member, snapshot, tar

pytestmark = pytest.mark.timeout(60)
LEFT = ".out.extract-abcdefgh"


@pytest.fixture
def image(tmp_path):
    return Image([tar(folder("a"), member("a/x", b"x"), folder("b"), member("b/y", b"y"))]).layout(tmp_path / "image")


def names(extract):
    return {path.name for path in extract.out.parent.iterdir()}


def stage_of(extract, *held: str) -> Path:
    """What a killed run has left."""
    left = extract.out.parent / LEFT
    left.mkdir(mode=0o700)
    for name in held:
        (left / name).mkdir()
    return left


@pytest.mark.parametrize("held", [(), ("root",), ("root", "content", "index")])
def test_the_stage_of_a_killed_run_goes_with_the_next_one(extract, image, held):
    stage_of(extract, *held)
    extract(image, "/a")
    assert names(extract) == {"out"}


def test_it_goes_too_where_the_result_was_in_place_already(extract, image):
    asked = Extract(None, ("/a",), str(image), out=str(extract.out), json=True)
    run.extract(catalog.read(), asked)
    stage_of(extract, "root")
    run.extract(catalog.read(), replace(asked, plan=True))
    assert names(extract) == {"out", LEFT}, "a plan changes nothing"
    run.extract(catalog.read(), asked)
    assert names(extract) == {"out"}


def test_the_old_result_comes_back_where_a_run_was_killed_between_two_renames(extract, image):
    extract(image, "/a")
    before = snapshot(extract.out)
    extract.out.rename(stage_of(extract, "root") / "old")
    with pytest.raises(Failed, match="has no /missing"):
        extract(image, "/missing")
    assert snapshot(extract.out) == before
    assert names(extract) == {"out"}


@pytest.mark.parametrize("what", ["file", "fifo", "symlink", "full", "theirs"])
def test_what_only_has_the_name_of_a_stage_is_neither_opened_nor_removed(extract, image, tmp_path, what):
    left = extract.out.parent / LEFT
    if what == "file":
        left.write_text("mine")
    elif what == "fifo":
        os.mkfifo(left)
    elif what == "symlink":
        (tmp_path / "elsewhere" / "root").mkdir(parents=True)
        left.symlink_to(tmp_path / "elsewhere")
    elif what == "full":
        (stage_of(extract, "root") / "thesis.txt").write_text("mine")
    else:
        require("root", None if os.geteuid() == 0 else "only root may give files away")
        os.chown(stage_of(extract, "root"), 12345, -1)
    before = snapshot(extract.out.parent)
    extract(image, "/a")
    after = snapshot(extract.out.parent)
    assert {name: after.get(name) for name in before if name} == {name: what for name, what in before.items() if name}
    assert (tmp_path / "elsewhere" / "root").exists() == (what == "symlink")


def test_an_output_folder_named_like_a_pattern_is_only_itself(extract, image):
    stage_of(extract, "root")
    extract.out = extract.out.with_name("*")
    extract(image, "/a")
    assert names(extract) == {"*", LEFT}


def test_an_output_folder_may_have_the_longest_name_there_is(extract, image):
    extract.out = extract.out.with_name("n" * 255)
    for path in ("/a", "/b"):
        extract(image, path)
        assert names(extract) == {"n" * 255}


def test_an_output_folder_with_a_longer_name_is_refused_in_a_sentence(extract, image):
    extract.out = extract.out.with_name("n" * 256)
    with pytest.raises(Failed, match=r"File name too long.*choose another --out"):
        extract(image, "/a")


@pytest.fixture(params=["exchanged", "renamed twice"])
def way(request, monkeypatch):
    """How a result is put in its place: by renameat2, and as where the system has none."""
    if request.param == "renamed twice":
        monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    return request.param


def test_a_result_replaces_the_one_before(extract, image, way):
    extract(image, "/a")
    extract(image, "/b")
    assert {path.name for path in extract.out.iterdir()} == {"b", "inventory.json"}
    assert names(extract) == {"out"}


def test_a_run_that_is_ended_between_two_renames_puts_the_old_result_back(extract, image, monkeypatch):
    extract(image, "/a")
    before = snapshot(extract.out)
    rename = Path.rename

    def ended(path: Path, target: Path) -> Path:
        moved = rename(path, target)
        if target.name == "old":
            raise KeyboardInterrupt
        return moved

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    monkeypatch.setattr(Path, "rename", ended)
    with pytest.raises(KeyboardInterrupt):
        extract(image, "/b")
    assert snapshot(extract.out) == before
    assert names(extract) == {"out"}


def test_extracts_at_once_to_one_folder_all_end_well_and_leave_one_whole_result(extract, image, way):
    def one(number: int) -> None:
        Extraction(catalog, extract.out)(image, ("/a", "/b")[number % 2])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(40)))
    assert run.check(catalog.read(), Extract(None, ("/a",), str(image), out=str(extract.out)))
    assert names(extract) == {"out"}


def test_what_extraction_did_not_make_is_not_replaced_even_if_its_inventory_never_ends(extract, image):
    extract.out.mkdir()
    os.mkfifo(extract.out / "inventory.json")
    with pytest.raises(Failed, match="was not made by extract-from-ngc"):
        extract(image, "/a")


def test_with_owners_setuid_and_setgid_stay(extract, tmp_path):
    require("root", None if os.geteuid() == 0 else "only root may give files away")
    layer = tar(folder("a", mode=0o2755, gid=7), member("a/su", b"x", mode=0o4755, uid=7))
    image = Image([layer]).layout(tmp_path / "setuid")
    for owners, modes in ((True, [0o2755, 0o4755]), (False, [0o755, 0o755])):
        made = extract(image, "/a", owners=owners)
        assert [(extract.out / name).stat().st_mode & 0o7777 for name in ("a", "a/su")] == modes
        assert [made.entries[name].mode for name in ("a", "a/su")] == ["2755", "4755"]
