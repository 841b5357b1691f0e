"""Layers: tars of every form are read as by the standard library, damaged ones end in a sentence, trees are laid as a model says."""

import gzip
import io
import json
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ngc import manifests
from ngc.errors import Failed, Wrong
from ngc.extract import inflate, overlay
from ngc.extract.index import Member
from ngc.extract.layers import FILE, FOLDER, HARD_LINK, SYMLINK, Entry, content, members
from ngc.extract.tape import Tape

NAMES = st.lists(st.text("abcé.-", min_size=1, max_size=30).filter(lambda t: t.strip(".")), min_size=1, max_size=6)
FORMATS = st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
KINDS = {tarfile.REGTYPE: FILE, tarfile.DIRTYPE: FOLDER, tarfile.SYMTYPE: SYMLINK, tarfile.LNKTYPE: HARD_LINK}


@st.composite
def infos(draw):
    info = tarfile.TarInfo("/".join(draw(NAMES)))
    info.type = draw(st.sampled_from(list(KINDS)))
    data = draw(st.binary(max_size=1500)) if info.type == tarfile.REGTYPE else b""
    info.size, info.mode = len(data), draw(st.integers(0, 0o7777))
    info.uid, info.gid = draw(st.integers(0, 2**31)), draw(st.integers(0, 2**21 - 1))
    info.mtime = draw(st.integers(0, 2**33 - 1) | st.floats(0, 2**33, allow_nan=False).map(lambda f: round(f, 3)))
    if info.type in (tarfile.SYMTYPE, tarfile.LNKTYPE):
        info.linkname = "/".join(draw(NAMES))
    return info, data


def packed(made, format) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=format) as tar:
        for info, body in made:
            tar.addfile(info, io.BytesIO(body))
    return data.getvalue()


def tape(data: bytes, step: int = 1000) -> Tape:
    return Tape(iter([data[at : at + step] for at in range(0, len(data), step)]), "a layer")


def taken(reader: Tape, entry: Entry) -> bytes:
    pieces: list[bytes] = []
    content(reader, entry, lambda piece: pieces.append(bytes(piece)), lambda length: pieces.append(bytes(length)))
    return b"".join(pieces)


@given(st.lists(infos(), max_size=5), FORMATS, st.integers(1, 2000))
def test_members_are_those_of_the_standard_library(made, format, step):
    try:
        data = packed(made, format)
    except ValueError:  # ustar and GNU do not hold every number and name
        return
    reader = tape(data, step)
    found = [(entry, taken(reader, entry) if entry.kind == FILE else b"") for entry in members(reader)]
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        expected = tar.getmembers()
    assert len(found) == len(expected)
    for (entry, body), info, (_, sent) in zip(found, expected, made, strict=True):
        assert entry.name.decode() == info.name.strip("/")
        assert (entry.kind, entry.mode, entry.uid, entry.gid) == (KINDS[info.type], info.mode, info.uid, info.gid)
        assert entry.mtime // 10**9 == int(info.mtime)
        if entry.kind == FILE:
            assert body == sent
        if entry.kind in (SYMLINK, HARD_LINK):
            assert entry.link.decode() == info.linkname


def spoilt(data: bytes, changes) -> bytes:
    made = bytearray(data)
    for place, value, sum_up in changes:
        at = place % len(made)
        made[at] = value
        if sum_up and (start := at - at % 512) + 512 <= len(made):  # a header whose checksum is right again
            made[start + 148 : start + 156] = b"        "
            made[start + 148 : start + 156] = b"%06o\0 " % sum(made[start : start + 512])
    return bytes(made)


CHANGES = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255), st.booleans()), max_size=6)


@given(st.lists(infos(), min_size=1, max_size=3), FORMATS, CHANGES, st.integers(0, 4000))
def test_a_damaged_tar_ends_in_a_sentence_or_in_members(made, format, changes, cut):
    try:
        data = spoilt(packed(made, format), changes)[: cut if cut % 3 else None]
    except ValueError:
        return
    reader = tape(data)
    try:
        for entry in members(reader):
            assert b".." not in entry.name.split(b"/")
            assert not entry.name.startswith(b"/")
            assert b"\0" not in entry.name
            if entry.kind == FILE and entry.size < 1 << 20:
                assert len(taken(reader, entry)) == entry.size
    except Failed as error:
        assert "\n" not in str(error)


