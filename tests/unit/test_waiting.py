"""How long a deploy waits for what, on a clock of its own and with looks that a test writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from ngc.deploy.asking import Answer
from ngc.deploy.cluster import explaining, observing, waiting
from ngc.deploy.cluster.kubectl import Cluster, Unreachable
from ngc.deploy.cluster.observing import SILENT, Look, Pod, State
from ngc.deploy.cluster.revisions import Part, Revision
from ngc.deploy.promise import Asked, Promise
from ngc.errors import Failed

CLUSTER = Cluster("here", "mine", "https://server")
PART = Part("Worker", "g-worker", 1, "image:1.0.0", (), ())
PROMISE = Promise("ns", ("m",), (), None, stand_in=False)
REVISION = Revision("g", 1, "now", "g", "image:1.0.0", "dgd", "", "applied", (PART,), "g-frontend", PROMISE, ())
READY = Look("", (State(PART, 1, 1, ""),), (), {}, {})
NOT_READY = replace(READY, states=(State(PART, 0, 1, "0 of 1 pods ready"),))
AWAY = Unreachable("the API server does not answer")
POD = Pod("g-worker-1", "Worker", False, False, "CrashLoopBackOff", "", 0, "", "", 10.0, False, None)
ETCD_READY = "2026-01-01T10:00:00Z"


@dataclass
class World:
    """A clock that only sleeping moves, and what is seen by it: `looks` and `answers` are functions of the time in seconds."""

    now: float = 0.0
    looks: Callable[[float], Look | Exception] = lambda _: READY
    answers: Callable[[float], Asked | Exception] = lambda _: Asked({"a.b": 1}, ("m",), {"m": Answer(200, "Hi", "")})
    said: list[str] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def look(self, *_: object) -> Look:
        return _given(self.looks(self.now))

    def ask(self, *_: object) -> Asked:
        return _given(self.answers(self.now))

    def update(self, states: dict[str, str]) -> None:
        self.said += [f"{name}: {state}" for name, state in states.items()]


def _given(found):
    if isinstance(found, Exception):
        raise found
    return found


@pytest.fixture
def world(monkeypatch) -> World:
    made = World()

    @contextmanager
    def watching() -> Iterator:
        yield made.update

    @contextmanager
    def forwarded(*_: object) -> Iterator:
        yield lambda: "http://frontend"

    monkeypatch.setattr(waiting, "time", made)
    monkeypatch.setattr(waiting, "watching", watching)
    monkeypatch.setattr(waiting, "forwarded", forwarded)
    monkeypatch.setattr(observing, "look", made.look)
    monkeypatch.setattr(waiting.promises, "ask", made.ask)
    monkeypatch.setattr(explaining, "events", lambda *_: [])
    monkeypatch.setattr(explaining, "last_log", lambda *_: [])
    return made


def ended(world: World, timeout: float = 1800.0) -> str:
    """The sentence with which a wait ends."""
    with pytest.raises(Failed) as caught:
        waiting.wait(CLUSTER, REVISION, timeout)
    return str(caught.value)


def test_a_server_that_is_away_is_given_a_minute_while_the_pods_come_up(world):
    world.looks = lambda _: AWAY
    assert "does not answer" in ended(world)
    assert waiting.AWAY_FOR <= world.now <= waiting.AWAY_FOR + 5
    assert "API server: does not answer" in world.said


def test_a_server_that_is_away_is_given_a_minute_while_the_frontend_is_asked(world):
    world.looks = lambda now: READY if now < 1 else AWAY
    world.answers = lambda _: Failed("no way to the service g-frontend: connection refused")
    assert "does not answer" in ended(world)
    assert waiting.AWAY_FOR <= world.now <= waiting.AWAY_FOR + 5
    assert "API server: does not answer" in world.said
    assert "requests: the frontend cannot be reached" in world.said


def test_a_server_that_comes_back_is_no_failure(world):
    world.looks = lambda now: AWAY if 1 < now < 50 else READY
    good = world.answers(0)
    world.answers = lambda now: Failed("no way") if now < 55 else good
    waiting.wait(CLUSTER, REVISION, 1800)
    assert "API server: answers again" in world.said


def test_a_worker_that_falls_while_the_frontend_is_asked_ends_it_with_its_cause(world):
    world.looks = lambda now: READY if now < 1 else replace(NOT_READY, pods=(replace(POD, restarts=3),))
    world.answers = lambda _: Asked({}, (), {})
    assert "Worker does not come up: its container ended 3 times" in ended(world)
    assert world.now < 5


def test_a_frontend_that_never_answers_names_the_command_that_shows_why(world):
    world.answers = lambda _: Asked({}, (), {})
    said = ended(world, 30)
    assert "the pods are ready, but g does not serve: no worker is registered" in said
    assert "`invoke logs --config=g --context=here --namespace=mine`" in said


def test_a_pod_that_is_not_ready_in_time_shows_what_its_probe_says(world, monkeypatch, capsys):
    pods = (replace(POD, reason=""), replace(POD, name="g-worker-old", reason="", old=True))
    world.looks = lambda _: replace(NOT_READY, pods=pods)
    said_of = {
        "g-worker-1": [
            "g-worker-1 | Started: Container started",
            "g-worker-1 | Unhealthy: Startup probe failed: curl: (22) The requested URL returned error: 503",
        ]
    }
    monkeypatch.setattr(explaining, "events", lambda _, name: said_of[name])
    monkeypatch.setattr(explaining, "last_log", lambda *_: ["no model yet"])
    said = ended(world, 30)
    probe = "Startup probe failed: curl: (22) The requested URL returned error: 503"
    assert said == f"g is not ready in time: Worker: 0 of 1 pods ready - {probe}; --timeout waits longer"
    assert capsys.readouterr().err.splitlines() == [*said_of["g-worker-1"], "g-worker-1 | no model yet"]


def test_pods_that_are_refused_end_it_with_the_cause_after_a_minute(world):
    world.looks = lambda _: replace(
        NOT_READY, refused={"g-worker": "forbidden: failed quota: q: must specify limits.cpu"}
    )
    assert "g-worker gets no pods: forbidden: failed quota: q: must specify limits.cpu" in ended(world)
    assert waiting.REFUSED_FOR <= world.now <= waiting.REFUSED_FOR + 5
    assert any(line.startswith("Worker: 0 of 1 pods ready - forbidden: failed quota") for line in world.said)


def test_a_quota_that_is_free_again_in_time_is_no_failure(world):
    refused = replace(NOT_READY, refused={"g-worker": "forbidden: exceeded quota"})
    world.looks = lambda now: refused if now < 50 else READY
    waiting.wait(CLUSTER, REVISION, 1800)


def test_a_graph_of_which_no_operator_says_anything_ends_after_half_a_minute(world):
    world.looks = lambda _: replace(NOT_READY, graph=SILENT)
    said = ended(world)
    assert "none watches namespace mine" in said
    assert "--to=kubernetes" in said
    assert waiting.SILENT_FOR <= world.now <= waiting.SILENT_FOR + 5


@pytest.mark.parametrize("healed", [50, None])
def test_a_graph_that_is_failed_is_given_a_minute_to_heal(world, healed):
    bad = replace(NOT_READY, graph="failed: no multinode orchestrator available")
    world.looks = lambda now: READY if healed and now > healed else bad
    if healed:
        waiting.wait(CLUSTER, REVISION, 1800)
        return
    assert "the operator cannot make it: g: failed: no multinode orchestrator available" in ended(world)
    assert waiting.COMPLAINT_FOR <= world.now <= waiting.COMPLAINT_FOR + 5


def test_a_late_etcd_is_waited_for_however_often_the_workers_ended(world):
    def looks(now: float) -> Look:
        restarts = min(5, int(now / 10))
        pods = (replace(POD, restarts=restarts, ended="2026-01-01T09:59:00Z" if restarts else ""),)
        if now < 70:
            return replace(NOT_READY, pods=pods, platform=("etcd",))
        # Ready now; the worker is still in its back-off.
        return replace(NOT_READY, pods=pods, platform_since=ETCD_READY) if now < 140 else READY

    world.looks = looks
    waiting.wait(CLUSTER, REVISION, 1800)
    assert "etcd: not ready" in world.said


def test_the_same_deploy_again_forgives_what_ended_before_etcd_was_ready(world):
    late = replace(NOT_READY, pods=(replace(POD, restarts=5, ended="2026-01-01T09:59:00Z"),), platform_since=ETCD_READY)
    world.looks = lambda now: late if now < 60 else READY
    waiting.wait(CLUSTER, REVISION, 1800)


def test_a_worker_that_goes_on_ending_with_a_ready_etcd_is_a_failure(world):
    def looks(now: float) -> Look:
        pods = (replace(POD, restarts=2 + int(now / 10), ended="2026-01-01T10:00:01Z"),)
        return replace(NOT_READY, pods=pods, platform=("etcd",) if now < 20 else (), platform_since=ETCD_READY)

    world.looks = looks
    assert "its container ended" in ended(world)
    assert 30 <= world.now <= 60


def test_an_etcd_that_ends_itself_is_no_late_one(world):
    own = replace(POD, name="g-etcd-1", component="", restarts=3)
    world.looks = lambda _: replace(NOT_READY, pods=(own,), platform=("etcd",))
    assert "g-etcd-1 does not come up: its container ended 3 times" in ended(world)
