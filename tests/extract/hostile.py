"""Layers that no honest tool writes, one a case, and what becomes of each: refused, or a tree.

Docker (20.10, overlay2, by `docker load`) takes those that say `docker`, and then its tree is the same but for owners.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..unit.extracting import END, header, padded, pax

HUGE = b"9" * 5000  # digits
FOLDER = "folder 755"
BEYOND = b"\x80\0\0\0\x7f" + b"\xff" * 7  # base 256: 2^63 - 1


@dataclass(frozen=True)
class Case:
    """Layers, and either the words they are refused with or the tree: kind, mode, content or target, time if it is not TIME."""

    layers: tuple[bytes, ...]
    refused: str | None = None
    tree: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    docker: bool = False
    paths: tuple[str, ...] = ("/",)


def folder(name: bytes = b"opt/", mode: int = 0o755) -> bytes:
    return header(name, b"5", at_100=b"%07o\0" % mode)


def file(name: bytes = b"opt/a", data: bytes = b"hi", **places: bytes) -> bytes:
    return header(name, b"0", b"%o" % len(data), **places) + padded(data)


def link(name: bytes, to: bytes, kind: bytes = b"2") -> bytes:
    return header(name, kind, at_157=to)


def layer(*members: bytes, end: bytes = END) -> bytes:
    return b"".join(members) + end


def refused(words: str, *members: bytes, end: bytes = END, docker: bool = False) -> Case:
    return Case((layer(folder(), *members, end=end),), refused=words, docker=docker)


def accepted(tree: Mapping[str, str], *members: bytes, docker: bool = True, **more: object) -> Case:
    return Case((layer(folder(), *members),), tree={"opt": FOLDER, **tree}, docker=docker, **more)  # type: ignore[arg-type]


def above(tree: Mapping[str, str], *members: bytes, docker: bool = True) -> Case:
    """A second layer on one with opt/a."""
    return Case((LOWER, layer(*members)), tree=tree, docker=docker)


def special(data: bytes, kind: bytes = b"x") -> bytes:
    return header(b"pax", kind, b"%o" % len(data)) + padded(data)


LOWER = layer(folder(), file(b"opt/a", b"hello"))
LEAVES = "has a member that leaves the image's root"
NO_TARGET = "has a hard link opt/h to {}, which is no file before it"
NOT_READ = "has a PAX header that cannot be read"
NO_FILE_SYSTEM = "which no file system takes"

NAMES = {
    "plain": accepted({"opt/a": "file 644 hello"}, file(data=b"hello")),
    "absolute": accepted(
        {"etc": FOLDER, "etc/evil": "file 644 x", "opt/b": "file 644 x"},
        folder(b"etc"), file(b"/etc/evil", b"x"), file(b"//opt/b", b"x"),
    ),
    "dotdot": refused(LEAVES, file(b"opt/../../evil"), docker=True),
    "dotdot-inside": accepted({"opt/x": "file 644 hi"}, file(b"opt/../opt/x")),
    "esc-dotdot": refused(rf"{LEAVES}, opt/\\x1b\[2J/", file(b"opt/\x1b[2J/../../../x"), docker=True),
    "invalid-utf8": accepted({"opt/\udcff\udcfe\udc80": "file 644 hi"}, file(b"opt/\xff\xfe\x80")),
    "newline-name": accepted({"opt/a\nb\tc\\d": "file 644 hi"}, file(b"opt/a\nb\tc\\d")),
    "casefold": accepted(
        {"opt/A": "file 644 1", "opt/a": "file 644 2", "opt/B": FOLDER, "opt/b": "symlink /etc"},
        file(b"opt/A", b"1"), file(b"opt/a", b"2"), folder(b"opt/B/"), link(b"opt/b", b"/etc"),
    ),
    "name-256": refused(NO_FILE_SYSTEM, pax(path=b"opt/" + b"n" * 256), file(b"x")),
    "name-5000-deep": refused(NO_FILE_SYSTEM, pax(path=b"opt/" + b"d/" * 5000 + b"f"), file(b"x")),
    "inventory-name": Case(
        (layer(folder(), file(b"inventory.json")),), refused="has a file /inventory.json, and that name is taken", docker=True
    ),
    "root-is-file": accepted({}, file(b"./")),
    "root-symlink": accepted({}, link(b".", b"/etc")),
    "root-mode-0": accepted({"opt/a": "file 644 hi"}, folder(b"./", 0), file()),
    "nul-in-pax-path": refused(NOT_READ, pax(path=b"opt/a\0b"), file(b"x")),
    "nul-in-pax-link": refused(NOT_READ, pax(linkpath=b"/etc\0x"), link(b"opt/l", b"y")),
    "gnu-longname-1M": refused("has a header of 1048580 bytes", header(b"long", b"L", b"4000004") + bytes(1048580 + 508)),
    "gnu-longname-size-huge": refused("has a header of 9223372036854775807 bytes", header(b"long", b"L", BEYOND)),
}  # fmt: skip

LINKS = {
    "hardlink-abs": refused(NO_TARGET.format("etc/passwd"), link(b"opt/h", b"/etc/passwd", b"1")),
    "hardlink-out": refused(LEAVES, link(b"opt/h", b"../../../etc/passwd", b"1")),
    "hardlink-lower": Case(
        (LOWER, layer(link(b"opt/h", b"opt/a", b"1"))), refused=NO_TARGET.format("opt/a")
    ),
    "hardlink-to-symlink": accepted(
        {"opt/s": "symlink /etc/passwd", "opt/h": "symlink /etc/passwd"},
        link(b"opt/s", b"/etc/passwd"), link(b"opt/h", b"opt/s", b"1"),
    ),
    "hardlink-to-replaced": accepted(
        {"opt/a": "file 644 two", "opt/h": "file 644 one"},
        file(data=b"one"), link(b"opt/h", b"opt/a", b"1"), file(data=b"two"), docker=False,
    ),
    "pax-linkpath-hard-dotdot": refused(LEAVES, pax(linkpath=b"../../etc/passwd"), link(b"opt/h", b"y", b"1")),
    "empty-link": refused(NO_FILE_SYSTEM, link(b"opt/l", b"")),
    "link-5000": refused(NO_FILE_SYSTEM, pax(linkpath=b"z" * 5000), link(b"opt/l", b"y")),
    "symlink-loop": accepted({"opt/a": "symlink b", "opt/b": "symlink a"}, link(b"opt/a", b"b"), link(b"opt/b", b"a")),
    "symlink-then-below": refused("has a member below a symlink", link(b"opt/d", b"/tmp"), file(b"opt/d/pwn")),
    "symlink-two-layers": Case(
        (layer(folder(), link(b"opt/d", b"/tmp")), layer(folder(), folder(b"opt/d/"), file(b"opt/d/pwn"))),
        tree={"opt": FOLDER, "opt/d": FOLDER, "opt/d/pwn": "file 644 hi"}, docker=True,
    ),
    "symlink-swap-back": Case(
        (
            layer(folder(), folder(b"opt/d/"), file(b"opt/d/f")),
            layer(link(b"opt/d", b"/tmp")),
            layer(folder(), folder(b"opt/d/"), file(b"opt/d/g")),
        ),
        tree={"opt": FOLDER, "opt/d": FOLDER, "opt/d/g": "file 644 hi"}, docker=True,
    ),
}  # fmt: skip

MODES = {
    "setuid": accepted({"opt/su": "file 755 hi"}, file(b"opt/su", at_100=b"0006755\0")),
    "setuid-dir-sticky": accepted({"opt/t": "folder 1777"}, folder(b"opt/t/", 0o7777)),
    "mode-huge": accepted({"opt/a": "file 1777 hi"}, file(at_100=b"\x80\0\0\0\x7f\xff\xff\xff")),
    "opt-mode-0": Case(
        (layer(folder(mode=0), file(at_100=b"0000000\0")),), tree={"opt": "folder 0", "opt/a": "file 0 hi"}, docker=True
    ),
    "devices": accepted(
        {"opt/fifo": "fifo 644"}, header(b"opt/null", b"3"), header(b"opt/sda", b"4"), header(b"opt/fifo", b"6"),
        left_out=("/opt/null", "/opt/sda"),
    ),
    "device-esc-name": accepted(
        {}, header(b"opt/\x1b]0;PWNED\x07\x1b[31mred\nline2", b"3"),
        left_out=("/opt/\\x1b]0;PWNED\\x07\\x1b[31mred\\nline2",),
    ),
    "uid-huge": refused("belongs to 549755813887:0, which no file system keeps", file(at_108=b"\x80\0\0\x7f" + b"\xff" * 4), docker=True),
    "pax-uid-5000digits": refused("has uid=9+... in a PAX header", pax(uid=HUGE), file()),
}  # fmt: skip

TIMES = {
    "b256-mtime-max": refused("a number of more than 63 bits", file(at_136=b"\x80" + b"\xff" * 11)),
    "b256-mtime-neg": accepted({"opt/a": "file 644 hi at 0"}, file(at_136=b"\xff" * 12)),
    "pax-mtime-9.3e9": accepted({"opt/a": "file 644 hi at 0"}, pax(mtime=b"9300000000"), file()),
    "pax-mtime-1e15": accepted({"opt/a": "file 644 hi at 0"}, pax(mtime=b"1" + b"0" * 15), file()),
    "pax-mtime-1e30": refused("has mtime=10+ in a PAX header", pax(mtime=b"1" + b"0" * 30), file()),
    "pax-mtime-5000digits": refused("has mtime=9+... in a PAX header", pax(mtime=HUGE), file()),
}  # fmt: skip

NUMBERS = {
    "neg-size": refused("says that opt/a has -1 bytes", header(b"opt/a", size=b"\xff" * 12) + padded(b"hi")),
    "size-8EB": refused("takes 9223372036.9 GB and .* free some", header(b"opt/a", size=BEYOND) + padded(b"hi")),
    "octal-0o": refused("with the number 0o", header(b"opt/a", size=b"0o000000002\0") + padded(b"hi")),
    "octal-minus": refused("with the number -0", header(b"opt/a", size=b"-0000000002\0") + padded(b"hi")),
    "octal-underscore": refused("with the number 0000000_002", header(b"opt/a", size=b"0000000_002\0") + padded(b"hi")),
    "octal-unicode": refused("more than 63 bits", header(b"opt/a", size="١0".encode().ljust(12)) + padded(b"hi")),
    "pax-size-5000digits": refused("has size=9+... in a PAX header", pax(size=HUGE), file()),
    "pax-len-5000digits": refused(NOT_READ, special(HUGE + b" path=x\n"), file()),
    "pax-no-newline": refused(NOT_READ, special(b"12 path=opt/b"), file()),
    "pax-global": accepted({"opt/a": "file 644 hi"}, special(b"14 path=opt/g\n", b"g"), file()),
    "bigjump": accepted({"opt/b": "file 644 hi"}, header(b"opt/a", b"3", b"77777777777"), file(b"opt/b"), left_out=("/opt/a",)),
    "bad-checksum": refused("has a damaged header", file().replace(b"opt/a", b"opt/b", 1)),
}  # fmt: skip


def old_sparse(size: int) -> bytes:
    """GNU's type S: two bytes stored, and holes up to a size."""
    base256 = b"\x80" + size.to_bytes(11, "big")
    pieces = b"\x80".ljust(12, b"\0") + b"\x80" + (2).to_bytes(11, "big")
    return header(b"opt/s", b"S", b"2", at_257=b"ustar  \0", at_386=pieces, at_483=base256) + padded(b"hi")


