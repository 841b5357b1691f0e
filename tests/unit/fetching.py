"""What tests extract from, layouts and a registry, in a tree whose frameworks have components."""

import base64
import json
import os

import pytest

from ngc import transport
from ngc.asked.images import Extract
from ngc.extract import run

from .extracting import Extraction, Image, folder, hard_link, member, symlink, tar
from .fronting import push

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


@pytest.fixture(autouse=True)
def no_connections_left():
    """Each test asks with a pool of its own: certificates are read when it is made."""
    yield
    transport.forget()


@pytest.fixture(name="extract")
def extract_fixture(tree, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    for name in ("alpha", "beta"):
        with (tree.builds / name / "image.yaml").open("a") as file:
            file.write(PARTS)
    return Extraction(tree, tmp_path / "out")


@pytest.fixture(name="image")
def image_fixture():
    """Three layers: the middle one has nothing wanted, the last one much after what is wanted."""
    noise = [os.urandom(50_000) for _ in range(20)]
    return Image([
        tar(folder("data"), *(member(f"data/{n}", part) for n, part in enumerate(noise))),
        tar(folder("other"), *(member(f"other/{n}", part) for n, part in enumerate(noise))),
        tar(member("data/0", b"new"), *(member(f"usr/{n}", part) for n, part in enumerate(noise))),
    ])  # fmt: skip


@pytest.fixture(name="pushed")
def pushed_fixture(registry, image, unique):
    return push(registry, unique, "1", image)


@pytest.fixture(name="layout")
def layout_fixture(tmp_path):
    layer = tar(
        folder("opt"), folder("opt/tools", uid=7, gid=8), member("opt/tools/tools.pc", b"Name: x\nVersion: 1.2.3\n", uid=7, gid=8),
        hard_link("opt/tools/same", "opt/tools/tools.pc", uid=7, gid=8), symlink("opt/tools/way", "tools.pc"), folder("opt/wheels"),
        member("opt/wheels/thing-4.5-py3-none-any.whl", b"wheel"), folder("data"), member("data/x", b"x"),
    )  # fmt: skip
    return Image([layer], environment=["TOOLS=/opt/tools"]).layout(tmp_path / "image")


def go(extract, layout, *components, **more):
    return run.extract(extract.tree.read(), Extract("alpha", components, str(layout), out=str(extract.out), **more))


def log_in(tmp_path, host, login):
    (tmp_path / "docker").mkdir(exist_ok=True)
    auth = base64.b64encode(login.encode()).decode()
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def at(front, pushed):
    return f"{front.host}/{pushed.partition('/')[2]}"
