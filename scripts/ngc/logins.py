"""Who we are to a registry: logins that Docker and podman know, and what a challenge asks for (distribution specification, token flow)."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from msgspec import Struct

from ngc import manifests, proxies, transport
from ngc.errors import Failed, Wrong
from ngc.reference import HUB, Reference
from ngc.transport import Request, Trouble

if TYPE_CHECKING:
    from ngc.transport import Answer

_LARGEST_TOKEN = 1 << 20  # bytes
# Docker keeps the login of its Hub under an address of its first version.
_HUB_NAMES = ("https://index.docker.io/v1/", HUB, "index.docker.io", "registry-1.docker.io")
_TOKEN_USER = "<token>"  # of a credential helper: what it gives is an identity token
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # a token of RFC 9110
_PART = re.compile(rf'({_WORD})(?:\s*=\s*("(?:[^"\\]|\\.)*"|[^\s,"]+))?')


@dataclass(frozen=True)
class Login:
    """A login: a user with a password, or an identity token, which is worth tokens."""

    user: str = ""
    password: str = ""
    identity: str = ""

    @property
    def basic(self) -> str:
        """The Authorization header of a user with a password."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


class _Entry(Struct):
    """A login of a file's `auths`; `auth` is USER:PASSWORD in base64."""

    auth: str | None = None
    username: str | None = None
    password: str | None = None
    identitytoken: str | None = None


class _File(Struct):
    """Docker's config.json, or podman's auth.json, as far as logins go."""

    auths: dict[str, _Entry | None] | None = None
    credsStore: str | None = None  # noqa: N815  # Docker's name, as the next
    credHelpers: dict[str, str] | None = None  # noqa: N815


class _Token(Struct):
    """A token server's answer; both names are in use."""

    token: str | None = None
    access_token: str | None = None


class _Helped(Struct):
    """A credential helper's answer."""

    Username: str = ""
    Secret: str = ""


def find(image: Reference) -> Login | None:
    """The login for an image's registry: NGC_API_KEY for nvcr.io, else of Docker's and podman's files and their credential helpers.

    Raises Wrong for a file that cannot be read.
    """
    if image.host == "nvcr.io" and (key := os.environ.get("NGC_API_KEY")):
        return Login("$oauthtoken", key)
    return next((login for file in _files() if (login := _of_file(file, image)) is not None), None)


def _files() -> Iterator[Path]:
    """Where logins are: what REGISTRY_AUTH_FILE names, Docker's config.json, podman's auth.json (containers-auth.json(5))."""
    if named := os.environ.get("REGISTRY_AUTH_FILE"):
        yield Path(named)
    home = os.path.expanduser("~")  # noqa: PTH111  # ~ stays where there is no home
    yield Path(os.environ.get("DOCKER_CONFIG") or f"{home}/.docker", "config.json")
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime, "containers", "auth.json")
    yield Path(os.environ.get("XDG_CONFIG_HOME") or f"{home}/.config", "containers", "auth.json")


def _of_file(file: Path, image: Reference) -> Login | None:
    try:
        data = file.read_bytes()
    except OSError:
        return None
    fix = f"mend it, or run `docker login {image.host}` again"
    try:
        config = manifests.decode(data, _File, str(file), fix)
    except Failed as error:
        raise Wrong(str(error)) from None
    names = _HUB_NAMES if image.host == HUB else (image.host,)
    helpers = config.credHelpers or {}
    helper = next((helpers[name] for name in names if name in helpers), None) or config.credsStore
    if helper and (login := _helped(helper, names[0])) is not None:
        return login
    for key in _keys(image):
        for name, entry in (config.auths or {}).items():
            if entry is not None and _plain(name) == key and (login := _login(entry, file, fix)) is not None:
                return login
    return None


def _keys(image: Reference) -> Iterator[str]:
    """What a login for an image may stand under, nearest first: podman has logins for a part of a registry as well."""
    hosts = ("index.docker.io", HUB, "registry-1.docker.io") if image.host == HUB else (image.host,)
    parts = image.repository.split("/")
    for count in range(len(parts), -1, -1):
        yield from ("/".join([host, *parts[:count]]) for host in hosts)


