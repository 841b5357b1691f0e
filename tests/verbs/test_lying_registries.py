"""Registries that lie: every verb that asks one ends soon, in one sentence, with a login only where it belongs."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pytest

from ..conftest import ROOT
from ..doubles import lying_registry as double
from ..doubles.lying_registry import (
    BLOB,
    CONFIG,
    HEAD,
    INDEX,
    MANIFEST,
    TAGS,
    TOKEN,
    WHOLE_CONFIG,
    WHOLE_INDEX,
    WHOLE_MANIFEST,
    Registry,
    as_json,
    serving,
)

NAME = "nvidia/ai-dynamo/vllm-runtime"
IMAGE = "{host}/" + NAME + ":1.0.0"
# What each verb reads, and its words; {out} is a folder that is not there, {copy} an honest registry.
VERBS = {
    "extract-from-ngc": ({INDEX, MANIFEST, CONFIG, BLOB}, f"--image={IMAGE} --component=/etc/os-release --out={{out}}"),
    "compare": ({INDEX, MANIFEST, CONFIG}, f"{IMAGE} {{host}}/team/other:1 --platform=linux/amd64"),
    "mirror": ({INDEX, MANIFEST}, f"--framework=vllm --base={IMAGE} --registry={{copy}}/to --plan"),
    "outdated": ({TAGS, INDEX}, "--mirror={host}"),
    "bump": ({TAGS, INDEX, MANIFEST, CONFIG}, "--framework=vllm --to=1.6.2 --mirror={host} --plan --force"),
    "build": ({INDEX, MANIFEST, CONFIG}, f"--framework=vllm --target=runtime --base={IMAGE} --tag=x --plan"),
}
SECONDS, BYTES = 15, 200 << 20
READ = {INDEX, MANIFEST, CONFIG, BLOB, TAGS}


def words(verb: str, registry: Registry, copy: Registry, tmp_path: Path) -> list[str]:
    text = VERBS[verb][1].format(host=registry.host, copy=copy.host, out=tmp_path / "out")
    return [verb, *text.split()]


@pytest.fixture
def copy():
    with serving(Registry()) as honest:
        yield honest


def peak() -> int:
    """The most memory this process had since it was last set back, in bytes (proc(5))."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) << 10


@pytest.fixture
def ends(verbs, copy, tmp_path):
    """Run a verb against a registry: one sentence and exit code 1 or 2 (0 where it did not meet the lie), in time and memory."""

    def run(verb: str, registry: Registry, must_fail: bool, **environment: str) -> str:
        Path("/proc/self/clear_refs").write_text("5")
        before, start = peak(), time.monotonic()
        said = verbs(*words(verb, registry, copy, tmp_path), **environment)
        took, more = time.monotonic() - start, peak() - before
        assert said.code in ((1, 2) if must_fail else (0, 1, 2)), said
        assert "Traceback" not in said.err
        if must_fail:
            errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
            assert len(errors) == 1, said.err
            assert said.err.endswith(errors[0] + "\n")
        assert took < SECONDS
        assert more < BYTES
        assert not (tmp_path / "out").exists() or said.code == 0
        return said.err

    return run


def sends(data: bytes, **headers: str):
    """Answer with other content, whatever digest was asked for."""
    return lambda handler, _: handler.answer(200, data, **headers) or True


def endless(handler, _) -> bool:
    """Content without an end, in chunks."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def cut(handler, _) -> bool:
    """Less than was announced."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b'{"a": ')
    handler.close_connection = True
    return True


def large_error(handler, _) -> bool:
    handler.send_response(500)
    handler.send_header("Content-Length", str(1 << 40))
    handler.end_headers()
    while True:
        handler.wfile.write(bytes(1 << 16))


def to(place: str, status: int = 307):
    return lambda handler, _: handler.answer(status, b"", Location=place.format(path=handler.path)) or True


