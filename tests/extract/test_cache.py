"""An index between runs is believed only if it is ours, and only what a layer could have said."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from ngc import files
from ngc.extract import index

from ..conftest import require
from ..unit.extracting import Image, digest_of, folder, member, snapshot, tar

pytestmark = pytest.mark.timeout(20)
GOOD = "a/x\tf\t644\t0\t0\t1600000000000000000\t1\t512\t\t"


@pytest.fixture
def image(tmp_path):
    return Image([tar(folder("a"), member("a/x", b"x"))])


def cached(image: Image) -> Path:
    place = index.place(digest_of(image.packed[0]))
    assert place is not None
    return place


def forge(image: Image, *lines: str) -> Path:
    place = cached(image)
    text = "".join(f"{line}\n" for line in (f"ngc-layer 1 {digest_of(image.packed[0])}", *lines))
    place.write_bytes(gzip.compress(text.encode(errors="surrogateescape")))
    return place


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        GOOD.replace("a/x", "/etc/x"),
        GOOD.replace("a/x", "../x"),
        GOOD.replace("a/x", "a/../../x"),
        GOOD.replace("a/x", "a//x"),
        GOOD.replace("a/x", "a/./x"),
        GOOD.replace("a/x", "a/x/"),
        GOOD.replace("a/x", "a/\0"),
        GOOD.replace("\tf\t", "\tz\t"),
        GOOD.replace("644", "100644"),
        GOOD.replace("644", "8"),
        GOOD.replace("\t0\t0\t", "\t4294967295\t0\t"),
        GOOD.replace("\t0\t0\t", "\t-1\t0\t"),
        GOOD.replace("1600000000000000000", "9" * 19),
        GOOD.replace("1600000000000000000", "9" * 5000),
        GOOD.replace("\t1\t512", "\t1\t-512"),
        GOOD.replace("\t512\t", "\t512\tabc"),
        GOOD.replace("\tf\t", "\th\t") + "../../etc/passwd",
        GOOD.replace("\tf\t", "\tl\t"),
        GOOD + "elsewhere",
        GOOD + "\textra",
        "n" * (1 << 20),
    ],
)
def test_a_line_that_no_layer_makes_is_not_believed_and_the_index_is_made_anew(extract, image, tmp_path, line):
    layout = image.layout(tmp_path / "image")
    extract(layout, "/a")
    made, before = snapshot(extract.out / "a"), gzip.decompress(cached(image).read_bytes())
    files.remove_tree(extract.out)
    forge(image, GOOD, line, GOOD.replace("a/x", "a/y"))
    extract(layout, "/a")
    assert snapshot(extract.out / "a") == made
    assert gzip.decompress(cached(image).read_bytes()) == before


def test_odd_names_and_the_largest_numbers_are_believed(extract, tmp_path):
    odd = [member("a/t\tn\nb\\x", b"1", uid=2**32 - 2), member("a/..x", b"2", mtime=2**33), member("a/\udcff", b"3")]
    image = Image([tar(folder("a"), *odd)])
    layout = image.layout(tmp_path / "image")
    extract(layout, "/a")
    assert index.usable(cached(image), digest_of(image.packed[0]))
    assert extract.read
    files.remove_tree(extract.out)
    place = cached(image)
    when = place.stat().st_ino
    extract(layout, "/a")
    assert place.stat().st_ino == when


@pytest.mark.parametrize("whose", ["writable", "foreign", "symlink"])
def test_a_cache_that_others_could_write_is_not_read(extract, image, tmp_path, monkeypatch, whose):
    """A forged index with a setuid bit in it must not arrive, even with owners kept."""
    layout = image.layout(tmp_path / "image")
    extract(layout, "/a")
    made = snapshot(extract.out / "a")
    forge(image, "a\td\t755\t0\t0\t0\t0\t0\t\t", GOOD.replace("644", "4755"))
    files.remove_tree(extract.out)
    folder = cached(image).parent
    if whose == "writable":
        folder.chmod(0o770)
    elif whose == "symlink":
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        require("root", None if os.geteuid() == 0 else "only root may give files away")
        os.chown(folder, 12345, -1)
    monkeypatch.setenv("XDG_CACHE_HOME", f"{tmp_path}/around/../cache")  # another name for it: each is looked at once
    extract(layout, "/a", owners=os.geteuid() == 0)
    assert snapshot(extract.out / "a") == made