@given(st.binary(max_size=300), CHANGES, st.integers(0, 400))
def test_a_damaged_blob_ends_in_a_sentence(body, changes, cut):
    data = spoilt(gzip.compress(body, mtime=0), changes)[:cut]
    given = iter([data])
    try:
        b"".join(inflate.chunks(inflate.Packed(lambda _: next(given, b""), "a blob")))
    except Failed as error:
        assert "\n" not in str(error)


# A layer for the model: names of depth three, whiteouts among them.
STEPS = st.lists(
    st.tuples(
        st.lists(st.sampled_from("ab"), min_size=1, max_size=3),
        st.sampled_from(["file", "folder", "hide", "opaque"]),
    ),
    max_size=6,
)


def laid(layers) -> dict[str, str]:
    """The model: names with kinds. A layer acts on those before it first by its whiteouts, then by its members."""
    tree: dict[str, str] = {}
    for steps in layers:
        for parts, what in steps:
            name = "/".join(parts)
            if what == "hide":
                tree = {n: k for n, k in tree.items() if n != name and not n.startswith(name + "/")}
            elif what == "opaque":
                tree = {n: k for n, k in tree.items() if not n.startswith(name + "/")}
        for parts, what in steps:
            name = "/".join(parts)
            for count in range(1, len(parts)):
                above = "/".join(parts[:count])
                if tree.get(above) == "file":
                    del tree[above]
                tree[above] = "folder"
            if what == "opaque":
                if tree.get(name) == "file":
                    del tree[name]
                tree[name] = "folder"
            elif what == "file":
                tree = {n: k for n, k in tree.items() if not n.startswith(name + "/")} | {name: "file"}
            elif what == "folder":
                tree[name] = "folder"
    return tree


def honest(steps):
    """A layer as real ones are: each name once, nothing below a file or a whiteout of the same layer."""
    seen: dict[str, str] = {}
    for parts, what in steps:
        name = "/".join(parts)
        above = ["/".join(parts[:count]) for count in range(1, len(parts))]
        below = [n for n in seen if n.startswith(name + "/")]
        if name in seen or any(seen.get(a) in ("file", "hide") for a in above) or (below and what in ("file", "hide")):
            continue
        seen[name] = what
    return [(name.split("/"), what) for name, what in seen.items()]


def tree(level: int, steps) -> overlay.Node:
    made = []
    for number, (parts, what) in enumerate(steps):
        name = "/".join(parts)
        if what == "hide":
            name = "/".join([*parts[:-1], ".wh." + parts[-1]])
        elif what == "opaque":
            name += "/.wh..wh..opq"
        kind = FOLDER if what == "folder" else FILE
        made.append(Member(Entry(name.encode(), kind, 0o644, 0, 0, 0, 0, number, b""), b""))
    return overlay.tree_of(level, made, "a layer", {})


def flat(node: overlay.Node, at: str = "") -> dict[str, str]:
    found = {}
    for name, below in node.children.items():
        full = f"{at}/{name.decode()}".lstrip("/")
        found[full] = "folder" if below.kind == FOLDER else "file"
        found |= flat(below, full)
    return found


@given(st.lists(STEPS.map(honest), max_size=4))
def test_layers_are_laid_on_each_other_as_the_model_says(layers):
    made = overlay.merged(tree(level, steps) for level, steps in enumerate(layers))
    assert flat(made) == laid(layers)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["config", "layers", "manifests", "digest", "size", "mediaType", "platform", "os", "rootfs", "diff_ids", "Env", "history"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize("kind", [manifests.Manifest, manifests.Config])
@given(data=JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60))
def test_any_json_is_a_manifest_or_a_sentence(kind, data):
    try:
        read = manifests.decode(data, kind, "it", "try again")
        if isinstance(read, manifests.Manifest):
            manifests.choose("image", read, "linux/amd64", "or not") if read.manifests else manifests.parts(
                read, "image"
            )
    except (Failed, Wrong) as error:
        assert str(error)
