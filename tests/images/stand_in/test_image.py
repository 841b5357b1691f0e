"""What holds for every layout: what is loaded, what is claimed, who may run it, how big it is."""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sh

from ngc.catalog import Base
from ngc.certificates import ca_bundle

from .stack import LABEL, Container, Model

BUDGET = 400 * 10**6
ROOT = ("--user", "0")
ADDED = Path("/usr/local/share/ca-certificates")

LOADED_LIBCUDA = (
    "import ctypes; ctypes.CDLL('libcuda.so.1'); "
    "print(*{line.split()[-1] for line in open('/proc/self/maps') if 'libcuda.so.1' in line})"
)
# Something else that loads alone and is no stub: stands for a driver.
OTHER = "/lib/x86_64-linux-gnu/libz.so.1"


@pytest.fixture(scope="module")
def worker(workers: None, services: tuple, framework: str, known: Base) -> Container:
    """One aggregated worker that has answered, with a NIXL agent."""
    stack, url = services
    model = Model(stack, url, framework)
    container = model.worker(*known.serving.get("connector", ()))
    model.wait_for_answer()
    return container


def test_it_fits_the_budget(run: Callable[..., str]):
    """Bytes in files, so that it means the same on every engine: some count blocks, some compressed layers as well."""
    listed = run("find", "/", "-xdev", "-type", "f", "-printf", "%i %s\\n", options=ROOT).splitlines()
    assert 0 < sum(int(line.split()[1]) for line in set(listed)) <= BUDGET


def test_ucx_and_its_modules_are_loaded_from_the_base(worker: Container, known: Base):
    """PyPI's nixl brings a UCX of its own and finds it before LD_LIBRARY_PATH is asked; without the base's modules no
    GPU is ever seen, and nothing else shows it."""
    paths = set(re.findall(r"/\S+/libuc[mpst]\S*\.so\S*", worker.exec("cat", "/proc/1/maps")))
    libraries = {path for path in paths if "/libuc" in path and "_" not in path.rsplit("/", 1)[1]}
    modules = paths - libraries
    folder = worker.exec("realpath", "-e", str(known.components["ucx"].libraries)).strip()
    assert {path.rsplit("/", 1)[0] for path in libraries} == {folder}
    assert {path.rsplit("/", 1)[0] for path in modules} == {f"{folder}/ucx"}


def test_nixl_is_loaded_from_where_its_variables_say(worker: Container):
    maps = worker.exec("cat", "/proc/1/maps")
    plugins = worker.exec("sh", "-c", "realpath -e $NIXL_PLUGIN_DIR").strip()
    assert f"{plugins.rpartition('/')[0]}/libnixl.so" in maps
    assert f"{plugins}/libplugin_UCX.so" in maps


def test_an_idle_worker_is_idle(worker: Container):
    """NIXL's own progress thread would take a core."""
    percent = worker.exec(
        "python3",
        "-c",
        "import time; used = lambda: sum(map(int, open('/proc/1/stat').read().rsplit(')', 1)[1].split()[11:13]));"
        "a = used(); time.sleep(5); print((used() - a) / 5)",  # ticks are 1/100 s
    )
    assert float(percent) < 10


def test_the_driver_stub_is_found_when_there_is_no_driver(run: Callable[..., str]):
    assert run("python3", "-c", LOADED_LIBCUDA).strip() == "/usr/lib/libcuda.so.1"


def test_a_driver_on_the_library_path_wins(run: Callable[..., str]):
    script = f'mkdir /tmp/driver && cp {OTHER} /tmp/driver/libcuda.so.1 && exec python3 -c "$1"'
    for path in ("/tmp/driver", "$LD_LIBRARY_PATH:/tmp/driver"):
        shown = run("sh", "-c", f"export LD_LIBRARY_PATH={path}; {script}", "sh", LOADED_LIBCUDA)
        assert "/tmp/driver/libcuda.so.1" in shown
        assert "/usr/lib/libcuda.so.1" not in shown


@pytest.mark.parametrize("folder", ["/usr/lib/x86_64-linux-gnu", "/usr/local/nvidia/lib64"])
@pytest.mark.parametrize("before, after", [("true", "true"), ("ldconfig", "true"), ("true", "ldconfig")])
def test_a_driver_mounted_into_a_default_folder_wins(run: Callable[..., str], folder: str, before: str, after: str):
    """The NVIDIA container toolkit mounts it there, and may or may not run ldconfig; a derived image may have run it."""
    script = f'{before}; mkdir -p {folder}; cp {OTHER} {folder}/libcuda.so.1; {after}; exec python3 -c "$1"'
    shown = run("sh", "-c", script, "sh", LOADED_LIBCUDA, options=ROOT)
    assert f"{folder}/libcuda.so.1" in shown.split()
    assert "/usr/lib/libcuda.so.1" not in shown.split()


def test_it_claims_no_package_that_it_does_not_have(run: Callable[..., str], known: Base):
    names = run(
        "python3", "-c", "from importlib.metadata import distributions; print(*sorted(d.name for d in distributions()))"
    ).split()
    assert not {"torch", "vllm", "tensorrt_llm", "tensorrt-llm", "transformers"} & set(names)
    assert {"ai-dynamo", "ai-dynamo-runtime"} <= set(names)
    assert ("nixl" in names) is not known.lacks("nixl")


