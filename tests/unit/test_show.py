"""What `show` says of an image: from the image alone."""

import io
import json
import sys
import tarfile

import pytest
import sh

from ngc import engine as engines
from ngc import show
from ngc.errors import Failed, Wrong

LAYER = {"etc/one": 10, "usr/lib/x/y/z/deep": 200, "usr/lib/x/y/other": 100}


def tar(files):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in files.items():
            content = bytes(content) if isinstance(content, int) else content
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def saved(layer_name, config_name):
    """What `save` writes for an image of one step with files between two without."""
    config = {"history": [{"empty_layer": True}, {"created_by": "COPY"}, {"empty_layer": True}]}
    manifest = [{"Config": config_name, "Layers": [layer_name]}]
    files = {
        layer_name: tar(LAYER),
        config_name: json.dumps(config).encode(),
        "manifest.json": json.dumps(manifest).encode(),
    }
    return io.BytesIO(tar(files))


@pytest.mark.parametrize(
    "names",
    [("abc/layer.tar", "def.json"), ("abc.tar", "def.json"), ("blobs/sha256/abc", "blobs/sha256/def")],
    ids=["docker", "podman", "oci"],
)
def test_what_a_layer_added_is_read_from_every_form_of_archive(names):
    assert show.folders_by_step(saved(*names)) == {1: {"/etc": 10, "/usr/lib/x/y": 300}}


@pytest.mark.engine
def test_layers_say_whose_they_are_and_what_they_added(builder):
    builder.build("dev")
    data = show.look(f"dynamo-alpha-dev:{builder.tag}", files=True)
    assert [(layer["of_base"], layer["added"]) for layer in data["layers"]] == [
        (True, {"/etc": 5}),
        (False, {"/etc": 8}),
        (False, {"/etc": 4}),
    ]
    assert data["base"]["name"] == builder.tree.base
    assert data["on_disk"] == sum(layer["size"] for layer in data["layers"])


@pytest.mark.engine
def test_an_image_without_a_shell_is_shown_as_far_as_it_goes(builder):
    builder.build("runtime")
    page = show.page(show.look(f"dynamo-alpha-runtime:{builder.tag}"))
    assert "could not look inside: " in page
    assert "## Layers" in page
    assert "## Components" not in page


@pytest.mark.engine
@pytest.mark.parametrize("answer", ["", "no JSON", '{"os": 1}', "[" * 100_000, "\\377\\033]0;PWN\\007", "null"])
def test_an_image_whose_python_lies_is_shown_as_far_as_it_goes(engine, invoke, unique, tmp_path, answer):
    assert invoke("build", "--framework=vllm", "--target=runtime", "--base=stand-in")[0] == 0
    (tmp_path / "python3").write_text(f"#!/bin/sh\ncat >/dev/null\nprintf '{answer}'\n")
    lines = ("FROM dynamo-stand-in-vllm:0.6.1", "ENV VIRTUAL_ENV=/lies", "COPY --chmod=0755 python3 /lies/bin/python3")
    (tmp_path / "Dockerfile").write_text("\n".join(lines))
    sh.Command(engine.client)("build", "--tag", unique, str(tmp_path), _env=engine.environment)
    try:
        code, out, _ = invoke("show", f"--image={unique}")
    finally:
        engines.ask(engine, "image", "rm", unique, fails=False)
    assert code == 0
    assert "system       could not look inside: its python3 answers otherwise than Python does" in out.splitlines()


@pytest.mark.engine
def test_an_image_that_is_not_here_is_one_sentence(engine):
    with pytest.raises(Failed, match="nowhere:1 is not here; `invoke list` shows what is built"):
        show.look("nowhere:1")


def test_the_probe_needs_nothing_but_python(root):
    said = sh.Command(sys.executable)("-I", "-S", "-", _in=(root / "scripts" / "ngc" / "probe.py").read_text())
    data = json.loads(str(said))
    assert {
        "os",
        "components",
        "python_packages",
        "system_packages",
        "nixl_plugins",
        "nixl_loads",
        "tools",
    } == data.keys()
    assert data["components"][0]["name"] == "python"
    assert data["tools"]["sh"]


@pytest.fixture
def page():
    """The page of an image with a UCX and one Python package of note."""

    def make():
        return show.page(
            {
                "image": "x:1", "id": "sha256:1", "digests": [], "platform": "linux/amd64", "created": "2026", "on_disk": 1_500_000,
                "base": {"name": None, "digest": None, "stand_in_for": None}, "user": "", "working_directory": "/", "entrypoint": [],
                "command": ["bash"], "environment": ["A=b"], "labels": {}, "probe": "done", "os": "Debian",
                "layers": [{"size": 1_500_000, "made_by": "COPY x /", "of_base": None, "added": {"/opt": 1_400_000}}],
                "components": [{"name": "ucx", "version": "1.19.0", "path": "/usr/local/ucx/lib/libucs.so.0"}],
                "python_packages": [{"name": "nixl", "version": "0.7.0", "path": "/venv"}, {"name": "small", "version": "1", "path": "/venv"}],
                "system_packages": ["bash=5"], "nixl_plugins": ["UCX"], "nixl_loads": None, "tools": {"sh": "/bin/sh", "jq": None},
            }
        )  # fmt: skip

    return make


def test_the_page_names_versions_and_where_they_were_loaded_from(page):
    text = page()
    assert "ucx   1.19.0          /usr/local/ucx/lib/libucs.so.0" in text
    assert "nixl  0.7.0           /venv" in text
    assert "2 Python packages, 1 of the system" in text
    assert "a NIXL agent loads: it does not start" in text
    assert "not there: jq" in text
    assert "   1.5 MB  ?     COPY x /" in text
    assert "base         not named" in text


def test_tools_that_are_absent_are_said_to_be_absent(page, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "SBOM: absent, none of syft, trivy is on PATH" in page()
    assert "vulnerabilities: absent, none of trivy, grype is on PATH" in page()
    for call in (lambda: show.bill_command("x:1", "a.spdx.json"), lambda: show.scan_command("x:1")):
        with pytest.raises(Failed, match="is on PATH; install one of them"):
            call()


def test_a_bill_of_materials_is_made_by_a_tool_that_is_there(monkeypatch, tmp_path):
    with pytest.raises(Wrong, match=r"ends in \.spdx\.json \(SPDX\) or \.cdx\.json"):
        show.bill_command("x:1", "bill.txt")
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "trivy").write_text("#!/bin/sh\n")
    (tmp_path / "trivy").chmod(0o755)
    assert show.bill_command("x:1", "b.cdx.json") == [
        "trivy",
        "image",
        "--format",
        "cyclonedx",
        "--output",
        "b.cdx.json",
        "x:1",
    ]
    assert show.scan_command("x:1") == ["trivy", "image", "--scanners", "vuln", "x:1"]
    (tmp_path / "syft").write_text("#!/bin/sh\n")
    (tmp_path / "syft").chmod(0o755)
    assert show.bill_command("x:1", "b.spdx.json") == ["syft", "scan", "x:1", "--output", "spdx-json=b.spdx.json"]
