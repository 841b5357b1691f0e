"""Which login a registry gets, and through which proxy: as Docker and podman do, and never in the clear."""

import base64
import json
import os

import pytest

from ngc.proxies import of

from ..doubles import proxy as proxies
from ..doubles.lying_registry import Registry, serving
from ..doubles.proxy import Proxy
from .conftest import NAME
from .test_lying_registries import wants

ME = base64.b64encode(b"me:s3cret").decode()
REPOSITORY = "nvidia/ai-dynamo/vllm-runtime"


def token(login: str, identity: str = ""):
    """A registry that gives a token for a login, or for an identity token."""
    asks = wants('Bearer realm="{url}/token",service="s"')

    def lie(handler, kind):
        if kind != "token":
            return asks(handler, kind)
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0))).decode()
        given = handler.headers.get("Authorization", "")
        good = f"refresh_token={identity}" in body if identity else given == f"Basic {login}"
        handler.answer(200 if good else 401, b'{"token": "", "access_token": "T"}')
        return True

    return lie


LOGINS = {
    "auth": lambda host: {"auths": {host: {"auth": ME}}},
    "https-v1": lambda host: {"auths": {f"https://{host}/v1/": {"auth": ME}}},
    "https-v2": lambda host: {"auths": {f"https://{host}/v2/": {"auth": ME}}},
    "scheme": lambda host: {"auths": {f"https://{host}": {"auth": ME}}},
    "username": lambda host: {"auths": {host: {"username": "me", "password": "s3cret"}}},
    "part-of-a-registry": lambda host: {
        "auths": {f"{host}/nvidia/ai-dynamo": {"auth": ME}, host: {"auth": "d3Jvbmc6d3Jvbmc="}}
    },
    "beside-others": lambda host: {"auths": {"other.example": {"auth": "!"}, host: {"auth": ME}, "x": None}},
    "empty-first": lambda host: {"credsStore": "nothere", "auths": {host: {"auth": ME}}},
}


