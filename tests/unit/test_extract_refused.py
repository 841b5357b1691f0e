"""What is refused or fails is one sentence, and leaves on the disk what was there."""

import errno
import os
import signal
import subprocess
import sys
import threading

import pytest

from ngc.errors import Failed, Wrong
from ngc.extract import placing, reading

from .extracting import Image, folder, member, snapshot, tar
from .fetching import extract_fixture, go, layout_fixture, no_connections_left  # noqa: F401  # fixtures
from .fronting import Front, push, serving


def left_over(extract):
    return [path.name for path in extract.out.parent.iterdir() if path.name.startswith(".out.extract-")]


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
def test_the_verb_says_what_is_wrong_with_exit_code_2(invoke, words, said):
    code, out, err = invoke("extract-from-ngc", *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("error: ")
    assert said in err