OUT_OF_PROPORTION = "unpacks to more than 250 times its size"
ONE_0 = {"GNU_sparse_major": b"1", "GNU_sparse_minor": b"0", "GNU_sparse_realsize": b"10"}
SPARSE = {
    "old-sparse": accepted({"opt/s": "file 644 hi" + "\0" * 8}, old_sparse(10), docker=False),  # which knows no type S
    "pax-sparse10": accepted({"opt/s": "file 644 hi" + "\0" * 8}, pax(**ONE_0), file(b"opt/s", padded(b"1\n0\n2\n") + b"hi")),
    "old-sparse-40GB": refused(OUT_OF_PROPORTION, old_sparse(40 << 30)),
    "old-sparse-8EB": refused(OUT_OF_PROPORTION, old_sparse((1 << 63) - 1)),
    "old-sparse-no-end": refused(
        "ends in the middle of a header", header(b"opt/s", b"S", b"2", at_257=b"ustar  \0", at_482=b"\1"), end=b""
    ),
    "pax-sparse-map-5000digits": refused(
        "has a sparse map=9+... in a PAX header",
        pax(GNU_sparse_major=b"0", GNU_sparse_minor=b"1", GNU_sparse_size=b"10", GNU_sparse_numblocks=b"1", GNU_sparse_map=b"0," + HUGE),
        file(b"opt/s", b"h"),
    ),
    "pax-sparse10-cnt-5000digits": refused("whose map does not end", pax(**ONE_0), file(b"opt/s", HUGE + b"\n")),
    "pax-sparse10-many": refused("whose map does not end", pax(**ONE_0), file(b"opt/s", b"999999999\n".ljust(1024, b"1"))),
    "pax-sparse10-negative-count": refused("has a length below 0", pax(**ONE_0), file(b"opt/s", padded(b"-5\n"))),
    "pax-sparse10-negative": refused("whose pieces overlap", pax(**ONE_0), file(b"opt/s", padded(b"1\n-1\n1\n"))),
    "pax-sparse10-ends": refused("ends in the middle of a header", pax(**ONE_0), header(b"opt/s", size=b"10000"), end=b""),
    "pax-sparse10-neg": accepted(  # without a minor version no reader takes it for sparse
        {"opt/s": "file 644 1\n-1\n1\n"}, pax(GNU_sparse_major=b"1", GNU_sparse_realsize=b"10"), file(b"opt/s", b"1\n-1\n1\n"),
    ),
}  # fmt: skip

