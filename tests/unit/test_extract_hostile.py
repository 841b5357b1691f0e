"""Images that mean harm: refused or contained, and nothing is ever written outside the output folder."""

import gzip
import os
import sys
import tarfile
from pathlib import Path

import pytest

from ngc.errors import Failed
from ngc.extract import inflate

from .extracting import END, Extraction, Image, folder, hard_link, header, member, padded, pax, snapshot, symlink, tar

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@pytest.fixture
def extract(tree, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "around").mkdir()
    return Extraction(tree, tmp_path / "around" / "out")


@pytest.fixture
def untouched(extract, tmp_path):
    """Whatever the test does, nothing appears beside the output folder."""
    before = set(Path("/tmp").glob("evil*"))
    yield
    assert {path.name for path in extract.out.parent.iterdir()} <= {"out"}
    assert {path.name for path in tmp_path.iterdir()} <= {"around", "cache", "image", "tree"}
    assert set(Path("/tmp").glob("evil*")) == before


def refused(extract, tmp_path, said, *layers, packed=(), paths=("/data",)):
    image = Image(list(layers) or [END], packed=list(packed)).layout(tmp_path / "image")
    with pytest.raises(Failed, match=said) as raised:
        extract(image, *paths)
    assert "\n" not in str(raised.value)
    assert not extract.out.exists()


@pytest.mark.parametrize("name", ["../evil", "data/../../evil", "data/x/../../../../tmp/evil"])
def test_a_name_that_leaves_the_root_is_refused(extract, untouched, tmp_path, name):
    refused(extract, tmp_path, "has a member that leaves the image's root", tar(folder("data"), member(name, b"x")))


def test_a_hard_link_that_leaves_the_root_is_refused(extract, untouched, tmp_path):
    layer = tar(folder("data"), hard_link("data/x", "../../etc/passwd"))
    refused(extract, tmp_path, "has a member that leaves the image's root", layer)


def test_absolute_names_lie_below_the_output_folder(extract, untouched, tmp_path):
    layer = tar(folder("/data"), member("//data/x", b"x"), hard_link("/data/y", "/data/x"))
    extract(Image([layer]).layout(tmp_path / "image"))
    assert (extract.out / "data/y").read_text() == "x"


def test_a_member_below_a_symlink_of_its_layer_is_refused(extract, untouched, tmp_path):
    layer = tar(folder("data"), symlink("data/way", "/tmp"), member("data/way/evil", b"x"))
    refused(extract, tmp_path, "has a member below a symlink, data/way/evil; refused", layer)


def test_a_member_below_a_symlink_of_a_lower_layer_replaces_it(extract, untouched, tmp_path):
    """As in Docker: the layer's own folder hides the symlink."""
    layers = [tar(folder("data"), symlink("data/way", "/tmp")), tar(member("data/way/evil", b"x"))]
    extract(Image(layers).layout(tmp_path / "image"))
    assert (extract.out / "data/way").is_dir()
    assert not (extract.out / "data/way").is_symlink()
    assert (extract.out / "data/way/evil").read_text() == "x"


def test_a_member_below_a_file_is_refused(extract, untouched, tmp_path):
    refused(extract, tmp_path, "has a member below a file", tar(folder("data"), member("data/x"), member("data/x/y")))


def test_a_hard_link_to_a_symlink_stays_a_symlink(extract, untouched, tmp_path):
    layer = tar(folder("data"), symlink("data/way", "/etc/passwd"), hard_link("data/x", "data/way"))
    extract(Image([layer]).layout(tmp_path / "image"))
    assert str((extract.out / "data/x").readlink()) == "/etc/passwd"


@pytest.mark.parametrize("link", ["data/missing", "data", ""])
def test_a_hard_link_to_no_file_is_refused(extract, untouched, tmp_path, link):
    refused(
        extract,
        tmp_path,
        "has a hard link data/x to .*, which is no file before it",
        tar(folder("data"), hard_link("data/x", link)),
    )


@pytest.mark.parametrize("name", ["data/.wh.", "data/.wh...", "data/.wh.."])
def test_a_whiteout_of_dots_is_refused(extract, untouched, tmp_path, name):
    refused(extract, tmp_path, "has a whiteout of no name", tar(folder("data"), member(name)))


def test_devices_are_left_out_and_named(extract, untouched, tmp_path):
    layer = tar(
        folder("data"),
        member("data/disk", kind=tarfile.BLKTYPE, devmajor=8),
        member("data/null", kind=tarfile.CHRTYPE, devmajor=1),
    )
    made = extract(Image([layer]).layout(tmp_path / "image"))
    assert list(made.left_out) == ["/data/disk", "/data/null"]
    assert list((extract.out / "data").iterdir()) == []


