"""Extraction from registries: a real one, plainly, with TLS and a login, and behind a front that breaks and redirects; what is asked for, and what is not."""

import base64
import gzip
import json
import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest
import sh

from ngc import engine as engines
from ngc import registry as registries
from ngc.errors import Failed, Wrong
from ngc.extract import asking, blobs, index, run

from ..conftest import require, wait_for
from .extracting import DOCKER, Extraction, Image, digest_of, folder, member, snapshot, tar
from .fronting import Front, push, push_manifest, serving

LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
# me:word, by bcrypt, the only form that the registry takes
HTPASSWD = "me:$2b$04$m75/3I7pat74ySnOJAMmu..H2faAky4ONyoxnaJNuhFmPPr3eNNIC\n"


@pytest.fixture(autouse=True)
def no_connections_left():
    """Each test asks with a pool of its own: certificates are read when it is made."""
    yield
    registries._pool().clear()
    registries._pool.cache_clear()


@pytest.fixture
def extract(tree, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return Extraction(tree, tmp_path / "out")


@pytest.fixture
def image():
    """Three layers: the middle one has nothing wanted, the last one much after what is wanted."""
    noise = [os.urandom(50_000) for _ in range(20)]
    return Image([
        tar(folder("data"), *(member(f"data/{n}", part) for n, part in enumerate(noise))),
        tar(folder("other"), *(member(f"other/{n}", part) for n, part in enumerate(noise))),
        tar(member("data/0", b"new"), *(member(f"usr/{n}", part) for n, part in enumerate(noise))),
    ])  # fmt: skip


@pytest.fixture
def pushed(registry, image, unique):
    return push(registry, unique, "1", image)


def log_in(tmp_path, host, login):
    (tmp_path / "docker").mkdir(exist_ok=True)
    auth = base64.b64encode(login.encode()).decode()
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))


def at(front, pushed):
    return f"{front.host}/{pushed.partition('/')[2]}"


def test_a_registry_gives_what_a_layout_gives(extract, pushed, image, tmp_path):
    extract(image.layout(tmp_path / "layout"))
    expected = snapshot(extract.out / "data")
    shutil.rmtree(extract.out)
    shutil.rmtree(tmp_path / "cache")
    extract(pushed)
    assert snapshot(extract.out / "data") == expected
    assert len(extract.read) == 3


def test_unchanged_asks_for_one_manifest_and_no_blob(extract, registry, pushed):
    with serving(Front(registry)) as front:
        first = extract(at(front, pushed))
        front.asked.clear()
        assert extract(at(front, pushed)) == first
        assert [path.rpartition("/")[2] for path, _ in front.asked] == ["1"]


@pytest.mark.parametrize("damage", ["data/1", "data/extra"])
def test_a_folder_that_was_changed_is_made_anew(extract, pushed, damage):
    extract(pushed)
    before = snapshot(extract.out / "data")
    (extract.out / damage).write_text("changed")
    extract(pushed)
    assert snapshot(extract.out / "data") == before


def test_with_a_known_index_only_blobs_with_wanted_files_are_asked_for_and_no_further_than_needed(
    extract, registry, pushed, image
):
    with serving(Front(registry)) as front:
        extract(at(front, pushed))
        before = snapshot(extract.out / "data")
        shutil.rmtree(extract.out)
        front.asked.clear()
        extract(at(front, pushed))
        config, first, _, last = map(digest_of, (image.config, *image.packed))
        assert set(front.blobs) == {config, first, last}
    assert snapshot(extract.out / "data") == before


def test_files_that_no_pass_has_hashed_are_read_with_the_whole_blob_and_known_afterwards(extract, pushed):
    extract(pushed)
    extract(pushed, "/other/3")
    assert len(extract.read) == 1
    shutil.rmtree(extract.out)
    order = asking.order(extract.tree.read(), extract.request(pushed, "/other/3"))
    assert [layer["why"] for layer in run.planned(order, False)["layers"]] == ["to the last wanted file"]


def test_a_blob_that_is_cut_short_is_held_to_the_index_file_by_file(extract, registry, image, unique, tmp_path):
    """A server that sends something else is noticed even though the blob's own digest is never computed."""
    reference = push(registry, unique, "1", image)
    extract(reference)
    shutil.rmtree(extract.out)
    file = index.place(digest_of(image.packed[2]))
    index.rewritten(file, tmp_path / "other", {})
    data = gzip.decompress((tmp_path / "other").read_bytes())
    wrong = data.replace(digest_of(b"new")[7:].encode(), b"0" * 64)
    file.write_bytes(gzip.compress(wrong))
    with pytest.raises(Failed, match="gave data/0 with another content than its index says"):
        extract(reference)
    assert not extract.out.exists()
    extract(reference)  # the index is gone, and made anew
    assert (extract.out / "data/0").read_text() == "new"


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda _: b"", lambda _: b"nonsense", lambda d: d[:-4] + b"abcd"]
)
def test_a_damaged_index_is_ignored_and_made_anew(extract, pushed, image, damage):
    extract(pushed)
    shutil.rmtree(extract.out)
    file = index.place(digest_of(image.packed[0]))
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    extract(pushed)
    assert (extract.out / "data/0").read_text() == "new"
    assert index.usable(file, digest_of(image.packed[0]))


