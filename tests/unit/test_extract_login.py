"""Extraction from registries that want a login: basic and by token, by TLS, and what is said when they refuse."""

import json
import shutil
import subprocess
from contextlib import contextmanager

import pytest
import sh

from ngc import certificates
from ngc.errors import Failed, Wrong
from ngc.extract import asking

from ..conftest import require, wait_for
from .fetching import at, extract_fixture, image_fixture, log_in, no_connections_left, pushed_fixture  # noqa: F401  # fixtures
from .fronting import Front, serving

# me:word, by bcrypt, the only form that the registry takes
HTPASSWD = "me:$2b$04$m75/3I7pat74ySnOJAMmu..H2faAky4ONyoxnaJNuhFmPPr3eNNIC\n"


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
            wait_for(lambda: certificates.speaks_tls(host), f"a registry on {host}")
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
        monkeypatch.setenv("NGC_CA", str(certificate))
        extract(name)
        assert extract.text("data/0") == "new"