DEEP = b'{"manifests":' * 50_000 + b"1" + b"}" * 50_000
ANYTHING = {
    "html": sends(b"<!DOCTYPE html><html><body>Sign in to the guest network</body></html>"),
    "null": sends(b"null"),
    "list": sends(b"[]"),
    "text": sends(b'"a"'),
    "nothing": sends(b""),
    "half": sends(b'{"a": '),
    "cut": cut,
    "not-utf-8": sends(b'{"tags": ["\xff\xfe"], "manifests": "\xff"}'),
    "deep": sends(b"[" * 200_000),
    "deep-in-place": sends(DEEP),
    "large": sends(b" " * (5 << 20) + b"{}"),
    "endless": endless,
    "gzip-bomb": sends(gzip.compress(bytes(1 << 28), 1), **{"Content-Encoding": "gzip"}),
    "deflate-bomb": sends(zlib.compress(bytes(1 << 28), 1), **{"Content-Encoding": "deflate"}),
    "no-gzip": sends(b"{}", **{"Content-Encoding": "gzip"}),
    "many-gzips": sends(b"{}", **{"Content-Encoding": ", ".join(["gzip"] * 50)}),
    "loop": to("{path}"),
    "many-steps": to("{path}x", 302),
    "to-a-file": to("file:///etc/passwd"),
    "to-nothing": to("http://[::1"),
    "to-bad-text": to("http://a b\x01/"),
    "no-place": lambda handler, _: handler.answer(302) or True,
    "status-500-large": large_error,
    "status-418": lambda handler, _: handler.answer(418) or True,
    "status-429-late": lambda handler, _: handler.answer(429, b"", **{"Retry-After": "3600"}) or True,
    "status-429-odd": lambda handler, _: handler.answer(429, b"", **{"Retry-After": "9" * 5000}) or True,
    "status-206": lambda handler, _: handler.answer(206, b"{}") or True,
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("lie", ANYTHING)
def test_an_answer_of_the_wrong_kind_is_a_sentence(ends, verb, lie):
    for kind in sorted(VERBS[verb][0] - {BLOB}):
        lies = Registry(lambda handler, asked, kind=kind: asked == kind and ANYTHING[lie](handler, asked))
        with serving(lies) as registry:
            ends(verb, registry, must_fail=True)


@pytest.mark.parametrize("lie", sorted(set(ANYTHING) - {"endless", "status-206"}))
def test_a_blob_of_the_wrong_kind_is_a_sentence(ends, lie):
    with serving(Registry(lambda handler, asked: asked == BLOB and ANYTHING[lie](handler, asked))) as registry:
        ends("extract-from-ngc", registry, must_fail=True)


def without(data: dict, *keys: str) -> dict:
    return {key: value for key, value in data.items() if key not in keys}


def layer(**more) -> dict:
    return {**WHOLE_MANIFEST, "layers": [{**WHOLE_MANIFEST["layers"][0], **more}]}


def entry(**more) -> dict:
    return {**WHOLE_INDEX, "manifests": [{**WHOLE_INDEX["manifests"][0], **more}]}


SHAPES = {
    "layers-null": {"manifest": {**WHOLE_MANIFEST, "layers": None}},
    "layers-text": {"manifest": {**WHOLE_MANIFEST, "layers": "x"}},
    "no-layers": {"manifest": {**WHOLE_MANIFEST, "layers": []}},
    "no-config": {"manifest": without(WHOLE_MANIFEST, "config")},
    "config-null": {"manifest": {**WHOLE_MANIFEST, "config": None}},
    "config-a-list": {"manifest": {**WHOLE_MANIFEST, "config": []}},
    "size-text": {"manifest": layer(size="12")},
    "size-negative": {"manifest": layer(size=-1)},
    "size-huge": {"manifest": as_json(layer(size=0)).replace(b'"size": 0', b'"size": ' + b"9" * 5000)},
    "size-infinite": {"manifest": as_json(layer(size=0)).replace(b'"size": 0', b'"size": 1e999')},
    "no-digest": {"manifest": {**WHOLE_MANIFEST, "layers": [without(WHOLE_MANIFEST["layers"][0], "digest")]}},
    "digest-null": {"manifest": layer(digest=None)},
    "digest-sha512": {"manifest": layer(digest="sha512:" + "a" * 128)},
    "digest-path": {"manifest": layer(digest="sha256:../../../etc/passwd")},
    "digest-escape": {"manifest": layer(digest="sha256:\x1b]0;PWN\x07")},
    "entries-null": {"index": {**WHOLE_INDEX, "manifests": [None]}},
    "entry-no-digest": {
        "index": {**WHOLE_INDEX, "manifests": [{"platform": {"os": "linux", "architecture": "amd64"}}]}
    },
    "entry-digest-path": {"index": entry(digest="sha256:..")},
    "platform-text": {"index": entry(platform="linux/amd64")},
    "platform-numbers": {"index": entry(platform={"os": 1, "architecture": 2})},
    "platform-other": {"index": entry(platform={"os": "plan9", "architecture": "\x1b[31m"})},
    "no-entries": {"index": {**WHOLE_INDEX, "manifests": []}},
    "schema-1": {"index": {"schemaVersion": 1, "fsLayers": [], "history": []}},
    "config-html": {"config": b"<html>"},
    "config-null-json": {"config": b"null"},
    "env-text": {"config": {**WHOLE_CONFIG, "config": {"Env": "A=b"}}},
    "env-numbers": {"config": {**WHOLE_CONFIG, "config": {"Env": [1]}}},
    "labels-list": {"config": {**WHOLE_CONFIG, "config": {"Labels": ["a"]}}},
    "labels-numbers": {"config": {**WHOLE_CONFIG, "config": {"Labels": {"a": 1}}}},
    "user-a-list": {"config": {**WHOLE_CONFIG, "config": {"User": ["a"]}}},
    "rootfs-text": {"config": {**WHOLE_CONFIG, "rootfs": "x"}},
    "history-text": {"config": {**WHOLE_CONFIG, "history": ["x"]}},
    "architecture-number": {"config": {**WHOLE_CONFIG, "architecture": 1}},
}
FAR = {  # who needs no platform of this machine, or only its name
    "platform-other": {"bump", "outdated", "mirror"},
    "no-entries": {"mirror", "outdated"},
    "entry-digest-path": {"outdated"},
}
INSIDE = {CONFIG: {"extract-from-ngc", "compare", "bump", "build"}}  # who reads it
PAST = {"no-layers": {"mirror"}, "no-config": {"mirror"}, "config-null": {"mirror"}}  # an artifact may have these


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_manifest_that_is_none_is_a_sentence(ends, verb, shape):
    registry = Registry()
    registry.replace(**SHAPES[shape])
    met = verb in INSIDE[CONFIG] if "config" in SHAPES[shape] else "manifest" not in SHAPES[shape] or verb != "outdated"
    with serving(registry):
        ends(verb, registry, must_fail=met and verb not in FAR.get(shape, ()) and verb not in PAST.get(shape, ()))


def nested(depth: int) -> Registry:
    """Indexes in each other."""
    registry, inner = Registry(), as_json(WHOLE_MANIFEST)
    for _ in range(depth):
        registry.contents[double.digest_of(inner)] = inner
        inner = as_json(entry(digest=double.digest_of(inner)))
    registry.contents["top"] = inner
    return registry


@pytest.mark.parametrize("verb", sorted(set(VERBS) - {"outdated"}))
def test_indexes_in_each_other_have_an_end(ends, verb):
    with serving(nested(50)) as registry:
        ends(verb, registry, must_fail=True)


def test_an_index_of_thousands_is_not_copied(ends):
    made = {**WHOLE_INDEX, "manifests": []}
    registry = Registry()
    for number in range(3000):
        data = as_json({**WHOLE_MANIFEST, "annotations": {"n": str(number)}})
        registry.contents[double.digest_of(data)] = data
        made["manifests"].append(double.described(data, "manifest.v1+json", platform=double.AMD64))
    registry.contents["top"] = as_json(made)
    with serving(registry):
        assert "more manifests than an image has" in ends("mirror", registry, must_fail=True)


@pytest.mark.parametrize("verb", ["outdated", "bump"])
def test_tags_come_to_an_end(ends, verb):
    def page(handler, kind):
        if kind != TAGS:
            return False
        number = int(handler.path.rpartition("=")[2])
        link = f'</v2/x/tags/list?last={number + 1}>; rel="next"'
        return handler.answer(200, as_json({"tags": [f"x{number}-{n}" for n in range(1000)]}), Link=link) or True

    with serving(Registry(page)) as registry:
        assert "page after page" in ends(verb, registry, must_fail=True)


def test_what_is_no_tag_is_none(verbs):
    with serving(Registry(tags=["0.6.1.post1", "1.6.2", "\x1b]0;PWN\x07", "x" * 1000, "a/b", ""])) as registry:
        said = verbs("outdated", f"--mirror={registry.host}", "--json")
    assert "1.6.2" in said.out, said
    assert "PWN" not in said.out + said.err


def test_outdated_takes_its_older_answer_where_the_new_one_is_none(verbs, tmp_path):
    registry = Registry()
    with serving(registry):
        assert verbs("outdated", f"--mirror={registry.host}").err == ""
        registry.lie = lambda handler, kind: kind == TAGS and ANYTHING["html"](handler, kind)
        said = verbs("outdated", f"--mirror={registry.host}", "--json")
    assert "1.6.2" in said.out, said
    assert "a page of HTML, not JSON" in said.err
    assert "this is its answer of" in said.err


SLOW = {
    "body": (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X"),
    "silence": (b"", b""),
}


@pytest.mark.long
@pytest.mark.parametrize("where", SLOW)
def test_a_byte_a_second_comes_to_an_end(where, copy, tmp_path):
    """All verbs at once, each a process of its own: what takes time is waiting."""
    head, drop = SLOW[where]

    def drips(handler, kind):
        if kind not in (TAGS, INDEX):
            return False
        handler.wfile.write(head)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            handler.wfile.write(drop)
            time.sleep(1)  # what this double is for
        return True

    home = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    with serving(Registry(drips)) as registry:
        start = time.monotonic()
        children = {
            verb: subprocess.Popen(
                [sys.executable, "-m", "invoke", "--search-root", str(ROOT), *words(verb, registry, copy, tmp_path)],
                env=home, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
            )
            for verb in VERBS
        }  # fmt: skip
        for verb, child in children.items():
            _, err = child.communicate(timeout=60)
            assert child.returncode == 1, (verb, err)
            assert "error: " in err
            assert "Traceback" not in err
        assert time.monotonic() - start < SECONDS + 5  # six of them start at once


@pytest.mark.long
def test_a_blob_of_a_byte_a_second_comes_to_an_end(ends):
    def drips(handler, kind):
        if kind != BLOB:
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(double.PACKED)))
        handler.end_headers()
        for byte in double.PACKED:
            handler.wfile.write(bytes([byte]))
            time.sleep(1)  # what this double is for
        return True

    with serving(Registry(drips)) as registry:
        assert "bytes a second" in ends("extract-from-ngc", registry, must_fail=True)


