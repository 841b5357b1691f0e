"""What is asked of a registry and what is not, by the index of an extraction before."""

import gzip
import os
import shutil

import pytest

from ngc import files
from ngc.errors import Failed
from ngc.extract import asking, index, run

from .extracting import digest_of, snapshot
from .fetching import at, extract_fixture, image_fixture, no_connections_left, pushed_fixture  # noqa: F401  # fixtures
from .fronting import Front, push, serving


def test_unchanged_asks_for_one_manifest_and_no_blob(extract, registry, pushed):
    with serving(Front(registry)) as front:
        first = extract(at(front, pushed))
        front.asked.clear()
        assert extract(at(front, pushed)) == first
        assert [path.rpartition("/")[2] for path, _ in front.asked] == ["1"]


@pytest.mark.parametrize("damage", ["data/1", "data/extra"])
def test_a_folder_that_was_changed_is_made_anew(extract, pushed, damage):
    extract(pushed)
    before = snapshot(extract.out / "data")
    (extract.out / damage).write_text("changed")
    extract(pushed)
    assert snapshot(extract.out / "data") == before


def test_with_a_known_index_only_blobs_with_wanted_files_are_asked_for_and_no_further_than_needed(
    extract, registry, pushed, image
):
    with serving(Front(registry)) as front:
        extract(at(front, pushed))
        before = snapshot(extract.out / "data")
        shutil.rmtree(extract.out)
        front.asked.clear()
        extract(at(front, pushed))
        config, first, _, last = map(digest_of, (image.config, *image.packed))
        assert set(front.blobs) == {config, first, last}
    assert snapshot(extract.out / "data") == before


def test_files_that_no_pass_has_hashed_are_read_with_the_whole_blob_and_known_afterwards(extract, pushed):
    extract(pushed)
    extract(pushed, "/other/3")
    assert len(extract.read) == 1
    shutil.rmtree(extract.out)
    order = asking.order(extract.tree.read(), extract.request(pushed, "/other/3"))
    assert [layer["why"] for layer in run.planned(order, False)["layers"]] == ["to the last wanted file"]


def test_a_blob_that_is_cut_short_is_held_to_the_index_file_by_file(extract, registry, image, unique, tmp_path):
    """A server that sends something else is noticed even though the blob's own digest is never computed."""
    reference = push(registry, unique, "1", image)
    extract(reference)
    shutil.rmtree(extract.out)
    file = index.place(digest_of(image.packed[2]))
    index.rewritten(file, tmp_path / "other", {})
    data = gzip.decompress((tmp_path / "other").read_bytes())
    wrong = data.replace(digest_of(b"new")[7:].encode(), b"0" * 64)
    file.write_bytes(gzip.compress(wrong))
    with pytest.raises(Failed, match="gave data/0 with another content than its index says"):
        extract(reference)
    assert not extract.out.exists()
    extract(reference)  # the index is gone, and made anew
    assert (extract.out / "data/0").read_text() == "new"


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda _: b"", lambda _: b"nonsense", lambda d: d[:-4] + b"abcd"]
)
def test_a_damaged_index_is_ignored_and_made_anew(extract, pushed, image, damage):
    extract(pushed)
    shutil.rmtree(extract.out)
    file = index.place(digest_of(image.packed[0]))
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    extract(pushed)
    assert (extract.out / "data/0").read_text() == "new"
    assert index.usable(file, digest_of(image.packed[0]))


def test_a_cache_that_cannot_be_written_is_done_without(extract, pushed, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    extract(pushed)
    assert (extract.out / "data/0").read_text() == "new"


def test_an_index_that_nobody_uses_goes_after_90_days(extract, pushed, tmp_path):
    extract(pushed)
    old = files.cache("layers") / ("0" * 64 + ".gz")
    old.write_bytes(b"")
    os.utime(old, (0, 0))
    shutil.rmtree(extract.out)
    extract(pushed, "/other/3")
    assert not old.exists()
    assert len(list(files.cache("layers").iterdir())) == 3
