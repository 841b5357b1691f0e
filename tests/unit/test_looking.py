"""What people are told of a stack of this machine: while it comes up, when it does not, and later."""

from __future__ import annotations

import io
import json
from collections import Counter

import pytest

from ngc.deploy import composecli, localview, stacks, starting, watching
from ngc.deploy.asking import Answer
from ngc.deploy.composecli import GONE, Process
from ngc.deploy.localview import View
from ngc.deploy.promise import Asked, Promise
from ngc.deploy.serving import Endpoint
from ngc.deploy.stacks import Stack

ENDPOINTS = (
    Endpoint("decode", "backend.generate", 2, ("Decode",)),
    Endpoint("prefill", "prefill.generate", 1, ("Prefill",)),
)
STACK = Stack("s", "c", "image", "http://127.0.0.1:1", Promise("ns", ("m",), ENDPOINTS, "local", stand_in=True))
FRONTEND = Process("frontend-0", "f", "running", health="starting", ports=(8000,))
ETCD = Process("etcd-server", "e", "running", health="healthy")
WORKERS = (
    Process("decode-0", "d0", "running", health="healthy"),
    Process("decode-1", "d1", "running", health="starting"),
    Process("prefill-0", "p0", "running", health="starting"),
)
ALL = (ETCD, FRONTEND, *WORKERS)
SILENT = Asked(None, None, {})
BOTH = Counter({"backend.generate": 2, "prefill.generate": 1})
GOOD = {"m": Answer(200, "transferred", "")}


@pytest.mark.parametrize(
    ("asked", "blamed"),
    [
        (SILENT, "frontend-0"),
        (Asked(Counter({"prefill.generate": 1}), ("m",), {}), "decode-1"),  # decode-0 is healthy: it has registered
        (Asked(Counter({"backend.generate": 2}), ("m",), {}), "prefill-0"),
        (Asked(BOTH, (), {}), "frontend-0"),
        (Asked(BOTH, ("m",), {"m": Answer(500, "", "it broke")}), "decode-1"),
    ],
)
def test_the_process_is_blamed_whose_part_is_missing(asked, blamed):
    assert starting.culprit(View(STACK, ALL, asked)).service == blamed


@pytest.mark.parametrize(
    "ill",
    [
        Process("etcd-server", "e", "restarting", restarts=2, exit_code=1),
        Process("etcd-server", "e", "exited", exit_code=1),
        Process("etcd-server", "e", "running", health="unhealthy"),
    ],
)
def test_a_process_that_is_ill_is_blamed_before_all_others(ill):
    assert starting.culprit(View(STACK, (ill, FRONTEND, *WORKERS), SILENT)).service == "etcd-server"


def test_nobody_is_blamed_where_nothing_runs():
    assert starting.culprit(View(STACK, (Process("frontend-0", "", GONE),), SILENT)) is None


def test_a_process_that_was_removed_is_gone_and_a_problem(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    services = {process.service: {} for process in ALL}
    stacks.keep(STACK, stacks.stage(STACK, {stacks.FILE: json.dumps({"services": services})}))
    monkeypatch.setattr(composecli, "processes", lambda *_: [p for p in ALL if p.service != "decode-1"])
    view = localview.look(None, STACK, request=False)
    assert [(p.service, p.state) for p in view.processes if p.state != "running"] == [("decode-1", GONE)]
    assert localview.problems(view)[0] == "decode-1 is gone"
    assert "  decode-1          gone\n" in localview.page(view, localview.problems(view))


def test_a_stack_of_which_all_is_gone_is_told_in_one_line():
    view = View(STACK, tuple(Process(p.service, "", GONE) for p in ALL), SILENT)
    (told,) = localview.problems(view)
    assert told.startswith("s is not running; ")
    assert "`invoke down --config=s` forgets it" in told


def test_what_a_process_or_a_frontend_says_begins_no_line_of_its_own():
    said = "\x1b]0;PWN\x07[red]x[/red]\nhealthy"
    view = View(
        STACK, (Process("frontend-0", "f", "exited", error=said),), Asked(BOTH, (said,), {said: Answer(200, said, "")})
    )
    page, talk = localview.page(view, localview.problems(view)), localview.asked(view, localview.problems(view))
    assert r"exited (\x1b]0;PWN\x07[red]x[/red]\nhealthy)" in page
    assert "healthy" not in (page + "\n" + talk).splitlines()
    assert "\x1b" not in page + talk


def test_nothing_is_told_of_what_is_not_there_yet():
    gone = tuple(Process(p.service, "", GONE) for p in ALL)
    assert localview.progress(View(STACK, gone, SILENT), ()) == {}


def test_nothing_is_told_of_what_may_be_replaced():
    view = View(STACK, ALL, SILENT)
    assert localview.progress(view, {"e", "f", "d0", "d1"}) == {"prefill-0": "running"}


def test_registrations_are_told_once_the_frontend_answers():
    told = localview.progress(View(STACK, (FRONTEND,), Asked(BOTH, ("m",), GOOD)), ())
    assert told == {
        "frontend-0": "running",
        "backend.generate": "2 of 2 registered",
        "prefill.generate": "1 of 1 registered",
    }


@pytest.mark.parametrize(
    ("process", "told"),
    [
        (Process("a", "a", "running"), "running"),
        (Process("a", "a", "running", restarts=1), "running, 1 restart"),
        (Process("a", "a", "running", restarts=2), "running, 2 restarts"),
        (Process("a", "a", "restarting", restarts=1, exit_code=3), "restarting after exit 3, 1 restart"),
        (Process("a", "a", "exited", exit_code=137), "exited (137)"),
        (Process("a", "a", "created"), "created"),
    ],
)
def test_a_process_in_words(process, told):
    assert localview.state(process) == told


def test_colours_go_where_nobody_can_see_them(monkeypatch):
    assert watching.uncoloured("\x1b[2m12:00\x1b[0m \x1b[32m INFO\x1b[0m \x1b[1;31mx") == "12:00  INFO x"
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    assert (watching.plain(terminal), watching.plain(io.StringIO())) == (False, True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert watching.plain(terminal)
