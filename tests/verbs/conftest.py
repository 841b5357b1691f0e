"""What the tests of verbs share."""

import shutil
import subprocess

import pytest

from ngc import transport

from ..conftest import require

NAME = "registry.corp.example"  # resolved by nobody but the proxy double


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """(certificate, key) of 127.0.0.1 and of a registry in a network of its own."""
    openssl = shutil.which("openssl")
    require("registry", None if openssl else "there is no openssl here")
    folder = tmp_path_factory.mktemp("tls")
    made = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test",
         "-addext", f"subjectAltName=IP:127.0.0.1,DNS:{NAME}", "-out", made[0], "-keyout", made[1]],
        check=True, capture_output=True,
    )  # fmt: skip
    return made


@pytest.fixture(autouse=True)
def no_connections_left():
    """Connections of a registry that is gone are closed."""
    yield
    transport.forget()
