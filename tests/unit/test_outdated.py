"""outdated: what a registry with NVIDIA's tags has newer, and what it says when that registry does not answer."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from invoke.exceptions import Exit

from ngc import catalog, files, outdated, reference, registry, releases, tags
from ngc.errors import Failed, Wrong
from ngc.verbs.follow import outdated as verb

from .fronting import Front, serving
from .releasing import TRTLLM, VLLM, fill, old_tree


@pytest.fixture(scope="module")
def filled(registry):
    """A registry with the repositories of both frameworks."""
    fill(registry, "vllm-runtime", VLLM, amd64_only=("0.6.0", "1.0.0-efa-amd64"))
    fill(registry, "tensorrtllm-runtime", TRTLLM)
    return registry


@pytest.fixture(autouse=True)
def old(monkeypatch, tmp_path, root):
    """A tree on 0.6.1.post1, and nothing in the cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    table = catalog.read(old_tree(root, tmp_path / "old"))
    monkeypatch.setattr(catalog, "read", lambda root=None, read=catalog.read: read(root) if root else table)


def row(host, framework="vllm"):
    (found,) = outdated.look(catalog.read(), [framework], host)
    return found


def test_the_newest_the_newest_checked_and_all_between_are_told(filled):
    said = row(filled)
    assert said["current"]["version"] == "0.6.1.post1"
    assert (said["newest"]["tag"], said["newest"]["platforms"]) == ("1.6.2", ["linux/amd64", "linux/arm64"])
    assert said["checked"] == {"tag": "0.6.1.post1", "how": "stand-in layout"}
    assert (said["newer"][0], said["newer"][-1]) == ("0.7.0", "1.6.2")
    assert said["outdated"]


def test_only_general_availability_is_offered(filled):
    said = row(filled)
    assert not [name for name in said["newer"] if "-" in name or "dev" in name]
    assert {"0.7.0.post1", "0.7.0.post2"} <= set(said["newer"])
    assert said["others"] == {"CUDA 13": 5, "AWS EFA": 2, "preview": 3, "enterprise": 1, "nightly": 1}


def test_patches_are_ordered_as_numbers(filled):
    names = row(filled)["newer"]
    assert names.index("0.7.0") < names.index("0.7.0.post2") < names.index("0.7.1") < names.index("1.6.0")


def test_known_broken_tags_are_named_with_the_reason_and_not_offered(filled, monkeypatch):
    said = row(filled)
    assert said["broken"]["vllm-runtime:0.8.1-cuda13".partition(":")[2]].startswith("the container does not start")
    table = releases.read(catalog.read())
    broken = {**table.broken, "vllm-runtime:1.6.2": "for the test; take 1.6.1"}
    monkeypatch.setattr(releases, "read", lambda _: releases.Releases(broken, *list(vars(table).values())[1:]))
    said = row(filled)
    assert (said["newest"]["tag"], said["broken"]["1.6.2"]) == ("1.6.1", "for the test; take 1.6.1")


def test_a_frozen_repository_is_said_to_be_and_its_successor_is_asked(filled):
    said = row(filled, "trtllm")
    assert said["frozen"]["successor"] == "nvcr.io/nvidia/ai-dynamo/tensorrtllm-runtime"
    assert (said["asked"], said["newest"]["tag"]) == (f"{filled}/nvidia/ai-dynamo/tensorrtllm-runtime", "1.6.2")
    assert said["checked"]["tag"] == "0.6.1.post1"
    text = outdated.text([said])
    assert "  frozen       an image of August 2025" in text
    assert "  move         invoke bump --framework=trtllm --to=1.6.2" in text


def test_driver_and_cuda_of_the_newest_are_those_of_its_release(filled):
    newest = row(filled)["newest"]
    assert (newest["cuda"], newest["driver"], newest["engine"], newest["date"]) == ("13", 580, "0.31.0", "2026-11-05")


def test_the_verb_ends_with_1_if_something_is_newer(filled, capsys):
    with pytest.raises(Exit) as ended:
        verb.body(None, framework=["vllm"], mirror=filled, json=True)
    assert ended.value.code == 1
    assert json.loads(capsys.readouterr().out)[0]["framework"] == "vllm"


def test_with_the_newest_in_the_dockerfile_nothing_is_newer(registry, unique, tree, capsys):
    fill(registry, f"{unique}-alpha", ["1.0.0", "1.0.0.post1", "1.1.0-cuda13"])
    _rules(tree)
    point(tree, "alpha", f"{registry}/nvidia/ai-dynamo/{unique}-alpha:1.0.0.post1")
    (said,) = outdated.look(tree.read(), ["alpha"], None)
    assert (said["outdated"], said["newer"]) == (False, [])
    assert "nothing: it is the newest" in outdated.text([said])


def _rules(tree):
    (tree.builds / "releases.yaml").write_text((catalog.ROOT / "ngc-builds" / "releases.yaml").read_text())


def point(tree, framework, name):
    file = tree.builds / framework / "Dockerfile.runtime"
    old = tree.read().framework(framework).default_base
    file.write_text(file.read_text().replace(str(old), name))


