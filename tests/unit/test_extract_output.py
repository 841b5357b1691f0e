"""What is on the disk afterwards: the folder and its inventory; and what the user is told."""

import json
import os

import pytest
import sh

from ngc import engine as engines
from ngc.asked.images import Extract
from ngc.extract import run

from ..conftest import require
from ..images.programs import TRANSFER
from .fetching import extract_fixture, go, layout_fixture, no_connections_left  # noqa: F401  # fixtures

STAND_IN = "dynamo-stand-in-vllm:0.6.1"


def test_all_that_image_yaml_names_is_taken_and_counted(extract, layout, capsys):
    assert go(extract, layout)
    assert (extract.out / "opt/tools/same").read_text().startswith("Name")
    out = capsys.readouterr().out
    assert "tools   1.2.3              3 files       23 B  /opt/tools" in out
    assert "wheels  4.5                1 files        5 B  /opt/wheels" in out


def test_the_inventory_says_what_there_is(extract, layout):
    go(extract, layout, "tools")
    made = json.loads((extract.out / "inventory.json").read_text())
    assert made["components"] == {"tools": {"paths": ["/opt/tools"], "files": 3, "bytes": 23, "version": "1.2.3"}}
    assert made["digest"].startswith("sha256:")
    assert (made["platform"], made["owners"]) == ("linux/amd64", False)
    entry = made["entries"]["opt/tools/tools.pc"]
    assert (entry["uid"], entry["size"], entry["mode"], entry["same_as"]) == (7, 23, "0644", "opt/tools/same")
    assert entry["sha256"] == made["entries"]["opt/tools/same"]["sha256"]


def test_the_plan_says_what_will_be_read_and_does_nothing(extract, layout, capsys):
    go(extract, layout, plan=True)
    out = capsys.readouterr().out
    assert "take  tools: /opt/tools /opt/elsewhere" in out
    assert "to its end: what it holds is not known" in out
    assert not extract.out.exists()
    go(extract, layout, "tools")
    go(extract, layout, "wheels", plan=True, json=True)
    plan = json.loads(capsys.readouterr().out.partition("{")[2].join(["{", ""]))
    assert [layer["why"] for layer in plan["layers"]] == ["to its end: wanted files have no known sha256"]


def test_json_is_an_event_a_line(extract, layout, capsys):
    go(extract, layout, json=True)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["start", "read", "end", "done"][:1] + [
        e["event"] for e in events[1:-2]
    ] + ["end", "done"]
    assert events[-2]["files"] == 2
    assert events[-1]["components"]["tools"]["version"] == "1.2.3"
    go(extract, layout, json=True)
    assert [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()] == ["unchanged"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda out: (out / "opt/tools/tools.pc").write_text("Name: x\nVersion: 1.2.4\n"), "was changed"),
        (
            lambda out: (out / "opt/wheels/thing-4.5-py3-none-any.whl").unlink(),
            "/opt/wheels/thing-4.5-py3-none-any.whl is missing",
        ),
        (lambda out: (out / "opt/new").touch(), "/opt/new was added"),
        (lambda out: (out / "opt/tools/tools.pc").chmod(0o600), "has mode 0600, not 0644"),
        (lambda out: ((out / "opt/tools/way").unlink(), (out / "opt/tools/way").symlink_to("other")), "opt/tools/way"),
        (lambda out: replace_same(out / "opt/tools/tools.pc"), "is no longer the same file as /opt/tools/same"),
        (lambda out: same_size(out / "opt/tools/tools.pc"), "has another content"),
    ],
)
def test_check_says_what_differs(extract, layout, capsys, damage, said):
    go(extract, layout)
    asked = Extract("alpha", out=str(extract.out))
    assert run.check(extract.tree.read(), asked)
    damage(extract.out)
    assert not run.check(extract.tree.read(), asked)
    assert said in capsys.readouterr().out


def replace_same(path):
    state, data = path.stat(), path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    os.utime(path, ns=(state.st_mtime_ns, state.st_mtime_ns))


def same_size(path):
    state = path.stat()
    path.write_bytes(path.read_bytes().replace(b"1.2.3", b"9.9.9"))
    os.utime(path, ns=(state.st_mtime_ns, state.st_mtime_ns))


def test_owners_are_given_where_root_asks_for_it(extract, layout):
    require("root", None if os.geteuid() == 0 else "only root may give files away")
    go(extract, layout, "tools")
    assert (extract.out / "opt/tools/tools.pc").stat().st_uid == 0
    go(extract, layout, "tools", owners=True)
    assert [
        (s.st_uid, s.st_gid) for name in ("tools", "tools/same") for s in [(extract.out / "opt" / name).stat()]
    ] == [(7, 8)] * 2


def test_the_script_takes_the_framework_first_then_components_then_options(root, tmp_path):
    script = (root / "ngc-builds/common/extract-from-ngc.sh").read_text()
    folder = tmp_path / "ngc-builds" / "common"
    folder.mkdir(parents=True)
    (tmp_path / "scripts").mkdir()
    (folder / "extract-from-ngc.sh").write_text(script)
    (tmp_path / "scripts" / "venv.sh").write_text('make_venv() { :; }\ninvoke_verb() { printf "%s\\n" "$@"; }\n')
    said = sh.Command("bash")(str(folder / "extract-from-ngc.sh"), "vllm", "ucx", "/opt/x", "--out", "there").split()
    expected = ["--framework", "vllm", "--component", "ucx", "--component", "/opt/x", "--out", "there"]
    assert said == ["extract-from-ngc", *expected]


def test_extracted_ucx_and_nixl_are_a_build_context_and_nixl_moves_bytes_in_what_is_built(
    engine, root, tmp_path, unique, monkeypatch
):
    """The image has neither UCX nor NIXL but what is copied from the extracted folder."""
    from ngc import catalog

    require("docker", None if engines.images(engine, [STAND_IN]) else f"{STAND_IN} is not built here")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run.extract(catalog.read(root), Extract("vllm", ["ucx", "nixl"], base="stand-in", out=str(tmp_path / "out")))
    (tmp_path / "Dockerfile").write_text(
        f"FROM {STAND_IN}\nRUN rm -rf /usr/local/ucx /opt/nvidia/nvda_nixl\n"
        "COPY usr/local/ucx /usr/local/ucx\nCOPY opt/nvidia/nvda_nixl /opt/nvidia/nvda_nixl\n"
    )
    docker = sh.Command(engine.client).bake(_env=engine.environment, _tty_out=False)
    try:
        docker("build", "--tag", unique, "--file", str(tmp_path / "Dockerfile"), str(tmp_path / "out"))
        said = docker("run", "--rm", "--entrypoint", "python3", unique, "-c", TRANSFER)
    finally:
        engines.ask(engine, "image", "rm", "--force", unique, fails=False)
    assert str(said).splitlines()[-1] == "DONE equal"