@pytest.mark.parametrize(
    ("said", "layer"),
    [
        ("ends in the middle of a member", header(b"data/x", size=b"%o" % (1 << 20)) + END),
        ("says that data/x has -1 bytes", header(b"data/x", size=b"\xff" * 12) + END),
        ("takes .* GB and .* free some", header(b"data/x", size=b"\x80" + (1 << 60).to_bytes(11, "big")) + END),
        ("has a header with the number 00000000008", header(b"data/x", size=b"8") + END),
        ("has a header of .* refused", header(b"x", b"x", size=b"%o" % (1 << 30)) + END),
        ("has a header of .* refused", header(b"x", b"L", size=b"%o" % (1 << 30)) + END),
        ("has a damaged header", header(b"data/x").replace(b"data", b"date") + END),
        ("says that data/x has -1 bytes", pax(size=b"-1") + header(b"data/x") + END),
        ("PAX header that cannot be read", header(b"x", b"x", size=b"5") + padded(b"99 a=") + END),
        ("PAX header that cannot be read", header(b"x", b"x", size=b"5") + padded(b"00000") + END),
        ("name of .* bytes", pax(path=b"data/" + b"d/" * 3000 + b"x") + header(b"x") + END),
        ("ends in the middle of a header", header(b"data/x")[:300]),
        ("pieces overlap", pax(GNU_sparse_map=b"0,10,5,10", GNU_sparse_size=b"20", path=b"data/x") + header(b"x", size=b"24") + END),
        ("does not fit its size", pax(GNU_sparse_map=b"0,10", GNU_sparse_size=b"5", path=b"data/x") + header(b"x", size=b"12") + END),
        ("does not end", pax(GNU_sparse_major=b"1", GNU_sparse_minor=b"0", GNU_sparse_realsize=b"5", path=b"data/x") + header(b"x", size=b"1000") + padded(b"9" * 512) * 4),
        ("unpacks to more than 250 times its size", pax(GNU_sparse_map=b"0,0", GNU_sparse_size=b"%d" % (1 << 60), path=b"data/x") + header(b"x") + END),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_header_that_lies_is_refused(extract, untouched, tmp_path, said, layer):
    refused(extract, tmp_path, said, layer)


def test_a_folder_that_claims_content_is_only_a_folder(extract, untouched, tmp_path):
    layer = header(b"data/", b"5", size=b"1000000") + header(b"data/x") + END
    extract(Image([layer]).layout(tmp_path / "image"))
    assert b"data/x" in snapshot(extract.out)


@pytest.mark.parametrize("pack", [lambda d: gzip.compress(d, 9), zstd.compress], ids=["gzip", "zstd"])
def test_a_decompression_bomb_is_refused(extract, untouched, tmp_path, monkeypatch, pack):
    monkeypatch.setattr(inflate, "_FREE", 1 << 22)
    layer = tar(folder("data"), member("data/x")) + bytes(1 << 25)
    refused(extract, tmp_path, "unpacks to more than 250 times its size", layer, packed=[pack(layer)])


def test_no_step_of_unpacking_gives_more_than_a_piece(tmp_path):
    for packed in (gzip.compress(bytes(1 << 25)), zstd.compress(bytes(1 << 25))):
        given = iter([packed])
        assert max(map(len, inflate.chunks(inflate.Packed(lambda _: next(given, b""), "x")))) <= inflate.CHUNK  # noqa: B023


@pytest.mark.parametrize("cut", [30, 200])
def test_compressed_data_that_ends_early_or_is_broken_is_refused(extract, untouched, tmp_path, cut):
    layer = tar(folder("data"), member("data/x", os.urandom(1000)))
    packed = gzip.compress(layer)
    refused(extract, tmp_path, "ends before its compressed data does", layer, packed=[packed[:-cut]])


@pytest.mark.parametrize("head", [b"\x1f\x8b\x08\x08\0\0\0\0\0\xff" + b"n" * 300_000, b"\x1f\x8b\x07" + bytes(100)])
def test_a_gzip_header_that_is_none_is_refused(extract, untouched, tmp_path, head):
    refused(extract, tmp_path, r"cannot be unpacked \(no gzip header\)", packed=[head])


def test_what_follows_a_gzip_member_must_be_another_one_or_zeros(extract, untouched, tmp_path):
    layer = tar(folder("data"), member("data/x"))
    refused(
        extract, tmp_path, r"cannot be unpacked \(no gzip header\)", layer, packed=[gzip.compress(layer) + b"garbage"]
    )


def test_gzip_headers_with_every_field(tmp_path):
    """FEXTRA, FNAME, FCOMMENT, FHCRC; in any pieces."""
    plain = gzip.compress(b"content", mtime=0)
    whole = plain[:3] + b"\x1e" + plain[4:10] + b"\3\0abc" + b"name\0" + b"comment\0" + b"cc" + plain[10:]
    for size in (1, 3, 1000):
        pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
        given = iter([b"".join(pieces[:4]), *pieces[4:]])
        assert b"".join(inflate.chunks(inflate.Packed(lambda _: next(given, b""), "x"))) == b"content"  # noqa: B023


def test_a_blob_that_is_not_its_digest_leaves_nothing(extract, untouched, tmp_path):
    image = Image([tar(folder("data"), member("data/x", b"x"))])
    layout = image.layout(tmp_path / "image")
    blob = layout / "blobs" / "sha256" / next(name for name in image.blobs if image.blobs[name] == image.packed[0])[7:]
    blob.write_bytes(gzip.compress(image.layers[0].replace(b"x", b"y", 0) + END, 9))
    with pytest.raises(Failed, match=r"(has the content of sha256|is longer than)"):
        extract(layout)
    assert not extract.out.exists()
    assert list((tmp_path / "cache").rglob("*.gz")) == []


def test_a_config_that_points_out_of_the_root_points_into_it(extract, untouched, tmp_path):
    image = Image([tar(folder("etc"), member("etc/passwd", b"of the image"))], environment=["WHERE=/../../etc"])
    extract(image.layout(tmp_path / "image"), "$WHERE/passwd")
    assert (extract.out / "etc/passwd").read_text() == "of the image"


def test_an_archive_may_not_name_files_outside(extract, untouched, tmp_path):
    layout = tmp_path / "image"
    layout.mkdir()
    (tmp_path / "around" / "config.json").write_text("{}")
    (layout / "manifest.json").write_text('[{"Config": "../around/config.json", "Layers": []}]')
    with pytest.raises(Failed, match=r"has no \.\./around/config\.json"):
        extract(layout)
    (tmp_path / "around" / "config.json").unlink()