def put(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


@pytest.mark.parametrize("form", LOGINS)
@pytest.mark.parametrize("place", ["docker", "named", "podman", "podman-runtime", "docker-config"])
def test_a_login_is_found_where_docker_and_podman_keep_it(verbs, tmp_path, form, place):
    home, environment = tmp_path / "home", {}
    file = {
        "docker": home / ".docker/config.json",
        "named": tmp_path / "auth.json",
        "podman": home / ".config/containers/auth.json",
        "podman-runtime": tmp_path / "run/containers/auth.json",
        "docker-config": tmp_path / "elsewhere/config.json",
    }[place]
    environment = {
        "named": {"REGISTRY_AUTH_FILE": str(file)},
        "podman-runtime": {"XDG_RUNTIME_DIR": str(tmp_path / "run")},
        "docker-config": {"DOCKER_CONFIG": str(tmp_path / "elsewhere")},
    }.get(place, {})
    with serving(Registry(token(ME))) as registry:
        put(file, LOGINS[form](registry.host))
        said = verbs("outdated", f"--mirror={registry.host}", **environment)
    assert "1.6.2" in said.out, said


def test_an_identity_token_is_worth_a_token(verbs, tmp_path):
    with serving(Registry(token(ME, identity="REFRESH"))) as registry:
        auth = {"auth": base64.b64encode(b"00000000-0000-0000-0000-000000000000:").decode(), "identitytoken": "REFRESH"}
        put(tmp_path / "home/.docker/config.json", {"auths": {registry.host: auth}})
        said = verbs("outdated", f"--mirror={registry.host}")
        assert "1.6.2" in said.out, said
        assert not [path for path, _ in registry.asked if "REFRESH" in path]


def helper(tmp_path, answer: str) -> dict[str, str]:
    """A credential helper called `test` on PATH."""
    program = put(tmp_path / "bin/docker-credential-test", f"#!/bin/sh\ncat >/dev/null\necho '{answer}'\n")
    program.chmod(0o755)
    return {"PATH": f"{tmp_path}/bin:{os.environ.get('PATH', os.defpath)}"}


@pytest.mark.parametrize(
    ("answer", "identity"),
    [('{"Username": "me", "Secret": "s3cret"}', ""), ('{"Username": "<token>", "Secret": "REFRESH"}', "REFRESH")],
)
@pytest.mark.parametrize("key", ["credHelpers", "credsStore"])
def test_a_credential_helper_gives_a_password_or_an_identity_token(verbs, tmp_path, answer, identity, key):
    path = helper(tmp_path, answer)
    with serving(Registry(token(ME, identity))) as registry:
        put(tmp_path / "home/.docker/config.json", {key: {registry.host: "test"} if key == "credHelpers" else "test"})
        assert "1.6.2" in verbs("outdated", f"--mirror={registry.host}", **path).out


@pytest.mark.parametrize("answer", ["", "no", "[]", '{"Username": 1}', '{"message": "credentials not found"}'])
def test_a_helper_that_knows_nothing_is_no_login(verbs, tmp_path, answer):
    path = helper(tmp_path, answer)
    with serving(Registry(token(ME))) as registry:
        put(tmp_path / "home/.docker/config.json", {"credsStore": "test"})
        said = verbs("outdated", f"--mirror={registry.host}", **path)
    assert (said.code, "wants a login" in said.err, said.err.count("error: ")) == (1, True, 1)


BROKEN = {
    "half": '{"auths": {',
    "a-list": "[]",
    "deep": "[" * 100_000,
    "auths-text": '{"auths": "x"}',
    "auth-number": '{"auths": {"HOST": {"auth": 1}}}',
    "auth-no-base64": '{"auths": {"HOST": {"auth": "!!!"}}}',
    "auth-no-text": '{"auths": {"HOST": {"auth": "//8="}}}',
    "helpers-list": '{"credHelpers": ["x"]}',
    "not-utf-8": "\udcff",
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_file_of_logins_is_named(verbs, tmp_path, how):
    with serving(Registry(token(ME))) as registry:
        file = put(tmp_path / "home/.docker/config.json", "")
        file.write_bytes(BROKEN[how].replace("HOST", registry.host).encode(errors="surrogateescape"))
        said = verbs("outdated", f"--mirror={registry.host}")
    assert said.code == 2, said
    assert str(file) in said.err
    assert "Traceback" not in said.err


def through(proxy: Proxy, certificate, **more: str) -> dict[str, str]:
    """The environment of a network whose registry is reached by a proxy alone."""
    return {"NGC_CA": str(certificate[0]), "https_proxy": f"http://{proxy.host}", **more}


LOGINS_OF_PROXIES = {
    "alice:s3cret": "alice:s3cret",
    "alice:p%40ss%3Aword": "alice:p@ss:word",
    "alice:a#b": "alice:a#b",
    "alice:a/b?c": "alice:a/b?c",
    "corp%5Calice:x": "corp\\alice:x",
    "alice": "alice:",
}


@pytest.mark.parametrize("written", LOGINS_OF_PROXIES)
@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_is_told_its_login(verbs, certificate, written, variable):
    with serving(Registry(), certificate) as registry, proxies.serving(Proxy(LOGINS_OF_PROXIES[written])) as proxy:
        environment = {"NGC_CA": str(certificate[0]), variable: f"http://{written}@{proxy.host}"}
        said = verbs("outdated", f"--mirror={NAME}:{registry.host.rpartition(':')[2]}", **environment)
        assert "1.6.2" in said.out, said
        assert {path for path, _ in proxy.asked} == {f"{NAME}:{registry.host.rpartition(':')[2]}"}
        assert not [login for _, login in registry.asked if login]


@pytest.mark.parametrize("url", ["http://alice:s3#cret@{host}", "socks5://alice:s3#cret@{host}", "ftp://alice:s3#cret@{host}", "http://alice:s3#cret@"])  # fmt: skip
def test_a_proxy_s_login_is_never_shown(verbs, certificate, url):
    with proxies.serving(Proxy("other:login")) as proxy:
        environment = {"NGC_CA": str(certificate[0]), "https_proxy": url.format(host=proxy.host)}
        said = verbs("outdated", f"--mirror={NAME}:5000", **environment)
    assert said.code in (1, 2)
    assert said.err.count("error: ") == 1
    for secret in ("s3#cret", "s3", "cret@", "alice"):
        assert secret not in said.err + said.out


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        (NAME, True),
        (f"other.example, {NAME}", True),
        ("corp.example", True),
        (".corp.example", True),
        ("*.corp.example", True),
        (f"{NAME}:PORT", True),
        ("*", True),
        (f"{NAME.upper()}.", True),
        (f"{NAME}:1", False),
        (f".{NAME}", False),
        ("orp.example", False),
        ("10.0.0.0/8,[::1]", False),
        ("example:PORT,/,:,=", True),
    ],
)
def test_no_proxy_is_read_as_everywhere(verbs, certificate, no_proxy, direct):
    with serving(Registry(), certificate) as registry, proxies.serving(Proxy()) as proxy:
        port = registry.host.rpartition(":")[2]
        environment = through(proxy, certificate, no_proxy=no_proxy.replace("PORT", port))
        said = verbs("outdated", f"--mirror={NAME}:{port}", **environment)
        assert bool(proxy.asked) != direct, said


