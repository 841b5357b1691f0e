"""etcd, NATS and Dynamo's frontend out of the image itself. Passes on an untouched base as well."""

from __future__ import annotations

import json
import time
import uuid
from posixpath import normpath

import pytest

from ngc import engine as engines
from ngc.clean import TEST_LABEL

from ..background import begin, wait_for
from ..logs import unexpected
from ..programs import NATS
from ..versions import check_version


@pytest.fixture(scope="module")
def frontend(container, services, ports):
    """A frontend with etcd and NATS of the same image, answering; and the URL to reach it inside."""
    services.ready()
    running = begin(
        container, "frontend", "python3", "-m", "dynamo.frontend", "--http-host", "127.0.0.1", "--http-port",
        str(ports[3]), environment=services.environment,
    )  # fmt: skip
    url = f"http://127.0.0.1:{ports[3]}"
    running.wait_for(lambda: container.run("curl", "-sS", f"{url}/").rc == 0, "it listens")
    yield url
    running.end()


def get(container, url):
    """HTTP status and body."""
    body, _, status = container.output("curl", "-sS", "-m", "10", "-w", "\n%{http_code}", url).rpartition("\n")
    return int(status), body


def test_etcd_is_the_version_and_in_the_place_of_the_base(container, component):
    """Deployments start it from the image since public etcd images vanished (ai-dynamo/dynamo#2806)."""
    etcd = component("etcd")
    assert normpath(container.output("sh", "-c", "command -v etcd")) == f"{etcd.path}/etcd"
    said = container.output("etcd", "--version").splitlines()
    check_version(next(line.split()[-1] for line in said if line.startswith("etcd Version")), etcd, container)


def test_etcd_starts_and_keeps_what_it_is_told(component, services):
    """All of 0.6.1's processes find each other through it, and end when it is gone (ai-dynamo/dynamo#2806)."""
    component("etcd")
    services.etcd.wait_for(lambda: services.etcd_answers("put", "probe", "kept") is not None, "it takes a value", 30)
    assert services.etcd_answers("get", "probe", "--print-value-only") == "kept\n"


def test_nats_is_the_version_and_in_the_place_of_the_base(container, component):
    """Requests travel over it; Dynamo 0.8 did not work with an older one's JetStream."""
    nats = component("nats")
    assert container.output("sh", "-c", "command -v nats-server") == nats.path
    check_version(container.output("nats-server", "--version").split("v")[-1], nats, container)


def test_nats_starts_with_jetstream_and_delivers(container, component, services):
    """0.6.1 keeps KV events in JetStream: without it no worker starts."""
    component("nats")
    services.nats.wait_for(lambda: "Server is ready" in services.nats.log, "it is ready")
    said = json.loads(container.python(NATS, str(services.nats_port)))
    assert (said["jetstream"], said["got"]) == (True, ["MSG", "hello"])


def test_the_frontend_says_that_it_is_healthy(container, frontend):
    """The operator's readiness probe asks /health with curl and reads it with jq (ai-dynamo/dynamo#3726)."""
    status, body = get(container, f"{frontend}/health")
    assert status == 200, f"/health answers {status}"
    assert json.loads(body)["status"] == "healthy"
    asked = container.output("sh", "-c", f"curl -s {frontend}/health | jq -e '.status == \"healthy\"'")
    assert asked == "true"


def test_the_frontend_lists_its_models(container, frontend):
    """Clients ask /v1/models first; without a worker it is an empty list, not an error (ai-dynamo/dynamo#4748)."""
    status, body = get(container, f"{frontend}/v1/models")
    assert status == 200, f"/v1/models answers {status}"
    assert json.loads(body) == {"object": "list", "data": []}
    assert get(container, f"{frontend}/v1/nothing")[0] == 404


@pytest.fixture(scope="module")
def stopped(client, subject, container, services, ports):
    """A frontend that was started as users start it, through the entrypoint, and sent SIGTERM: (exit code, seconds, log)."""
    services.ready()
    name = f"ngc-test-{uuid.uuid4().hex[:12]}"
    variables = [f"--env={key}={value}" for key, value in services.environment.items()]
    try:
        engines.ask(
            client, "run", "--detach", "--name", name, "--label", f"{TEST_LABEL}=1", "--network",
            f"container:{container.id}", *variables, client.local(subject.image),
            "python3", "-m", "dynamo.frontend", "--http-host", "127.0.0.1", "--http-port", str(ports[4]),
        )  # fmt: skip
        url = f"http://127.0.0.1:{ports[4]}/health"
        wait_for(lambda: container.run("curl", "-fsS", url).rc == 0, "a frontend through the entrypoint", 60)
        begun = time.monotonic()
        engines.ask(client, "stop", "--time", "6", name)
        seconds = time.monotonic() - begun
        code = int(engines.ask(client, "inspect", "--format", "{{.State.ExitCode}}", name) or -1)
        log = logs(client, name)
        return code, seconds, log.splitlines()
    finally:
        engines.ask(client, "rm", "--force", "--volumes", name, fails=False)


def logs(client, name):
    """Both streams of a container."""
    import sh

    return str(sh.Command(client.client)("logs", name, _err_to_out=True, _tty_out=False))


def test_the_frontend_ends_soon_after_sigterm(stopped):
    """Kubernetes and Compose send SIGTERM and then wait: an entrypoint that does not pass it on costs 10 s or more, and
    requests, at every rollout."""
    code, seconds, _ = stopped
    assert (code, seconds < 5) == (0, True), f"exit code {code} after {seconds:.1f} s"


def test_the_frontend_logs_no_warning(stopped, entry):
    """What is not known as harmless in image.yaml is a finding; nobody reads past a log full of noise."""
    _, _, lines = stopped
    assert any("Starting HTTP" in line for line in lines), "the frontend's log is not to be seen at all"
    assert unexpected(lines, entry) == []