def test_only_the_engine_it_stands_in_for_can_be_imported(run: Callable[..., str], framework: str):
    found = run(
        "python3", "-c", "from importlib.util import find_spec; print(*filter(find_spec, ('vllm', 'tensorrt_llm')))"
    )
    assert found.split() == [{"vllm": "vllm", "trtllm": "tensorrt_llm"}[framework]]


def test_any_user_of_group_0_can_run_a_worker(model: Model):
    """OpenShift gives a random UID; only /tmp is writable here."""
    model.worker(options=("--user", "12345:0", "--read-only", "--tmpfs", "/tmp"))
    model.wait_for_answer()
    assert model.first_word() == "local"


def test_the_folders_of_the_real_image_are_there(run: Callable[..., str], known: Base):
    """User, entrypoint and variables are held to image.yaml by the tests of every image; here are files."""
    parts = known.components
    paths = [
        "/usr/local/bin/etcd/etcd",
        "/usr/local/bin/etcd/etcdctl",
        "/usr/bin/nats-server",
        "/workspace/version.txt",
    ]
    if ucx := parts["ucx"].path:
        paths += [f"{ucx}/bin/ucx_info", f"{ucx}/bin/ucx_perftest", f"{ucx}/include/ucp/api/ucp.h"]
    if nixl := parts["nixl"].path:
        paths += [nixl]
    if venv := known.environment.get("VIRTUAL_ENV"):
        paths += [f"{venv}/bin/python3"]
    paths += [str(path) for path in known.extract.get("dynamo-wheels", {}).get("paths", ["/opt/dynamo/wheelhouse"])]
    assert set(run("ls", "-d", *paths).split()) == set(paths)


def test_what_the_real_image_lacks_is_not_there(run: Callable[..., str], known: Base):
    """Each is what the contract and the Dockerfiles of 0.6.1 could rely on without anybody noticing."""
    gone = []
    if "VIRTUAL_ENV" not in known.environment:
        gone += ["/opt/dynamo/venv"]
    if known.components["ucx"].path is None:
        gone += ["/usr/local/ucx"]
    if known.components["nixl"].path != "/opt/nvidia/nvda_nixl":
        gone += ["/opt/nvidia/nvda_nixl"]
    if known.entrypoint == ():
        gone += ["/opt/nvidia/nvidia_entrypoint.sh"]
    assert run("sh", "-c", 'for one; do [ ! -e "$one" ] || echo "$one"; done', "sh", *gone).split() == []
    assert "/workspace" in run("ls", "-d", "/workspace")


def test_the_entrypoint_runs_its_arguments_after_a_banner(client: sh.Command, image: str, facts: dict[str, Any]):
    if not facts["Config"]["Entrypoint"]:
        pytest.skip("this layout has no entrypoint")
    shown = str(client("run", "--rm", "--label", "ngc-dynamo.test", image, "echo", "hello there", _timeout=30))
    assert shown.endswith("hello there\n")
    assert "stand-in" in shown


def test_no_certificate_of_the_building_machine_is_in_the_image(
    run: Callable[..., str], client: sh.Command, image: str
):
    """A network's own CA would come along with the build secret, were it stored."""
    bundle = ca_bundle() or Path(ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt")
    if not bundle.exists():
        pytest.skip(f"this machine has no {bundle} to compare with")
    own = set(certificates(bundle.read_text(errors="replace")))
    public = set(certificates(run("sh", "-c", "cat /usr/share/ca-certificates/*/*.crt")))
    trusted = set(certificates(run("cat", "/etc/ssl/certs/ca-certificates.crt")))
    assert trusted == public
    # Roots that only pip's own bundle still has are public too; what was added to this machine by hand never is.
    find_pip = "import pip; print(pip.__path__[0])"
    elsewhere = set(certificates(run("sh", "-c", f"cat $(python3 -c '{find_pip}')/_vendor/certifi/*.pem")))
    added = {one for path in ADDED.rglob("*.crt") for one in certificates(path.read_text(errors="replace"))}
    private = (own - public - elsewhere) | (added - public)
    # The middle of a certificate is all its own; the first lines name only its issuer. A public one shows that all is read.
    lines = {middle(one) for one in private}
    known = middle(min(public))
    own_files = "find / -xdev -type f -not -path '/proc/*' -not -path '/sys/*' -not -path /tmp/lines"
    program = f"cat >/tmp/lines; LC_ALL=C {own_files} -exec grep -aohF -f /tmp/lines {{}} + || :"
    words = ("run", "--rm", "--interactive", "--label", LABEL, *ROOT, "--entrypoint", "sh", image, "-c", program)
    found = str(client(*words, _in="\n".join([known, *lines]), _timeout=120)).split()
    assert known in found
    assert set(found) == {known}
    assert not run("sh", "-c", "ls -A /run/secrets 2>/dev/null || true", options=ROOT)


def middle(certificate: bytes) -> str:
    """The line in the middle of a certificate's PEM text, whose lines hold 48 bytes, as base64's encoder wraps them."""
    return base64.b64encode(certificate)[len(certificate) // 96 * 64 :][:64].decode()


def certificates(text: str) -> list[bytes]:
    """The DER content of all certificates in a PEM text."""
    pattern = "-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----"
    return [ssl.PEM_cert_to_DER_cert(one) for one in re.findall(pattern, text, re.DOTALL)]
