"""Whom this machine believes: the certificates that vouch for registries and mirrors, as Docker, pip and curl know them."""

from __future__ import annotations

import os
import re
import socket
import ssl
from pathlib import Path

from ngc.errors import Wrong


def ca_bundle() -> Path | None:
    """The file of certificates this machine trusts, if it was told to trust more than its distribution does.

    NGC_CA names one; else the variables that pip, curl, requests and OpenSSL know; else a locally added certificate.
    """
    for name in ("NGC_CA", "PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE"):
        if path := os.environ.get(name):
            if Path(path).is_file():
                return Path(path)
            if name == "NGC_CA":
                raise Wrong(f"NGC_CA is '{path}', which is no file; name a file of PEM certificates")
    added = Path("/usr/local/share/ca-certificates")
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    return bundle if bundle.is_file() and added.is_dir() and any(added.rglob("*.crt")) else None


def context(host: str, verify: bool) -> ssl.SSLContext:
    """What vouches for a host: this machine's certificates, NGC_CA and its like, and Docker's certs.d/HOST, client certificates too."""
    if not verify:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context
    bundle = ca_bundle()
    context = ssl.create_default_context(cafile=str(bundle) if bundle else None)
    for folder in certificate_folders(host):
        for file in sorted(folder.glob("*.crt")):
            context.load_verify_locations(file)
        for file in sorted(folder.glob("*.cert")):
            context.load_cert_chain(file, file.with_suffix(".key"))
    return context


def certificate_folders(host: str) -> list[Path]:
    """Where Docker, rootless Docker and podman look for a registry's certificates (docs.docker.com/engine/security/certificates)."""
    if not re.fullmatch(r"[A-Za-z0-9.:\[\]-]+", host):
        return []
    own = Path(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"))  # noqa: PTH111  # ~ stays without a home
    tops = (Path("/etc/docker"), own / "docker", Path("/etc/containers"), own / "containers")
    return [top / "certs.d" / host for top in tops if (top / "certs.d" / host).is_dir()]


def speaks_tls(host: str) -> bool:
    """Whether what listens at a host answers a TLS handshake at all."""
    name, _, port = host.rpartition(":") if re.search(r":\d+$", host) else (host, "", "443")
    anything = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anything.check_hostname, anything.verify_mode = False, ssl.CERT_NONE  # only asked, not trusted
    try:
        with socket.create_connection((name.strip("[]"), int(port)), timeout=5) as line, anything.wrap_socket(line):
            return True
    except OSError:
        return False