ENDS = {
    "no-end": Case((layer(folder(), file(), end=b""),), tree={"opt": FOLDER, "opt/a": "file 644 hi"}, docker=True),
    "truncated": refused("ends in the middle of a member", header(b"opt/a", size=b"11610"), end=b"x" * 2488),
    "trunc-header": Case((folder()[:400],), refused="ends in the middle of a header"),
    "trailing-garbage": Case(
        (layer(folder(), file(), end=END + b"G" * 5000),), tree={"opt": FOLDER, "opt/a": "file 644 hi"}, docker=True
    ),
    "one-zero-block-then-more": refused("has members after its end", bytes(512), file(b"opt/hidden")),
}  # fmt: skip

LAST = {
    "dup-100": accepted({"opt/a": "file 644 99"}, *(file(data=b"%d" % n) for n in range(100)), docker=False),
    "dup-dir-to-file": accepted(
        {"opt/a": "file 644 file"}, folder(b"opt/a/"), file(b"opt/a/b"), file(data=b"file"), docker=False
    ),
    "dup-file-to-dir": accepted(
        {"opt/a": FOLDER, "opt/a/b": "file 644 hi"}, file(), folder(b"opt/a/"), file(b"opt/a/b"), docker=False
    ),
    "file-then-wh-same-layer": above({"opt": FOLDER, "opt/a": "file 644 hi"}, file(), file(b"opt/.wh.a", b""), docker=False),
    "wh-then-file-same-layer": above({"opt": FOLDER, "opt/a": "file 644 hi"}, folder(), file(b"opt/.wh.a", b""), file()),
    "opaque-last": above({"opt": FOLDER, "opt/new": "file 644 n"}, folder(), file(b"opt/new", b"n"), file(b"opt/.wh..wh..opq", b"")),
    "whiteout-is-dir": above({"opt": FOLDER}, folder(), folder(b"opt/.wh.a/")),
    "whiteout-is-hardlink": above(
        {"opt": FOLDER, "opt/b": "file 644 hi"}, folder(), file(b"opt/b"), link(b"opt/.wh.a", b"opt/b", b"1")
    ),
    "whiteout-parent": above({}, file(b".wh.opt", b"")),
    "whiteout-root-opq": above({"opt": FOLDER, "opt/a": "file 644 hello"}, file(b".wh..wh..opq", b"")),
    **{
        f"whiteout-{name}": Case((LOWER, layer(file(b"opt/.wh." + dots, b""))), refused="has a whiteout of no name")
        for name, dots in (("empty", b""), ("dot", b"."), ("dotdot", b".."))
    },
}  # fmt: skip

CASES = {**NAMES, **LINKS, **MODES, **TIMES, **NUMBERS, **SPARSE, **ENDS, **LAST}