def _plain(name: str) -> str:
    """A key of `auths` without its scheme, and without the version that Docker's old addresses end with."""
    return re.sub(r"/v[12]/?$", "", re.sub(r"^https?://", "", name)).rstrip("/")


def _login(entry: _Entry, file: Path, fix: str) -> Login | None:
    if entry.identitytoken:
        return Login(identity=entry.identitytoken)
    if entry.username:
        return Login(entry.username, entry.password or "")
    if not entry.auth:
        return None
    try:
        user, _, password = base64.b64decode(entry.auth, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Wrong(f"{file} has a login that is not USER:PASSWORD in base64; {fix}") from None
    return Login(user, password.rstrip("\0"))


def _helped(helper: str, server: str) -> Login | None:
    """What docker-credential-HELPER knows of a server; None where it knows nothing, or is not here."""
    import sh

    if not re.fullmatch(r"[\w.-]+", helper):
        return None
    try:
        said = sh.Command(f"docker-credential-{helper}")("get", _in=server, _timeout=30, _tty_out=False)
        answer = manifests.decode(str(said).encode(), _Helped, helper, "mend it")
    except (sh.CommandNotFound, sh.ErrorReturnCode, sh.TimeoutException, Failed):
        return None
    if answer.Username == _TOKEN_USER:
        return Login(identity=answer.Secret)
    return Login(answer.Username, answer.Secret) if answer.Username else None


def challenges(headers: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
    """(scheme in small letters, its parameters) of each challenge in the WWW-Authenticate headers (RFC 9110, 11.6.1)."""
    found: list[tuple[str, dict[str, str]]] = []
    for header in headers:
        for name, value in _PART.findall(header):
            if not value:  # a word alone is a scheme, and what follows belongs to it
                found.append((name.lower(), {}))
            elif found:
                found[-1][1][name.lower()] = re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value
    return found


def authorization(image: Reference, url: str, headers: Sequence[str]) -> str | None:
    """The Authorization header that a registry at `url` wants of us, None where we have none. A login never leaves in the clear.

    A token is taken where one is offered, else the login itself where the registry asks for that. Raises Trouble, Wrong.
    """
    login, offered = find(image), challenges(headers)
    bearer = next((fields for scheme, fields in offered if scheme == "bearer" and fields.get("realm")), None)
    if bearer is not None:
        return _token(image, url, bearer, login)
    if login is None or not login.user or not any(scheme == "basic" for scheme, _ in offered):
        return None
    _guarded(url)
    return login.basic


def _guarded(url: str) -> None:
    """Raise Trouble for an address where others on the way could read a login."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not proxies.LOOPBACK.fullmatch(parts.netloc):
        raise Trouble("it wants a login over plain http, which everybody on the way could read")


def _token(image: Reference, url: str, fields: Mapping[str, str], login: Login | None) -> str | None:
    transport.check_step(url, fields["realm"])
    parts = urlsplit(fields["realm"])
    _guarded(url)  # the token goes there
    scope = fields.get("scope") or f"repository:{image.repository}:pull"
    asked = {"service": fields.get("service", ""), "scope": scope}
    if login is None or not login.identity:
        query = urlencode([*parse_qsl(parts.query), *((key, value) for key, value in asked.items() if value)])
        headers = {}
        if login is not None:
            _guarded(fields["realm"])
            headers = {"Authorization": login.basic}
        address = urlunsplit(parts._replace(query=query, fragment=""))
        answer = transport.ask(Request(address, headers), _LARGEST_TOKEN)
    else:
        _guarded(fields["realm"])
        form = {**asked, "grant_type": "refresh_token", "client_id": "ngc-dynamo", "refresh_token": login.identity}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = transport.ask(Request(fields["realm"], headers, "POST", urlencode(form).encode()), _LARGEST_TOKEN)
    return _read(answer, parts.netloc) if answer.status == 200 else None


def _read(answer: Answer, host: str) -> str | None:
    try:
        given: Any = manifests.decode(answer.data, _Token, f"the token of {host}", "")
    except Failed as error:
        raise Trouble(str(error).rstrip("; ")) from None
    token = given.token or given.access_token
    if token and not re.fullmatch(r"[\x21-\x7e]+", token):
        raise Trouble(f"the token of {host} is no token")
    return f"Bearer {token}" if token else None
