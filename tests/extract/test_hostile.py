"""Each hostile layer has the outcome that its table says, within seconds, and nothing appears beside the output folder."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ngc import engine as engines
from ngc.errors import Failed

from ..unit.extracting import TIME, Image
from .hostile import CASES

pytestmark = pytest.mark.timeout(5)
COMPARED = (
    "b256-mtime-neg",
    "hardlink-to-symlink",
    "mode-huge",
    "pax-sparse10",
    "pax-sparse10-neg",
    "whiteout-root-opq",
)


def shown(folder: Path, mask: int = -1) -> dict[str, str]:
    """Everything below a folder but its inventory and devices, as the table writes it; `mask` of modes."""
    found = {}
    for here, folders, files in os.walk(folder):
        for path in (Path(here) / name for name in (*folders, *files)):
            name, state = str(path.relative_to(folder)), path.lstat()
            time = "" if int(state.st_mtime) == TIME else f" at {int(state.st_mtime)}"
            if stat.S_ISLNK(state.st_mode):
                found[name] = f"symlink {path.readlink()}{time}"
                continue
            if stat.S_ISCHR(state.st_mode) or stat.S_ISBLK(state.st_mode):
                continue
            kind = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFIFO: "fifo"}[stat.S_IFMT(state.st_mode)]
            content = f" {path.read_text()}" if kind == "file" else ""
            found[name] = f"{kind} {stat.S_IMODE(state.st_mode) & mask:o}{content}{time}"
    found.pop("inventory.json", None)
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_layer_is_refused_in_a_sentence_or_becomes_the_tree_of_the_table(extract, tmp_path, name):
    case = CASES[name]
    image = Image(list(case.layers)).layout(tmp_path / "image")
    if case.refused:
        with pytest.raises(Failed, match=case.refused) as raised:
            extract(image, "/")
        assert str(raised.value).isprintable()
        assert not extract.out.exists()
    else:
        made = extract(image, "/")
        assert shown(extract.out) == case.tree
        assert tuple(made.left_out) == case.left_out
        assert extract(image, "/") == made  # it is what was written down, setuid or not
        assert extract.read == []
    assert {path.name for path in extract.out.parent.iterdir()} <= {"out"}


@pytest.mark.engine
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", COMPARED)
def test_a_layer_that_docker_takes_too_has_the_same_tree_there(engine, tmp_path, unique, name):
    case = CASES[name]
    assert case.docker
    expected = {path: what for path, what in case.tree.items() if path.startswith("opt")}
    archive = Image(list(case.layers)).archive(tmp_path / "image.tar", f"{unique}:1")
    engines.ask(engine, "load", "--input", str(archive))
    container = (engines.ask(engine, "create", "--entrypoint", "/none", f"{unique}:1", "none") or "").split()[-1]
    try:
        (tmp_path / "docker").mkdir()
        engines.ask(engine, "cp", f"{container}:/opt", str(tmp_path / "docker"), fails="opt" in expected)
    finally:
        engines.ask(engine, "rm", "--volumes", container)
        engines.ask(engine, "image", "rm", f"{unique}:1")
    assert shown(tmp_path / "docker", ~0o6000) == expected
