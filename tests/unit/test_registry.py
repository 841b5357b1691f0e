"""The base is checked before anything runs: every way it can be wrong is one sentence with the fix."""

import base64
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ngc import bases, catalog, logins, reference, registry, transport
from ngc.engine import Engine
from ngc.errors import Failed, Wrong
from ngc.manifests import digest_of


@dataclass
class Served:
    """A registry with one image, and what it was asked."""

    host: str = ""
    token: str | None = None
    login: str | None = None
    status: int | None = None
    asked: list[str] = field(default_factory=list)
    size: int = 100


CONFIG = {"config": {"User": "dynamo", "Labels": {"a": "b"}}}


def answer(served: Served, path: str):
    layers = [{"digest": "sha256:" + letter * 64, "size": size} for letter, size in (("d", served.size), ("e", 1))]
    config = json.dumps(CONFIG).encode()
    manifest = json.dumps({"config": {"digest": digest_of(config), "size": len(config)}, "layers": layers}).encode()
    index = {
        "manifests": [
            {"digest": digest_of(manifest), "size": 1, "platform": {"os": "linux", "architecture": "amd64"}},
            {"digest": "sha256:" + "b" * 64, "size": 1, "platform": {"os": "unknown", "architecture": "unknown"}},
        ]
    }
    return {
        "/v2/team/app/manifests/1.0.0": json.dumps(index).encode(),
        f"/v2/team/app/manifests/{digest_of(manifest)}": manifest,
        f"/v2/team/app/blobs/{digest_of(config)}": config,
        "/token?service=here&scope=repository%3Ateam%2Fapp%3Apull": json.dumps({"token": served.token}).encode(),
    }.get(path, b"")


@pytest.fixture
def served():
    state = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):  # http.server's name
            state.asked.append(self.path)
            given = self.headers.get("Authorization", "")
            if self.path.startswith("/token"):
                allowed = state.login is None or given == "Basic " + base64.b64encode(state.login.encode()).decode()
            else:
                allowed = state.token is None or given == f"Bearer {state.token}"
            body = answer(state, self.path)
            status = state.status or (401 if not allowed else 200 if body else 404)
            self.send_response(status)
            if status == 401:
                realm = f'Bearer realm="http://{state.host}/token",service="here",scope="repository:team/app:pull"'
                self.send_header("WWW-Authenticate", realm)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.host = f"127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()
    transport.forget()


def image(served, tag="1.0.0"):
    return reference.parse(f"{served.host}/team/app:{tag}")


def test_an_image_is_described_with_platforms_size_user_and_labels(served):
    found = registry.look_up(image(served), "linux/amd64")
    assert (found.platforms, found.compressed, found.user, found.labels) == (
        ("linux/amd64",),
        101,
        "dynamo",
        {"a": "b"},
    )
    assert len(served.asked) == 3


def test_a_token_is_fetched_where_the_registry_asks_for_one(served):
    served.token = "secret"
    assert registry.look_up(image(served), "linux/amd64").compressed == 101


def test_the_login_of_dockers_config_file_is_used(served, tmp_path, monkeypatch):
    served.token, served.login = "secret", "me:word"
    auth = base64.b64encode(b"me:word").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {served.host: {"auth": auth}}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert registry.look_up(image(served), "linux/amd64").compressed == 101


def test_a_credential_helper_is_asked(served, tmp_path, monkeypatch):
    served.token, served.login = "secret", "me:word"
    helper = tmp_path / "docker-credential-test"
    helper.write_text('#!/bin/sh\ncat >/dev/null\necho \'{"Username": "me", "Secret": "word"}\'\n')
    helper.chmod(0o755)
    (tmp_path / "config.json").write_text(json.dumps({"credHelpers": {served.host: "test"}}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert registry.look_up(image(served), "linux/amd64").compressed == 101


def test_ngc_is_asked_with_the_api_key(monkeypatch):
    monkeypatch.setenv("NGC_API_KEY", "key")
    assert logins.find(reference.parse("nvcr.io/nvidia/x:1")) == logins.Login("$oauthtoken", "key")


def test_a_missing_login_is_said_with_the_command(served, tmp_path, monkeypatch):
    served.token, served.login = "secret", "me:word"
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    with pytest.raises(Failed, match=r"wants a login for .*; run `docker login 127"):
        registry.look_up(image(served), "linux/amd64")


def test_an_unknown_tag_is_said_with_the_stand_in_as_a_way_out(served):
    with pytest.raises(
        Wrong, match=r"has no .*/team/app:9\.9\.9; check name and tag, or build on the stand-in with --base=stand-in"
    ):
        registry.look_up(image(served, "9.9.9"), "linux/amd64")


def test_a_platform_that_the_tag_lacks_lists_those_it_has(served):
    with pytest.raises(Wrong, match="has no linux/arm64; it has linux/amd64"):
        registry.look_up(image(served), "linux/arm64")


def test_a_registry_in_trouble_is_said_with_its_answer(served):
    served.status = 418
    with pytest.raises(Failed, match="answered 418"):
        registry.look_up(image(served), "linux/amd64")


def test_an_unreachable_registry_is_one_sentence():
    with pytest.raises(
        Failed,
        match=r"^nowhere\.invalid cannot be reached \(.*\); check the network, name a copy with --mirror=HOST, or",
    ):
        registry.look_up(reference.parse("nowhere.invalid/team/app:1.0.0"), "linux/amd64")


def test_a_base_larger_than_the_free_disk_is_refused_before_the_download(served, tree, monkeypatch, tmp_path):
    served.size = 10**18
    chosen = bases.choose(tree.read(), ["alpha"], str(image(served)))["alpha"]
    monkeypatch.setattr(bases, "disk_of", lambda _: tmp_path)
    with pytest.raises(Failed, match=r"takes about \d+ GB on disk and .* has \d+ GB free"):
        bases.check(chosen, None, "linux/amd64", None, {}, Engine("docker"))


def test_a_known_broken_tag_is_refused_with_the_reason(root):
    table = catalog.read(root)
    name = "nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.8.1-cuda13"
    chosen = bases.choose(table, ["vllm"], name)["vllm"]
    with pytest.raises(Wrong, match=r"vllm-runtime:0\.8\.1-cuda13 is known to be broken: the container does not start"):
        bases.check(chosen, None, None, None, bases.read_broken(table), None)


def test_an_unknown_base_brings_its_own_user(served, tree):
    chosen = bases.choose(tree.read(), ["alpha"], str(image(served)))["alpha"]
    assert bases.check(chosen, None, "linux/amd64", None, {}, None).user == "dynamo"
