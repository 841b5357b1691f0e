"""Builds that can be repeated: a base pinned by its digest, packages of a day."""

import hashlib
import http.server
import platform
import shutil
import subprocess
import threading
from dataclasses import replace

import pytest
import sh

from ngc import engine as engines

from ..conftest import require

pytestmark = pytest.mark.engine

DAY = "20261101T000000Z"


def test_a_base_pinned_by_its_digest_is_pulled_and_built_on_and_then_up_to_date(builder, registry, layer_of_one_file):
    name = f"{registry}/{builder.tag}/base:1.0.0"
    builder.import_base(layer_of_one_file, name=name)
    engines.ask(builder.engine, "push", name)
    (digest,) = engines.images(builder.engine, [name])[name].digests
    engines.ask(builder.engine, "image", "rm", name)
    builder.import_base(layer_of_one_file, "LABEL moved=yes", name=name)
    engines.ask(builder.engine, "push", name)  # the tag has moved on; the digest has not
    engines.ask(builder.engine, "image", "rm", name)
    builder.tree = replace(builder.tree, base=f"{name}@{digest.partition('@')[2]}")
    try:
        assert builder.outcomes("runtime") == {"runtime": "built"}
        assert builder.outcomes("runtime") == {"runtime": "up to date"}
        built = f"dynamo-alpha-runtime:{builder.tag}"
        labels = engines.images(builder.engine, [built])[built].labels
        assert labels["org.opencontainers.image.base.digest"] == digest.partition("@")[2]
        assert "moved" not in labels
    finally:
        engines.ask(builder.engine, "image", "rm", "--force", digest, fails=False)


@pytest.fixture
def add(root, engine, invoke, tmp_path):
    """Run apt-add.sh in the stand-in of vllm, with sources of our own and nothing of the network; (code, output, diff)."""
    assert invoke("build", "--framework=vllm", "--target=runtime", "--base=stand-in")[0] == 0
    (tmp_path / "packages.apt").write_text("ngc-test-package # for a test\n")
    (tmp_path / "sources").mkdir()

    def run(sources, snapshot, *options):
        for name, text in sources.items():
            (tmp_path / "sources" / name).write_text(text)
        mounts = {root / "ngc-builds/common/install": "/mnt", tmp_path / "sources": "/etc/apt/sources.list.d"}
        mounts[tmp_path / "packages.apt"] = "/media/packages.apt"
        words = [word for place, there in mounts.items() for word in ("--volume", f"{place}:{there}:ro")]
        words += ["--env", f"APT_SNAPSHOT={snapshot}", *(options or ("--network", "none")), "--entrypoint", "sh"]
        image = "dynamo-stand-in-vllm:0.6.1"
        made = engines.ask(engine, "create", *words, image, "/mnt/apt-add.sh", "/media/packages.apt").strip()
        try:
            done = sh.Command(engine.client)(
                "start", "--attach", made, _ok_code=[0, 1, 100], _return_cmd=True, _tty_out=False
            )
            return (
                done.exit_code,
                done.stdout.decode() + done.stderr.decode(),
                engines.ask(engine, "diff", made).splitlines(),
            )
        finally:
            engines.ask(engine, "rm", "--force", made, fails=False)

    return run


SOURCES = {
    "a.list": """
deb http://deb.debian.org/debian/ bookworm main
deb [arch=amd64] https://ftp.de.debian.org/debian bookworm-updates main
deb http://security.debian.org bookworm-security/updates main
deb http://deb.debian.org/debian-security bookworm-security main
deb http://archive.ubuntu.com/ubuntu noble main
deb http://de.archive.ubuntu.com/ubuntu/ noble-updates main
deb http://ports.ubuntu.com/ubuntu-ports noble-backports main
deb http://developer.download.invalid/debian ./
""",
    "b.sources": """
Types: deb
URIs: http://security.ubuntu.com/ubuntu/ http://deb.debian.org/debian
Suites: noble-security
Components: main
""",
}


def asked(said):
    """(URI, suite) of every list that apt wanted."""
    return {
        tuple(line.split()[1:3])
        for line in said.splitlines()
        if line.startswith(("Err:", "Ign:")) and "Release" in line
    }


