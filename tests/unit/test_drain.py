"""dynamo-drain against an etcd and a NATS monitor of our own: what it takes out of discovery, and that it always ends."""

from __future__ import annotations

import base64
import importlib.machinery
import importlib.util
import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

NAMESPACE = "dynamo-graph"
OURS, THEIRS = "694da21112576f0d", "694da21112576f11"


@pytest.fixture(scope="module")
def program(root):
    path = str(root / "ngc-builds" / "common" / "runtime" / "dynamo-drain")
    loader = importlib.machinery.SourceFileLoader("dynamo_drain", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("dynamo_drain", loader))
    loader.exec_module(module)
    return module


class World(BaseHTTPRequestHandler):
    """etcd's gateway, NATS's monitor and a worker's metrics, all on one port."""

    def do_GET(self):
        world = self.server
        if self.path == "/metrics":
            value = world.inflight.pop(0) if world.inflight else 0
            world.total += world.rate
            return self.say(
                f'dynamo_component_inflight_requests{{dynamo_component="x"}} {value}\n'
                f'dynamo_frontend_inflight_requests{{model="x"}} {value}\n'
                f'dynamo_frontend_requests_total{{model="x",status="success"}} {world.total}\n'
            )
        return self.say(json.dumps({"connections": world.connections}))

    def do_POST(self):
        world, body = self.server, json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        first = base64.b64decode(body["key"]).decode()
        if self.path.endswith("deleterange"):
            world.keys.pop(first)
            return self.say("{}")
        last = base64.b64decode(body["range_end"]).decode()
        found = [{"key": coded(k), "lease": str(v)} for k, v in sorted(world.keys.items()) if first <= k < last]
        return self.say(json.dumps({"kvs": found} if found else {}))

    def say(self, text):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        """Nothing on stderr."""


def coded(text):
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def world(program, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), World)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.keys = {
        f"v1/instances/{NAMESPACE}/prefill/generate/{OURS}": int(OURS, 16),
        f"v1/instances/{NAMESPACE}/prefill/clear_kv_blocks/{OURS}": int(OURS, 16),
        f"v1/instances/{NAMESPACE}/prefill/generate/{THEIRS}": int(THEIRS, 16),
        f"v1/instances/another/prefill/generate/{OURS}": 1,
        f"v1/mdc/{NAMESPACE}/prefill/generate/{OURS}": int(OURS, 16),
        f"v1/{NAMESPACE}/ports/10.0.0.1/20001": int(OURS, 16),
        f"v1/{NAMESPACE}/ports/10.0.0.2/20001": int(THEIRS, 16),
    }
    server.connections = [
        {"ip": "10.0.0.1", "subscriptions_list": [f"{NAMESPACE}_prefill.generate-{OURS}", "_INBOX.x"]},
        {"ip": "10.0.0.2", "subscriptions_list": [f"{NAMESPACE}_prefill.generate-{THEIRS}"]},
    ]
    server.inflight = []
    server.total, server.rate = 7, 0
    here = f"127.0.0.1:{server.server_port}"
    monkeypatch.setenv("ETCD_ENDPOINTS", here)
    monkeypatch.setenv("NATS_SERVER", f"nats://{here}")
    monkeypatch.setenv("DYN_NAMESPACE", NAMESPACE)
    monkeypatch.setenv("DYN_SYSTEM_PORT", str(server.server_port))
    monkeypatch.setenv("DYN_HTTP_PORT", str(server.server_port))
    monkeypatch.setattr(program, "own_addresses", lambda: {"10.0.0.1"})
    ask = program.ask
    # NATS's monitor is on port 8222 of its host; here it is the same server.
    monkeypatch.setattr(
        program, "ask", lambda url, body=None: ask(url.replace(":8222", f":{server.server_port}"), body)
    )
    yield server
    server.shutdown()
    server.server_close()


def instances(world):
    return sorted(key for key in world.keys if key.startswith(f"v1/instances/{NAMESPACE}/"))


@pytest.mark.parametrize("nats_tells", [True, False])
def test_only_our_own_instances_go_and_the_leases_stay(program, world, nats_tells):
    if not nats_tells:
        world.connections = []
    said, more = program.drain(limit=5, settle=0.1)
    assert (said, more) == ("2 registrations removed, 0 requests left", 0.0)
    assert instances(world) == [f"v1/instances/{NAMESPACE}/prefill/generate/{THEIRS}"]
    assert f"v1/instances/another/prefill/generate/{OURS}" in world.keys
    assert f"v1/mdc/{NAMESPACE}/prefill/generate/{OURS}" in world.keys


def test_it_waits_for_requests_that_are_in_the_worker(program, world):
    world.inflight = [2, 2, 1, 1, 0]
    said, _ = program.drain(limit=5, settle=0.2)
    assert world.inflight == []
    assert said.endswith("0 requests left")


def test_it_ends_at_its_limit_whatever_is_left(program, world):
    world.inflight = [1] * 1000
    said, _ = program.drain(limit=0.5, settle=0.2)
    assert said.endswith("1 requests left")


def test_without_etcd_it_says_so_and_waits_as_a_plain_sleep_would(program, world, monkeypatch):
    monkeypatch.setenv("ETCD_ENDPOINTS", "127.0.0.1:9")
    said, more = program.drain(limit=5, settle=0.3)
    assert "etcd does not answer at http://127.0.0.1:9" in said
    assert more == 0.3


def test_a_worker_that_is_not_found_is_left_alone(program, world, monkeypatch):
    monkeypatch.setattr(program, "own_addresses", lambda: {"10.9.9.9"})
    before = instances(world)
    said, _ = program.drain(limit=1, settle=0.1)
    assert said.startswith("0 registrations removed")
    assert instances(world) == before


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("etcd:2379", "http://etcd:2379"),
        ("http://etcd:2379", "http://etcd:2379"),
        ("graph-etcd", "http://graph-etcd:2379"),
    ],
)
def test_endpoints_are_read_with_and_without_a_scheme(program, given, url):
    assert program.address(given, "http")[0] == url


@dataclass
class Clock:
    """Stands still but for who sleeps."""

    now: float = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(program, monkeypatch):
    made = Clock()
    monkeypatch.setattr(program, "time", made)
    return made


def test_a_frontend_that_nobody_asks_waits_its_least(program, world, clock):
    assert program.drain_frontend(least=15, settle=5, limit=30).startswith("0 requests came")
    assert clock.now == pytest.approx(15, abs=0.2)


def test_a_frontend_goes_when_no_request_has_come_for_a_while(program, world, clock):
    """The one of 12 s is in it all the while: its answer has the time that the pod may take to end."""
    world.inflight = [0] * 120 + [1] * 1000
    assert program.drain_frontend(least=15, settle=5, limit=30).startswith("1 requests came")
    assert clock.now == pytest.approx(17, abs=0.3)


def test_a_frontend_that_is_asked_all_the_time_ends_at_its_limit(program, world, clock):
    world.rate = 1
    program.drain_frontend(least=15, settle=5, limit=30)
    assert clock.now == pytest.approx(30, abs=0.2)


def test_a_frontend_that_says_nothing_waits_its_least(program, world, clock, monkeypatch):
    monkeypatch.setenv("DYN_HTTP_PORT", "9")
    assert program.drain_frontend(least=15, settle=5, limit=30).startswith("unknown requests came")
    assert clock.now == pytest.approx(15, abs=0.2)
