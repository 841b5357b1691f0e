"""Extraction from registries: a real one, mirrors and proxies, lists of platforms, and a front that breaks and redirects."""

import json
import shutil

import pytest

from ngc import engine as engines
from ngc import proxies
from ngc.errors import Failed, Wrong
from ngc.extract import blobs

from ..conftest import require
from .extracting import DOCKER, Image, digest_of, folder, member, snapshot, tar
from .fetching import at, extract_fixture, image_fixture, log_in, no_connections_left, pushed_fixture  # noqa: F401  # fixtures
from .fronting import Front, push, push_manifest, serving

LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


def test_a_registry_gives_what_a_layout_gives(extract, pushed, image, tmp_path):
    extract(image.layout(tmp_path / "layout"))
    expected = snapshot(extract.out / "data")
    shutil.rmtree(extract.out)
    shutil.rmtree(tmp_path / "cache")
    extract(pushed)
    assert snapshot(extract.out / "data") == expected
    assert len(extract.read) == 3


def test_a_front_that_breaks_connections_and_sends_blobs_elsewhere(extract, registry, pushed, tmp_path):
    with (
        serving(Front(registry, cut=300_000)) as store,
        serving(Front(registry, login="me:word", elsewhere=store.host.replace("127.0.0.1", "localhost"))) as front,
    ):
        log_in(tmp_path, front.host, "me:word")
        extract(at(front, pushed))
        assert (extract.out / "data/0").read_text() == "new"
        assert {headers.get("authorization") for _, headers in store.asked} == {None}
        assert "bytes=300000-" in [headers.get("range") for _, headers in store.asked]


def test_a_server_without_ranges_is_read_again_from_the_start(extract, registry, pushed, monkeypatch):
    with serving(Front(registry, ranges=False, cut=300_000)) as front:
        first = at(front, pushed)

        def heal(download, *_):
            front.cut = None
            download.close()

        monkeypatch.setattr(blobs.Download, "_again", heal)
        extract(first)
    assert (extract.out / "data/0").read_text() == "new"


def test_transient_answers_are_tried_again_and_others_are_not(extract, registry, pushed):
    with serving(Front(registry, troubles=[503, 429, 500, 502, 503, 504])) as front:
        extract(at(front, pushed))
    assert (extract.out / "data/0").read_text() == "new"
    shutil.rmtree(extract.out)
    with serving(Front(registry, status=418)) as front:
        with pytest.raises(Failed, match=r"answered 418 for"):
            extract(at(front, pushed))
        assert len(front.asked) == 1


def test_a_connection_that_breaks_for_good_is_one_sentence(extract, registry, pushed, monkeypatch):
    monkeypatch.setattr(blobs, "TRIES", 2)
    with (
        serving(Front(registry, cut=0)) as front,
        pytest.raises(
            Failed, match=r"broke off sha256:\w+ at byte 0 of \d+, 2 times .*; check the network and run again"
        ),
    ):
        extract(at(front, pushed))
    assert not extract.out.exists()
    assert [path.name for path in extract.out.parent.iterdir() if path.name.startswith(".out")] == []


def test_a_list_of_platforms_and_dockers_media_types(extract, registry, unique):
    both = {}
    for architecture in ("amd64", "arm64"):
        image = Image([tar(folder("data"), member("data/x", architecture.encode()))], docker=True)
        push(registry, unique, architecture, image)
        both[architecture] = image.manifest
    entries = [
        {
            "mediaType": DOCKER[0],
            "size": len(data),
            "digest": digest_of(data),
            "platform": {"os": "linux", "architecture": name},
        }
        for name, data in both.items()
    ]

    def push_list(tag):
        whole = json.dumps({"schemaVersion": 2, "mediaType": LIST, "manifests": entries})
        push_manifest(registry, unique, tag, whole.encode(), LIST)

    push_list("all")
    name = f"{registry}/{unique}"
    made = extract(f"{name}:all", platform="linux/amd64")
    assert (extract.text("data/x"), made.digest) == ("amd64", digest_of(both["amd64"]))
    with pytest.raises(Wrong, match=f"{name}:arm64 is linux/amd64, not linux/arm64; add --platform=linux/amd64"):
        extract(f"{name}:arm64", platform="linux/arm64")
    entries.pop()
    push_list("one")
    with pytest.raises(Wrong, match="has no linux/arm64; it has linux/amd64: choose one with --platform"):
        extract(f"{name}:one", platform="linux/arm64")


def test_a_mirror_replaces_the_registry(extract, registry, image, unique):
    push(registry, f"mirror/{unique}/app", "1.0.0", image)
    extract(f"registry.invalid/{unique}/app:1.0.0", mirror=f"{registry}/mirror")
    assert extract.text("data/0") == "new"


def test_an_unreachable_registry_is_one_sentence(extract):
    with pytest.raises(
        Failed,
        match=r"^nowhere\.invalid cannot be reached \(.*\); check the network, name a copy with --mirror=HOST, or take the stand-in",
    ):
        extract("nowhere.invalid/team/app:1.0.0")


def test_the_stand_in_comes_out_as_from_docker(extract, engine, registry, unique, tmp_path):
    """The third image of the equality test: a real one, through a real registry, and out of the engine."""
    from .test_extract_correct import docker_copy

    stand_in = "dynamo-stand-in-vllm:0.6.1"
    require("docker", None if engines.images(engine, [stand_in]) else f"{stand_in} is not built here")
    name = f"{registry}/{unique}:1"
    engines.ask(engine, "tag", stand_in, name)
    try:
        engines.ask(engine, "push", name)
        paths = ["/usr/local/ucx", "/opt/nvidia", "/opt/dynamo/wheelhouse", "/usr/bin"]
        expected = {path: docker_copy(engine, name, path, tmp_path / path.replace("/", "-")) for path in paths}
    finally:
        engines.ask(engine, "image", "rm", name)
    for image in (name, stand_in):
        extract(image, *paths, owners=True)  # else setuid and setgid are lost
        assert {path: snapshot(extract.out / path[1:]) for path in paths} == expected


def test_a_proxy_counts_but_not_for_this_machine(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.invalid:3128")
    monkeypatch.setenv("no_proxy", "inside.invalid")
    asked = ["https://nvcr.io/v2/", "https://inside.invalid/v2/", "https://127.0.0.1:5000/v2/", "https://localhost/v2/"]
    assert [proxies.of(url) for url in asked] == [proxies.Proxy("http://proxy.invalid:3128"), None, None, None]
