"""OpenShift gives each pod a random UID with GID 0, and often a root file system that nobody may write to."""

import pytest

from ..background import FOLDER, begin
from ..programs import TRANSFER

STRANGER = ("--user", "12345:0")


@pytest.fixture(scope="module")
def stranger(start, container):
    """A container as OpenShift starts it, which shares the network with the one that has etcd and NATS."""
    return start(
        *STRANGER, "--read-only", "--tmpfs", "/tmp", "--env", "HOME=/tmp", "--network", f"container:{container.id}"
    )


def test_any_user_of_group_0_can_run_the_frontend(stranger, services, ports):
    """A file that only its owner can read stops such a pod with EACCES (ai-dynamo/dynamo#3935)."""
    assert stranger.output("id", "-u") == "12345"
    services.ready()
    url = f"http://127.0.0.1:{ports[5]}/health"
    words = ("python3", "-m", "dynamo.frontend", "--http-host", "127.0.0.1", "--http-port", str(ports[5]))
    frontend = begin(stranger, "frontend", *words, environment=services.environment)
    frontend.wait_for(lambda: stranger.run("curl", "-fsS", url).rc == 0, "it is healthy")


def test_any_user_of_group_0_can_transfer_over_nixl(stranger, component, driver):
    """The venv, NIXL's plugins and UCX's modules must be readable for all (ai-dynamo/dynamo#3935)."""
    component("nixl")
    assert stranger.python(TRANSFER).splitlines()[-1] == "DONE equal"


def test_any_user_of_group_0_can_write_to_the_caches(start, entry):
    """Models, kernels and Triton's cache land there (ai-dynamo/dynamo#13040 made more of them writable, in 1.4.0)."""
    if entry is None or not entry.caches:
        pytest.skip("image.yaml names no folder that any user may write to")
    writer = start(*STRANGER)
    assert writer.run("touch", "/usr/a-file").rc != 0
    for folder in entry.caches:
        writer.output("sh", "-c", f"mkdir -p {folder}{FOLDER} && touch {folder}{FOLDER}/a-file")