def test_with_a_snapshot_apt_asks_the_archives_of_that_day_and_other_sources_as_they_are(add):
    code, said, _ = add(SOURCES, DAY)
    debian, ubuntu = f"//snapshot.debian.org/archive/debian/{DAY}", f"http://snapshot.ubuntu.com/ubuntu/{DAY}"
    security = f"http://snapshot.debian.org/archive/debian-security/{DAY}"
    assert code == 1
    assert asked(said) == {
        (f"http:{debian}", "bookworm"),
        (f"https:{debian}", "bookworm-updates"),
        (security, "bookworm-security/updates"),
        (security, "bookworm-security"),
        (ubuntu, "noble"),
        (ubuntu, "noble-updates"),
        (ubuntu, "noble-backports"),
        ("http://developer.download.invalid/debian", "./"),
        (ubuntu, "noble-security"),
        (f"http:{debian}", "noble-security"),
    }


def test_without_a_snapshot_apt_asks_the_sources_of_the_base(add):
    _, said, _ = add({"a.list": "deb http://deb.debian.org/debian bookworm main\n"}, "")
    assert asked(said) == {("http://deb.debian.org/debian", "bookworm")}


@pytest.mark.parametrize(
    ("snapshot", "source", "told"),
    [
        ("2026-11-01", "http://deb.debian.org/debian", "APT_SNAPSHOT is '2026-11-01'; write a moment such as 20251106T000000Z"),
        (f"{DAY}/#e id", "http://deb.debian.org/debian", "write a moment such as"),
        (DAY, "http://mirror.invalid/debian", "no source of the base is an archive of Ubuntu or Debian"),
    ],
)  # fmt: skip
def test_a_snapshot_that_cannot_be_had_is_one_sentence(add, snapshot, source, told):
    code, said, _ = add({"a.list": f"deb {source} bookworm main\n"}, snapshot)
    assert code == 1
    assert told in said
    assert asked(said) == set()


@pytest.fixture
def archive(tmp_path):
    """A snapshot of one package behind a proxy, and all URLs that it was asked for."""
    require("dpkg-deb", None if shutil.which("dpkg-deb") else "there is no dpkg-deb here to make a package with")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    control = f"Package: ngc-test-package\nVersion: 1.0\nArchitecture: {machine}\nMaintainer: nobody\nDescription: x\n"
    (tmp_path / "deb" / "DEBIAN").mkdir(parents=True)
    (tmp_path / "deb" / "DEBIAN" / "control").write_text(control)
    subprocess.run(["dpkg-deb", "--build", "deb", "x.deb"], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    package = (tmp_path / "x.deb").read_bytes()
    index = f"{control}Filename: pool/x.deb\nSize: {len(package)}\nSHA256: {hashlib.sha256(package).hexdigest()}\n\n".encode()
    listed = f" {hashlib.sha256(index).hexdigest()} {len(index)} main/binary-{machine}/Packages\n"
    # Its Release file was valid until the day after, as Debian's are for a week.
    release = "Suite: bookworm\nCodename: bookworm\nDate: Sun, 01 Nov 2015 00:00:00 UTC\nValid-Until: Mon, 02 Nov 2015 00:00:00 UTC\n"
    top = f"http://snapshot.debian.org/archive/debian/{DAY}"
    files = {
        f"{top}/dists/bookworm/Release": f"{release}Architectures: {machine}\nComponents: main\nSHA256:\n{listed}".encode(),
        f"{top}/dists/bookworm/main/binary-{machine}/Packages": index,
        f"{top}/pool/x.deb": package,
    }
    asked_for = []

    class Proxy(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # http.server's name
            asked_for.append(self.path)
            body = files.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked_for
        server.shutdown()


def test_packages_come_from_the_snapshot_and_the_image_keeps_its_sources(add, archive):
    proxy, asked_for = archive
    sources = {"a.list": "deb [trusted=yes] http://deb.debian.org/debian bookworm main\n"}
    code, said, changed = add(sources, DAY, "--network=host", "--env", f"http_proxy={proxy}")
    assert code == 0, said
    assert "added: ngc-test-package" in said.splitlines()
    assert {url.partition("/dists/")[0].partition("/pool/")[0] for url in asked_for} == {
        f"http://snapshot.debian.org/archive/debian/{DAY}"
    }
    assert any("ngc-test-package" in line for line in changed)
    assert [line for line in changed if "/etc/" in line or "/var/lib/apt/lists" in line or "/tmp/" in line] == []