def log_in(tmp_path: Path, host: str) -> None:
    folder = tmp_path / "home" / ".docker"
    folder.mkdir(parents=True, exist_ok=True)
    auth = {"username": "me", "password": "s3cret"}
    (folder / "config.json").write_text(json.dumps({"auths": {host: auth}}))


def wants(challenge: str | list[str]):
    def lie(handler, kind):
        if kind in (TOKEN, HEAD) or handler.headers.get("Authorization", "").startswith("Bearer "):
            return False
        handler.send_response(401)
        for each in [challenge] if isinstance(challenge, str) else challenge:
            handler.send_header("WWW-Authenticate", each.format(url=handler.registry.url))
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    return lie


REFUSED = {
    "no-realm": "Bearer service=x",
    "empty-realm": 'Bearer realm=""',
    "realm-a-file": 'Bearer realm="file:///etc/passwd"',
    "realm-no-port": 'Bearer realm="http://127.0.0.1:99999/token"',
    "realm-odd": 'Bearer realm="http://[::1/token"',
    "realm-control": 'Bearer realm="http://127.0.0.1:1/\x01\x7f"',
    "realm-of-another-challenge": ['Basic realm="http://127.0.0.1:1/"', "Bearer"],
    "unknown": "Negotiate",
    "nothing": "",
    "garbage": '=,"=,,"' * 1000,
    "only-basic-refused": 'Basic realm="r"',
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("challenge", REFUSED)
def test_a_challenge_that_cannot_be_met_is_a_sentence(ends, verb, challenge, tmp_path):
    with serving(Registry(wants(REFUSED[challenge]))) as registry:
        log_in(tmp_path, registry.host)
        ends(verb, registry, must_fail=True)


TOKENS = {
    "html": b"<html>",
    "null": b"null",
    "number": b'{"token": 1}',
    "none": b"{}",
    "line-break": b'{"token": "a\\r\\nX-Evil: 1"}',
    "large": b'{"token": "' + b"a" * (2 << 20) + b'"}',
    "deep": b'{"token": ' + b"[" * 100_000,
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("token", TOKENS)
def test_a_token_that_is_none_is_a_sentence(ends, verb, token, tmp_path):
    lie = wants('Bearer realm="{url}/token",service="s"')
    with serving(Registry(lambda h, k: lie(h, k) or (k == TOKEN and sends(TOKENS[token])(h, k)))) as registry:
        ends(verb, registry, must_fail=True)


ACCEPTED = {
    "bearer-then-basic": ['Bearer realm="{url}/token",service="s"', 'Basic realm="http://evil.invalid/"'],
    "basic-then-bearer": ['Basic realm="http://evil.invalid/"', 'Bearer realm="{url}/token",service="s"'],
    "one-header": 'Basic realm="http://evil.invalid/", Bearer realm="{url}/token", service="s"',
    "realm-with-a-query": 'Bearer realm="{url}/token?account=1",service="s"',
    "unquoted": "Bearer realm={url}/token,service=s",
}


@pytest.mark.parametrize("challenge", ACCEPTED)
def test_each_challenge_keeps_its_own_realm(verbs, challenge, tmp_path):
    with serving(Registry(wants(ACCEPTED[challenge]))) as registry:
        log_in(tmp_path, registry.host)
        said = verbs("outdated", f"--mirror={registry.host}")
        assert "1.6.2" in said.out, said
        asked = [(path, login) for path, login in registry.asked if path.startswith("/token")]
    assert all(login.startswith("Basic ") for _, login in asked)
    assert all(path.count("?") == 1 and "service=s" in path for path, _ in asked)


@pytest.mark.parametrize("verb", VERBS)
def test_a_login_does_not_follow_a_redirect(ends, verb, tmp_path, copy):
    """Whatever a registry sends elsewhere, the other host sees no Authorization."""
    lie = wants('Bearer realm="{url}/token",service="s"')

    def sends_on(handler, kind):
        return lie(handler, kind) or (kind in READ and to(f"http://{copy.host}{{path}}")(handler, kind))

    with serving(Registry(sends_on)) as registry:
        log_in(tmp_path, registry.host)
        ends(verb, registry, must_fail=False)
        assert any(login for _, login in registry.asked)
    assert copy.asked
    assert not [login for _, login in copy.asked if login]


def trusting(certificate: tuple[Path, Path]) -> dict[str, str]:
    return {"NGC_CA": str(certificate[0])}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("by", ["realm", "redirect"])
def test_nothing_leads_from_tls_to_plain_http(ends, verb, by, tmp_path, copy, certificate):
    """Neither a token server nor a redirect: the login and the answer could be read and changed on the way."""
    lies = {
        "realm": wants(f'Bearer realm="http://{copy.host}/token",service="s"'),
        "redirect": lambda handler, kind: kind in READ and to(f"http://{copy.host}{{path}}")(handler, kind),
    }
    with serving(Registry(lies[by]), certificate) as registry:
        log_in(tmp_path, registry.host)
        said = ends(verb, registry, must_fail=True, **trusting(certificate))
    assert "leads from https to http" in said
    assert copy.asked == [] or verb == "mirror"


@pytest.mark.parametrize("verb", VERBS)
def test_a_certificate_that_nobody_vouches_for_is_a_sentence(ends, verb, tmp_path, certificate):
    with serving(Registry(), certificate) as registry:
        log_in(tmp_path, registry.host)
        assert "certificate verify failed" in ends(verb, registry, must_fail=True)
        assert registry.asked == []


def test_docker_s_folder_of_certificates_vouches_for_a_registry(verbs, tmp_path, certificate):
    with serving(Registry(), certificate) as registry:
        folder = tmp_path / "config" / "docker" / "certs.d" / registry.host
        folder.mkdir(parents=True)
        shutil.copy(certificate[0], folder / "ca.crt")
        said = verbs("outdated", f"--mirror={registry.host}", XDG_CONFIG_HOME=str(tmp_path / "config"))
    assert "1.6.2" in said.out, said
