"""What is left on the disk: the folder, its inventory, nothing else; and what the user is told."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading

import pytest
import sh

from ngc import engine as engines
from ngc import registry as registries
from ngc.errors import Failed, Wrong
from ngc.extract import placing, reading, run
from ngc.extract.asking import Request

from ..conftest import require
from ..images.programs import TRANSFER
from .extracting import Extraction, Image, folder, hard_link, member, snapshot, symlink, tar
from .fronting import Front, push, serving
from .test_verbs import invoke  # noqa: F401  # a fixture

STAND_IN = "dynamo-stand-in-vllm:0.6.1"
PARTS = """
extract:
  tools:
    paths: [$TOOLS, /opt/elsewhere]
    version: {file: "*/tools.pc", pattern: "^Version: (.+)$"}
  wheels:
    paths: [/opt/wheels]
    version: {pattern: "/thing-([^-]+)-"}
  frozen: absent
"""


@pytest.fixture
def extract(tree, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("alpha", "beta"):
        with (tree.builds / name / "image.yaml").open("a") as file:
            file.write(PARTS)
    return Extraction(tree, tmp_path / "out")


@pytest.fixture(autouse=True)
def no_connections_left():
    yield
    registries._pool().clear()


@pytest.fixture
def layout(tmp_path):
    layer = tar(
        folder("opt"), folder("opt/tools", uid=7, gid=8), member("opt/tools/tools.pc", b"Name: x\nVersion: 1.2.3\n", uid=7, gid=8),
        hard_link("opt/tools/same", "opt/tools/tools.pc", uid=7, gid=8), symlink("opt/tools/way", "tools.pc"), folder("opt/wheels"),
        member("opt/wheels/thing-4.5-py3-none-any.whl", b"wheel"), folder("data"), member("data/x", b"x"),
    )  # fmt: skip
    return Image([layer], environment=["TOOLS=/opt/tools"]).layout(tmp_path / "image")


def go(extract, layout, *components, plan=False, as_json=False, **more):
    request = Request("alpha", components, str(layout), out=str(extract.out), **more)
    return run.extract(extract.tree.read(), request, plan, as_json)


def left_over(extract):
    return [path.name for path in extract.out.parent.iterdir() if path.name.startswith(".out.extract-")]


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
    go(extract, layout, "wheels", plan=True, as_json=True)
    plan = json.loads(capsys.readouterr().out.partition("{")[2].join(["{", ""]))
    assert [layer["why"] for layer in plan["layers"]] == ["to its end: wanted files have no known sha256"]


def test_json_is_an_event_a_line(extract, layout, capsys):
    go(extract, layout, as_json=True)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [event["event"] for event in events] == ["start", "read", "end", "done"][:1] + [
        e["event"] for e in events[1:-2]
    ] + ["end", "done"]
    assert events[-2]["files"] == 2
    assert events[-1]["components"]["tools"]["version"] == "1.2.3"
    go(extract, layout, as_json=True)
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
    request = Request("alpha", (), None, out=str(extract.out))
    assert run.check(extract.tree.read(), request, False)
    damage(extract.out)
    assert not run.check(extract.tree.read(), request, False)
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


@pytest.mark.parametrize(
    ("components", "more", "kind", "said"),
    [
        (["tool"], {}, Wrong, "unknown component 'tool'; choose from: frozen, tools, wheels, or an absolute path"),
        (["frozen"], {}, Wrong, "has no frozen, says image.yaml; choose from: tools, wheels"),
        (["/a/../b"], {}, Wrong, "write an absolute path without '..'"),
        (
            ["/nowhere", "$UNSET/x"],
            {},
            Failed,
            r"has no /nowhere and no \$UNSET/x, looked for /nowhere: /nowhere; \$UNSET/x: \$UNSET/x",
        ),
        ([], {"platform": "linux/arm64"}, Wrong, "is linux/amd64, not linux/arm64; add --platform=linux/amd64"),
        ([], {"platform": "plan9"}, Wrong, "unknown platform 'plan9'; choose from: linux/amd64, linux/arm64"),
        ([], {"base": "stand-in"}, Wrong, "--image and --base both name the image"),
    ],
)
def test_wrong_asking_is_one_sentence(extract, layout, components, more, kind, said):
    with pytest.raises(kind, match=said) as raised:
        go(extract, layout, *components, **more)
    assert "\n" not in str(raised.value)
    assert not extract.out.exists()


def test_what_is_in_the_way_stays(extract, layout):
    extract.out.mkdir()
    (extract.out / "mine").write_text("mine")
    with pytest.raises(Failed, match="is in the way and was not made by extract-from-ngc"):
        go(extract, layout)
    assert (extract.out / "mine").read_text() == "mine"
    (extract.out / "mine").unlink()
    go(extract, layout)
    assert (extract.out / "inventory.json").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_disk_that_is_full_leaves_the_old_result(extract, layout, monkeypatch, number):
    go(extract, layout, "wheels")
    before = snapshot(extract.out)

    def full(*_):
        raise OSError(number, os.strerror(number), "somewhere")

    monkeypatch.setattr(placing, "place", full)
    with pytest.raises(
        Failed, match=r"is full; free some, or choose another --out|Permission denied; choose another --out"
    ):
        go(extract, layout, "tools")
    assert snapshot(extract.out) == before
    assert left_over(extract) == []


def test_a_file_larger_than_the_free_disk_is_not_begun(extract, tmp_path, monkeypatch):
    monkeypatch.setattr(reading.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    layout = Image([tar(folder("data"), member("data/x", bytes(1 << 21)))]).layout(tmp_path / "image")
    with pytest.raises(Failed, match=r"data/x takes 0\.0 GB and .* has 0\.0 GB free; free some"):
        extract(layout)


def test_an_image_that_is_no_image_is_one_sentence(extract, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(Wrong, match=r"is neither an OCI layout nor a `docker save` archive"):
        extract(tmp_path / "empty")
    with pytest.raises(Wrong, match=r"is not there; name an OCI layout"):
        extract("./missing.tar")
    (tmp_path / "packed.tar").write_bytes(b"\x1f\x8b")
    with pytest.raises(Wrong, match=r"is compressed; unpack it first"):
        extract(tmp_path / "packed.tar")


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_leaves_nothing_or_what_the_next_run_removes(
    extract, registry, unique, tmp_path, root, wait_for, signal_number
):
    image = Image(
        [
            tar(folder("data"), member("data/x", os.urandom(3_000_000))),
            tar(folder("data"), member("data/y", os.urandom(3_000_000))),
        ]
    )
    name = push(registry, unique, "1", image)
    with serving(Front(registry, hold=threading.Event())) as front:
        at = f"{front.host}/{name.partition('/')[2]}"
        words = ["extract-from-ngc", f"--image={at}", "--component=/data", f"--out={extract.out}"]
        child = subprocess.Popen(
            [sys.executable, "-m", "invoke", "--search-root", str(root), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )  # fmt: skip
        try:
            wait_for(lambda: len(front.blobs) >= 3, "at work on both layers")
            os.kill(child.pid, signal_number)
            _, err = child.communicate(timeout=30)
        finally:
            child.kill()
        front.hold.set()
        assert child.returncode == (130 if signal_number == signal.SIGINT else -signal.SIGKILL)
        assert not extract.out.exists()
        if signal_number == signal.SIGINT:
            assert err == "interrupted\n"
            assert left_over(extract) == []
        front.hold = None
        extract(at)
    assert left_over(extract) == []
    assert (extract.out / "data/x").stat().st_size == 3_000_000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "whose components? add --framework (choose from: trtllm, vllm)"),
        (["--framework=vlm"], "unknown framework 'vlm'; choose from: trtllm, vllm"),
        (
            ["--framework=vllm", "--component=ucxx"],
            "unknown component 'ucxx'; choose from: dynamo-wheels, etcd, licences, nats, nixl",
        ),
        (["--framework=trtllm", "--component=ucx"], "has no ucx, says image.yaml; choose from: "),
        (["--framework=vllm", "--mirror=https://x"], "--mirror is 'https://x'; write host[:port][/path]"),
        (["--image=a/b:1", "--component=/x"], "without --framework there is no folder to extract to; add --out=FOLDER"),
        (["--framework=vllm", "--check", "--out=/nowhere"], "/nowhere has no inventory.json of an extraction"),
    ],
)
def test_the_verb_says_what_is_wrong_with_exit_code_2(invoke, words, said):  # noqa: F811
    code, out, err = invoke("extract-from-ngc", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")
    assert said in err


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
    run.extract(
        catalog.read(root), Request("vllm", ["ucx", "nixl"], base="stand-in", out=str(tmp_path / "out")), False, False
    )
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
