"""What comes out is what `docker create` and `docker cp` give, for any image."""

import gzip
import os
import sys
import tarfile

import pytest
import sh

from ngc import engine as engines
from ngc.errors import Failed

from ..conftest import require
from .extracting import (
    END,
    TIME,
    Extraction,
    Image,
    folder,
    hard_link,
    header,
    member,
    padded,
    pax,
    snapshot,
    symlink,
    tar,
)  # fmt: skip

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@pytest.fixture
def extract(tree, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Extraction(tree, tmp_path / "out")


def names(extract):
    return sorted(os.fsdecode(name) for name in snapshot(extract.out) if name not in (b"", b"inventory.json"))


def test_a_whiteout_hides_what_is_below_and_nothing_of_its_own_layer(extract, tmp_path):
    lower = tar(folder("data"), member("data/old"), member("data/kept"), folder("data/sub"), member("data/sub/x"))
    upper = tar(member("data/.wh.old"), member("data/.wh.sub"), member("data/new"))
    extract(Image([lower, upper]).layout(tmp_path / "image"))
    assert names(extract) == ["data", "data/kept", "data/new"]


def test_an_opaque_folder_hides_what_is_below_wherever_its_mark_stands(extract, tmp_path):
    lower = tar(folder("data"), folder("data/sub"), member("data/sub/old"))
    upper = tar(folder("data/sub"), member("data/sub/first"), member("data/sub/.wh..wh..opq"), member("data/sub/last"))
    extract(Image([lower, upper]).layout(tmp_path / "image"))
    assert names(extract) == ["data", "data/sub", "data/sub/first", "data/sub/last"]


def test_a_whiteout_above_the_selection_counts(extract, tmp_path):
    lower = tar(folder("usr"), folder("usr/data"), member("usr/data/old"))
    upper = tar(member(".wh.usr"))
    top = tar(folder("usr"), folder("usr/data"), member("usr/data/new"))
    extract(Image([lower, upper, top]).layout(tmp_path / "image"), "/usr/data")
    assert names(extract) == ["usr", "usr/data", "usr/data/new"]


def test_types_are_replaced(extract, tmp_path):
    lower = tar(folder("data"), member("data/a"), folder("data/b"), member("data/b/x"), symlink("data/c", "a"))
    upper = tar(folder("data/a"), member("data/a/y", b"y"), member("data/b", b"b"), folder("data/c"))
    extract(Image([lower, upper]).layout(tmp_path / "image"))
    assert names(extract) == ["data", "data/a", "data/a/y", "data/b", "data/c"]
    assert (extract.out / "data/b").read_text() == "b"
    assert not (extract.out / "data/c").is_symlink()


def test_a_hard_link_to_a_file_outside_the_selection_brings_its_content_by_a_second_pass(extract, tmp_path):
    layer = tar(folder("other"), member("other/file", b"content"), folder("data"), hard_link("data/link", "other/file"))
    made = extract(Image([layer]).layout(tmp_path / "image"))
    assert (extract.out / "data/link").read_text() == "content"
    assert len(extract.read) == 2
    assert made.components["/data"].bytes == 7


def test_a_hard_link_keeps_what_a_higher_layer_replaced_under_the_other_name(extract, tmp_path):
    lower = tar(folder("data"), member("data/a", b"old"), hard_link("data/b", "data/a"))
    upper = tar(member("data/a", b"new"))
    extract(Image([lower, upper]).layout(tmp_path / "image"))
    assert ((extract.out / "data/a").read_text(), (extract.out / "data/b").read_text()) == ("new", "old")


def test_hard_links_stay_one_file(extract, tmp_path):
    layer = tar(folder("data"), member("data/a", b"x"), hard_link("data/b", "/data/a"), hard_link("data/c", "data/b"))
    extract(Image([layer]).layout(tmp_path / "image"))
    assert (extract.out / "data/a").stat().st_nlink == 3


def test_a_symlink_on_the_way_is_followed_and_taken_along(extract, tmp_path):
    layer = tar(
        folder("data"), folder("real"), folder("real/deep"), member("real/deep/file", b"x"),
        symlink("data/way", "../real"), symlink("data/file", "/data/way/deep/file"),
    )  # fmt: skip
    made = extract(Image([layer]).layout(tmp_path / "image"), "/data/way/deep", "/data/file")
    assert names(extract) == ["data", "data/file", "data/way", "real", "real/deep", "real/deep/file"]
    assert made.components["/data/way/deep"].paths == ("/data/way/deep", "/real/deep")


def test_a_circle_of_symlinks_is_an_error(extract, tmp_path):
    layer = tar(folder("data"), symlink("data/a", "b"), symlink("data/b", "a"))
    with pytest.raises(Failed, match=r"^/data/a/x leads through more than 40 symlinks"):
        extract(Image([layer]).layout(tmp_path / "image"), "/data/a/x")


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_links_in_every_format(extract, tmp_path, format):
    # USTAR splits a name at a slash, in 155 and 100 bytes, and has 100 for a link.
    deep = "data/" + "d" * 70 + "/" + "e" * 70
    link = "f" * (100 if format == tarfile.USTAR_FORMAT else 300)
    layer = tar(folder(deep), member(deep + "/" + "n" * 90, b"x"), symlink(deep + "/s", link), format=format)
    extract(Image([layer]).layout(tmp_path / "image"))
    assert (extract.out / deep / ("n" * 90)).read_text() == "x"
    assert str((extract.out / deep / "s").readlink()) == link


def test_names_that_are_not_utf8_and_with_tabs_and_newlines_survive(extract, tmp_path):
    odd = [b"data/\xff\xfe", b"data/a\tb", b"data/a\nb\\t", b"data/\\"]
    layer = tar(folder("data"), *(member(os.fsdecode(name), b"x") for name in odd), format=tarfile.GNU_FORMAT)
    image = Image([layer]).layout(tmp_path / "image")
    extract(image)
    assert sorted(name for name in snapshot(extract.out) if name.startswith(b"data/")) == sorted(odd)
    extract(image, "/data/a\tb")
    assert names(extract) == ["data", "data/a\tb"]


def test_pax_headers_give_times_sizes_and_names(extract, tmp_path):
    layer = (
        pax(path=b"data/long", mtime=b"1600000000.123456789", size=b"3") + header(b"short", size=b"0") + padded(b"abc")
    )
    layer += pax(mtime=b"-5.5") + header(b"data/early") + END
    extract(Image([layer]).layout(tmp_path / "image"))
    assert (extract.out / "data/long").read_text() == "abc"
    assert (extract.out / "data/long").stat().st_mtime_ns == 1_600_000_000_123_456_789
    assert (extract.out / "data/early").stat().st_mtime_ns == 0  # as Docker does with times before 1970


def sparse_layers(file=b"data/f"):
    """The same file, 1 MiB of which two pieces are stored, in the four ways tar has."""
    mib, pieces = 1 << 20, [(4096, b"a" * 600), (500000, b"b" * 10)]
    stored = b"".join(data for _, data in pieces)
    old = b"".join(b"%011o\0%011o\0" % (start, len(data)) for start, data in pieces)
    listed = ",".join(f"{start},{len(data)}" for start, data in pieces).encode()
    lines = padded(b"2\n" + b"".join(b"%d\n%d\n" % (start, len(data)) for start, data in pieces))
    yield (
        "gnu",
        header(file, b"S", b"%o" % len(stored), at_386=old, at_483=b"%011o\0" % mib, at_257=b"ustar  \0")
        + padded(stored),
    )
    name = {"GNU_sparse_name": file}
    yield (
        "0.1",
        pax(
            GNU_sparse_major=b"0",
            GNU_sparse_minor=b"1",
            GNU_sparse_size=b"%d" % mib,
            GNU_sparse_numblocks=b"2",
            GNU_sparse_map=listed,
            **name,
        )
        + header(b"x", size=b"%o" % len(stored))
        + padded(stored),
    )
    yield (
        "1.0",
        pax(GNU_sparse_major=b"1", GNU_sparse_minor=b"0", GNU_sparse_realsize=b"%d" % mib, **name)
        + header(b"x", size=b"%o" % (len(lines) + len(stored)))
        + lines
        + padded(stored),
    )


@pytest.mark.parametrize(
    ("kind", "layer"), list(sparse_layers()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_sparse_files_come_out_whole_and_sparse(extract, tmp_path, kind, layer):
    extract(Image([layer + END]).layout(tmp_path / "image"))
    data = (extract.out / "data/f").read_bytes()
    assert (len(data), data[4096:4696], data[500000:500010]) == (1 << 20, b"a" * 600, b"b" * 10)
    assert data.count(b"\0") == len(data) - 610
    assert (extract.out / "data/f").stat().st_blocks * 512 < len(data)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress, lambda d: gzip.compress(d[:700]) + gzip.compress(d[700:]) + bytes(100),
                                  lambda d: b"\x50\x2a\x4d\x18\4\0\0\0skip" + zstd.compress(d[:700]) + zstd.compress(d[700:])],
                         ids=["plain", "gzip", "zstd", "gzip in members", "zstd in frames"])  # fmt: skip
def test_layers_are_unpacked_by_what_they_are_not_by_what_they_are_called(extract, tmp_path, pack):
    layer = tar(folder("data"), member("data/x", os.urandom(100_000)), member("data/y", b"y" * 5000))
    extract(Image([layer], packed=[pack(layer)]).layout(tmp_path / "image"))
    assert names(extract) == ["data", "data/x", "data/y"]
    assert extract.text("data/y") == "y" * 5000


def test_an_archive_of_docker_save_and_a_layer_that_is_there_twice(extract, tmp_path):
    layer = tar(folder("data"), member("data/x", b"x"))
    extract(Image([layer, tar(member("data/.wh.x")), layer]).archive(tmp_path / "image.tar"))
    assert extract.text("data/x") == "x"
    assert len(extract.read) == 2


def nasty():
    """An image with everything that Docker accepts and a simple reader gets wrong."""
    lower = tar(
        folder("data", mode=0o750), member("data/gone"), member("data/setuid", b"s", mode=0o4755), folder("data/opaque", mode=0o700),
        member("data/opaque/old"), folder("data/white"), member("data/white/old"), folder("data/file-now"), member("data/file-now/x"),
        member("data/folder-now"), symlink("data/link-now", "nowhere"), symlink("data/dangling", "/no/where", mtime=TIME + 5),
        member("data/a", b"linked"), hard_link("data/b", "data/a"), member("outside", b"from outside"), hard_link("data/c", "outside"),
        member("data/mtime", b"m", mtime=TIME + 0.75), member("data/" + "n" * 180, b"long"), member("data/\udcff\udcfe", b"bytes"),
        folder("data/sticky", mode=0o1777), member("data/empty"), folder("data/read-only", mode=0o555), member("data/read-only/x", b"x"),
        member("data/fifo", kind=tarfile.FIFOTYPE), folder("data/implied", mode=0o700),
        format=tarfile.GNU_FORMAT,
    )  # fmt: skip
    top_folder = folder("data", mode=0o2751, mtime=TIME + 3)
    upper = tar(
        top_folder, member("data/implied/x"), member("data/.wh.gone"), folder("data/opaque", mode=0o711), member("data/opaque/.wh..wh..opq"), member("data/opaque/new", b"new"),
        member("data/.wh.white"), member("data/file-now", b"now"), folder("data/folder-now"), member("data/folder-now/y", b"y"),
        folder("data/link-now"), member("data/a", b"replaced"), hard_link("data/d", "data/a", mode=0o600, mtime=TIME + 9),
        folder("implied/../data/dots"), member("/data/absolute", b"absolute"),
        folder("data/merged", mode=0o770), member("data/merged/x"),
    )  # fmt: skip
    # Not GNU's old form: Docker's untar refuses it ("unhandled tar header type 83").
    sparse = b"".join(list(sparse_layers(b"data/sparse-%d" % n))[n][1] for n in (1, 2))
    top = (
        tar(
            top_folder,
            member("data/.wh.nothing"),
            folder("data/merged", mode=0o705, mtime=TIME + 7),
            member("data/merged/z"),
        )[:-1024]
        + END
    )
    return Image([lower, upper, tar(top_folder)[:512] + sparse + END, top])


def docker_copy(engine, reference, path, to):
    docker = sh.Command(engine.client).bake(_env=engine.environment, _tty_out=False)
    container = str(docker("create", "--entrypoint", "/none", reference, "none")).split()[-1]
    try:
        docker("cp", f"{container}:{path}", str(to))
    finally:
        docker("rm", container)
    return known(snapshot(to))


def known(found):
    """Without the time of a folder that its layer does not describe: Docker takes the time of the pull."""
    return {name: (*value[:2], None, *value[3:]) if name == b"implied" else value for name, value in found.items()}


@pytest.fixture
def loaded(engine, tmp_path, unique):
    """The nasty image in the engine: its name, and the archive it was loaded from."""
    archive = nasty().archive(tmp_path / "nasty.tar", f"{unique}:1")
    engines.ask(engine, "load", "--input", str(archive))
    yield f"{unique}:1", archive
    engines.ask(engine, "image", "rm", "--force", f"{unique}:1", fails=False)


def test_the_nasty_image_comes_out_as_from_docker(extract, engine, loaded, tmp_path):
    require("root", None if os.geteuid() == 0 else "only root may give files away")
    reference, archive = loaded
    expected = docker_copy(engine, reference, "/data", tmp_path / "docker")
    extract(archive, owners=True)  # else they lose setuid and setgid
    assert known(snapshot(extract.out / "data")) == expected
    extract(f"docker-daemon:{reference}", owners=True)
    assert known(snapshot(extract.out / "data")) == expected