@pytest.mark.parametrize(
    ("no_proxy", "direct"), [("192.0.2.0/24", True), ("192.0.2.7", True), ("192.0.2.8/29,198.51.100.0/24", False)]
)
def test_no_proxy_may_hold_networks(monkeypatch, no_proxy, direct):
    for name in ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, no_proxy if "no" in name.lower() else "http://proxy.example:3128")
    assert (of("https://192.0.2.7/v2/") is None) == direct


def daemon(tmp_path, host: str, secure: bool) -> dict[str, str]:
    """A docker client whose daemon knows a registry."""
    known = {"InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": {host: {"Name": host, "Secure": secure}}}
    client = put(tmp_path / "bin/docker", f"#!/bin/sh\necho '{json.dumps(known)}'\n")
    client.chmod(0o755)
    return {"NGC_ENGINE": str(client)}


def test_a_registry_that_docker_calls_insecure_is_read_in_plain_http(verbs, tmp_path):
    with serving(Registry()) as registry, proxies.serving(Proxy()) as proxy:
        host = f"{NAME}:{registry.host.rpartition(':')[2]}"
        environment = {"all_proxy": f"http://{proxy.host}", **daemon(tmp_path, host, secure=False)}
        said = verbs("outdated", f"--mirror={host}", **environment)
    assert "1.6.2" in said.out, said


def test_a_registry_that_speaks_no_tls_is_said_with_the_way_out(verbs, tmp_path):
    with serving(Registry()) as registry, proxies.serving(Proxy()) as proxy:
        host = f"{NAME}:{registry.host.rpartition(':')[2]}"
        environment = {"all_proxy": f"http://{proxy.host}", **daemon(tmp_path, host, secure=True)}
        said = verbs("outdated", f"--mirror={host}", **environment)
        assert registry.asked == []
    assert said.code == 1
    assert "it speaks no TLS and is not among Docker's insecure-registries" in said.err


@pytest.mark.parametrize("challenge", ['Basic realm="r"', 'Bearer realm="{url}/token",service="s"'])
def test_no_login_goes_over_plain_http_to_another_machine(verbs, tmp_path, challenge):
    """Docker would send it to a registry that it was told to be insecure; whoever listens would have it."""
    with serving(Registry(wants(challenge))) as registry, proxies.serving(Proxy()) as proxy:
        host = f"{NAME}:{registry.host.rpartition(':')[2]}"
        put(tmp_path / "home/.docker/config.json", {"auths": {host: {"auth": ME}}})
        environment = {"all_proxy": f"http://{proxy.host}", **daemon(tmp_path, host, secure=False)}
        said = verbs("outdated", f"--mirror={host}", **environment)
        assert not [login for _, login in registry.asked if login]
    assert "wants a login over plain http" in said.err