def test_one_registry_is_asked_two_things_per_framework(filled):
    with serving(Front(filled)) as front:
        outdated.look(catalog.read(), ["vllm"], front.host)
    paths = [path for path, _ in front.asked]
    assert paths == [
        "/v2/nvidia/ai-dynamo/vllm-runtime/tags/list?n=1000",
        "/v2/nvidia/ai-dynamo/vllm-runtime/manifests/1.6.2",
    ]


@pytest.mark.parametrize(("status", "said"), [(429, "answered 429"), (503, "answered 503")])
def test_a_registry_that_has_no_time_leaves_its_last_answer_with_its_age(filled, status, said, capsys, monkeypatch):
    with serving(Front(filled)) as front:
        before = outdated.look(catalog.read(), ["vllm"], front.host)
        now = tags.time.time()
        monkeypatch.setattr(tags.time, "time", lambda: now + 7200)
        front.status = status
        after = outdated.look(catalog.read(), ["vllm"], front.host)
    err = capsys.readouterr().err
    assert f"{said} for {front.host}/nvidia/ai-dynamo/vllm-runtime; this is its answer of 2 hours ago" in err
    assert after[0]["age"] >= 7200
    assert {**after[0], "age": 0} == before[0]


def test_a_registry_that_is_down_without_an_older_answer_is_one_sentence(filled):
    with serving(Front(filled, status=429)) as front, pytest.raises(Failed, match=r"answered 429 .*; try again later"):
        row(front.host)
    with pytest.raises(Failed, match=r"127\.0\.0\.1:1 cannot be reached") as failed:
        row("127.0.0.1:1")
    assert str(failed.value).count("--mirror=HOST") == 1


def test_platforms_that_were_once_told_are_not_forgotten(filled):
    with serving(Front(filled)) as front:
        row(front.host)
        image = reference.parse(f"{front.host}/nvidia/ai-dynamo/vllm-runtime")
        tags.ask(image, lambda _: None)
        front.status = 503
        assert row(front.host)["newest"]["platforms"] == ["linux/amd64", "linux/arm64"]


def test_a_damaged_cache_is_no_answer(filled):
    with serving(Front(filled)) as front:
        row(front.host)
        for file in files.cache("tags").iterdir():
            file.write_text("{")
        front.status = 503
        with pytest.raises(Failed, match="answered 503"):
            row(front.host)


def test_a_login_is_answered_as_everywhere(filled, monkeypatch, tmp_path):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with serving(Front(filled, login="me:secret", token="t")) as front:
        with pytest.raises(Failed, match=f"{front.host} wants a login for"):
            row(front.host)
        auth = {"auths": {front.host: {"auth": "bWU6c2VjcmV0"}}}
        (tmp_path / "config.json").write_text(json.dumps(auth))
        assert row(front.host)["newest"]["tag"] == "1.6.2"


def test_a_repository_that_does_not_exist_is_asked_wrongly(registry):
    with pytest.raises(Wrong, match=r"has no .*/none/nvidia/ai-dynamo/vllm-runtime; check name and tag"):
        row(f"{registry}/none")
    with pytest.raises(Wrong, match="unknown framework 'x'"):
        outdated.look(catalog.read(), ["x"], registry)


@contextmanager
def paged(names, size, circle=False):
    """A registry that gives its tags in pages."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):  # http.server's name
            start = int(parse_qs(urlsplit(self.path).query).get("last", ["0"])[0])
            body = json.dumps({"tags": names[start : start + size]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            if circle or start + size < len(names):
                following = 0 if circle else start + size
                self.send_header("Link", f'</v2/a/b/tags/list?last={following}&n={size}>; rel="next"')
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield registry.Access(reference.parse(f"127.0.0.1:{server.server_port}/a/b"))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_tags_are_read_page_by_page():
    names = [f"0.{number}.0" for number in range(25)]
    with paged(names, 10) as access:
        assert tags.listed(access) == tuple(names)


def test_pages_that_never_end_are_given_up(monkeypatch):
    monkeypatch.setattr(tags, "_PAGES", 5)
    with paged(["1.0.0"], 10, circle=True) as access, pytest.raises(Failed, match="page after page"):
        tags.listed(access)


def test_tags_are_read_by_the_rules():
    table = releases.read(catalog.read())
    kinds = {name: table.tag(name).kind for name in (*VLLM, "1.0.0-strange")}
    assert kinds["0.7.0.post2"] == kinds["1.6.2"] == "general availability"
    assert {kinds[name] for name in ("1.1.0-dev.1", "1.3.0-deepseek-v4-dev.2", "1.3.0-dev.1-cuda13")} == {"preview"}
    assert kinds["1.0.0-strange"] == releases.UNKNOWN
    assert table.tag("latest") is None
    assert table.tag("0.6.1.post1").version > table.tag("0.6.1-cuda13").version


def test_what_a_release_does_not_say_is_what_the_one_before_it_said():
    table = releases.read(catalog.read())
    assert table.of_image("1.2.1", "vllm-runtime", "cuda") == "12.9"
    assert table.of_image("1.4.2", "vllm-runtime", "engine") == "0.26.0"
    assert table.of_image("0.6.1", "unknown", "cuda") is None


def test_a_time_span_is_said_in_its_largest_unit():
    assert [tags.since(s) for s in (5, 150, 7200, 260000)] == ["5 seconds", "2 minutes", "2 hours", "3 days"]