def test_a_cache_that_cannot_be_written_is_done_without(extract, pushed, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null/cache")
    extract(pushed)
    assert (extract.out / "data/0").read_text() == "new"


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


def test_a_token_is_fetched_with_the_login(extract, registry, pushed, tmp_path):
    with serving(Front(registry, login="me:word", token="secret")) as front:
        log_in(tmp_path, front.host, "me:word")
        extract(at(front, pushed))
        assert {headers.get("authorization") for path, headers in front.asked if "/blobs/" in path} == {"Bearer secret"}


@pytest.mark.parametrize(
    ("trouble", "kind", "said"),
    [
        ({"login": "me:word"}, Failed, r"wants a login for .*; run `docker login"),
        ({"status": 403}, Failed, r"wants a login for .*; run `docker login"),
        ({"status": 404}, Wrong, r"has no .*; check name and tag"),
        ({"status": 500}, Failed, r"answered 500"),
    ],
)
def test_a_registry_that_refuses_is_one_sentence(extract, registry, pushed, trouble, kind, said):
    with serving(Front(registry, **trouble)) as front, pytest.raises(kind, match=said):
        extract(at(front, pushed))
    assert not extract.out.exists()


def test_a_login_that_may_not_read_is_told_so(extract, registry, pushed, tmp_path):
    with serving(Front(registry, login="me:word")) as front:
        log_in(tmp_path, front.host, "me:word")
        order = asking.order(extract.tree.read(), extract.request(at(front, pushed)))
        assert order.source.digest
        front.login, front.status = None, 403
        with pytest.raises(Failed, match="does not let this login read"):
            order.source.config()


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


@contextmanager
def secure_registry(folder):
    """A registry with TLS and a login; yields its host and its certificate."""
    program, openssl = shutil.which("docker-registry") or shutil.which("registry"), shutil.which("openssl")
    require("registry", None if program and openssl else "there is no docker-registry and openssl here")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    sh.Command(openssl)(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test",
        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate),
    )  # fmt: skip
    (folder / "htpasswd").write_text(HTPASSWD)
    with serving(Front("")) as front:  # only to get a free port
        host = front.host
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": host, "tls": {"certificate": str(certificate), "key": str(key)}},
        "auth": {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}},
    }
    (folder / "config.yml").write_text(json.dumps(config))
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log) as child,
    ):
        try:
            wait_for(lambda: registries._speaks_tls(host), f"a registry on {host}")
            yield host, certificate
        finally:
            child.terminate()


def test_tls_and_a_login(extract, engine, tmp_path, monkeypatch, image, unique):
    """Pushed as users do, by docker; read with our own TLS and login."""
    (tmp_path / "secure").mkdir()
    with secure_registry(tmp_path / "secure") as (host, certificate):
        # The engine of this machine takes any certificate from 127.0.0.1.
        name = f"{host}/{unique}:1"
        archive = image.archive(tmp_path / "image.tar", name)
        docker = sh.Command(engine.client).bake(
            _env={**engine.environment, "DOCKER_CONFIG": str(tmp_path / "docker")}, _tty_out=False
        )
        docker("load", "--input", str(archive))
        try:
            docker("login", "--username", "me", "--password-stdin", host, _in="word")
            docker("push", "--quiet", name)
        finally:
            docker("image", "rm", "--force", name)
        with pytest.raises(Failed, match=r"cannot be reached .*certificate verify failed"):
            extract(name)
        registries._pool().clear()
        registries._pool.cache_clear()
        monkeypatch.setenv("NGC_CA", str(certificate))
        extract(name)
        assert extract.text("data/0") == "new"


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
        extract(image, *paths)
        assert {path: snapshot(extract.out / path[1:]) for path in paths} == expected


def test_a_proxy_counts_but_not_for_this_machine(monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.invalid:3128")
    monkeypatch.setenv("no_proxy", "inside.invalid")
    asked = ["https://nvcr.io/v2/", "https://inside.invalid/v2/", "https://127.0.0.1:5000/v2/", "https://localhost/v2/"]
    assert [registries._proxy(url) for url in asked] == ["http://proxy.invalid:3128", None, None, None]


def test_an_index_that_nobody_uses_goes_after_90_days(extract, pushed, tmp_path):
    extract(pushed)
    old = index.folder() / ("0" * 64 + ".gz")
    old.write_bytes(b"")
    os.utime(old, (0, 0))
    shutil.rmtree(extract.out)
    extract(pushed, "/other/3")
    assert not old.exists()
    assert len(list(index.folder().iterdir())) == 3
