"""Building with a real engine: order, failure, budgets, interruption."""

import os
import re
import signal
import sys
from pathlib import Path

import pytest
import sh

from ngc import bases, build, planning, report, runner
from ngc import engine as engines
from ngc.asked.images import Build
from ngc.engine import Engine
from ngc.errors import Wrong
from ngc.plan import Plan, Step

MEANWHILE = "RUN --mount=type=bind,source=alpha,target=/mnt /none\n"


def test_children_are_built_after_their_parents(builder):
    builder.build(jobs=4)
    begun = [name for name, text in builder.heard if text == "start"]
    assert begun.index("alpha-runtime") < begun.index("alpha-dev")
    ended = [name for name, text in builder.heard if text == "end built"]
    assert builder.heard.index((ended[0], "end built")) < builder.heard.index(("alpha-dev", "start"))


def test_a_failed_parent_skips_its_children_and_nothing_else(builder):
    folder = builder.tree.builds / "alpha"
    (folder / "Dockerfile.runtime").write_text((folder / "Dockerfile.runtime").read_text() + MEANWHILE)
    (folder / "Dockerfile.extra").write_text(
        f"ARG BASE_IMAGE={builder.tree.base}\nFROM ${{BASE_IMAGE}}\nCOPY alpha/dev.txt /etc/\n"
    )
    results = builder.build()
    assert {name: result.outcome for name, result in results.items() if result.step.build} == {
        "alpha-extra": "built",
        "alpha-runtime": "failed",
        "alpha-dev": "skipped",
    }
    assert results["alpha-runtime"].note
    assert not builder.has("runtime")


def test_the_log_and_the_replay_script_say_the_same_command(builder):
    result = builder.build("runtime")["alpha-runtime"]
    assert result.log.read_text().startswith(f"$ {builder.engine.client} build --file")
    sh.Command(builder.engine.client)("image", "rm", result.step.image)
    sh.Command(str(result.replay))()
    assert builder.has("runtime")


def test_a_step_that_prints_what_is_no_text_keeps_its_log_and_is_told_without_its_escapes(tmp_path):
    said = r"printf 'E \377\n'; printf 'ERROR: \033]0;PWN\007 \377 it broke\n'; exit 1"
    step = Step("x", "ngc-none:1", "missing", command=("sh", "-c", said))
    plan = Plan(tmp_path, Engine("docker"), (step,))
    results = runner.run(plan, 1, lambda *_: None, tmp_path)
    assert report.notes(plan, results) == [
        "ngc-none:1: failed: ERROR: \\x1b]0;PWN\\x07 \N{REPLACEMENT CHARACTER} it broke"
    ]
    assert "E \N{REPLACEMENT CHARACTER}" in results[0].log.read_text()


def test_an_image_over_its_budget_fails_and_says_by_how_much_and_which_layer(builder):
    (builder.tree.builds / "alpha" / "runtime.txt").write_bytes(os.urandom(1_500_000))
    for _ in range(2):  # found there the second time, it is still over budget
        result = builder.build("runtime")["alpha-runtime"]
        assert result.outcome == "over budget"
        assert "1.5 MB on disk above its parent is 500 kB over the budget of 1.0 MB" in result.note
        assert "COPY alpha/runtime.txt" in result.note


def test_force_asks_the_engine_again_and_no_cache_runs_every_step_again(builder):
    builder.build("runtime")
    forced = builder.build("runtime", force=True)["alpha-runtime"]
    assert "COPY alpha/runtime.txt" in cached(forced.log)
    fresh = builder.build("runtime", no_cache=True)["alpha-runtime"]
    assert "COPY alpha/runtime.txt" not in cached(fresh.log)


def cached(log):
    """The build steps that the engine answered from its layer cache."""
    text = log.read_text()
    return " ".join(
        what for number, what in re.findall(r"^#(\d+) \[[^]]*\] (.*)", text, re.M) if f"#{number} CACHED" in text
    )


def test_a_rebuilt_image_leaves_no_unnamed_one_behind(builder):
    before = builder.build("runtime")["alpha-runtime"].found.id
    (builder.tree.builds / "alpha" / "runtime.txt").write_text("other")
    builder.build("runtime")
    assert engines.images(builder.engine, [before]) == {}


def test_the_report_has_a_row_for_each_image_with_sizes_of_one_kind(builder):
    plan = builder.plan()
    rows = {row["image"].partition(":")[0]: row for row in report.rows(plan, list(builder.build().values()))}
    dev = rows["dynamo-alpha-dev"]
    assert dev["on_disk"] == 5 + 8 + 4
    assert (dev["above_parent"], dev["above_base"], dev["budget"]) == (4, 12, 1_000_000)


def test_labels_say_what_the_image_is(builder):
    found = builder.build("runtime")["alpha-runtime"].found
    assert found.labels["org.opencontainers.image.title"] == "dynamo-alpha-runtime"
    assert found.labels["org.opencontainers.image.base.name"] == builder.tree.base
    assert found.labels["org.opencontainers.image.version"] == builder.tag
    assert found.labels["ngc-dynamo.stand-in"] == "false"
    assert {"org.opencontainers.image.created", "ngc-dynamo.inputs"} <= found.labels.keys()


def test_a_stand_in_given_by_reference_marks_the_images_built_on_it(builder, layer_of_one_file):
    stands_for = f"LABEL {bases.STANDS_FOR_LABEL}=registry.invalid/test/alpha:1.0.0"
    builder.import_base(layer_of_one_file, f"LABEL {bases.STAND_IN_LABEL}=true", stands_for)
    asked = Build(["alpha"], ["runtime"], base=builder.tree.base)
    plan = planning.make(
        builder.tree.read(), asked, builder.engine, lambda names: engines.images(builder.engine, names)
    )
    assert plan.images == ["dynamo-alpha-runtime:1.0.0-stand-in"]


STUCK = r"""
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from dataclasses import replace
from ngc import runner
from ngc.engine import Engine
from ngc.plan import Plan, Step
steps = tuple(Step(n, f"{n}:1", "test", command=("sh", "-c", "echo $$; sleep 600 & echo $!; wait")) for n in ("one", "two"))
plan = Plan(Path("."), Engine("true"), steps)
def listen(name, text):
    if text.isdigit():
        print(text + "\n", end="", flush=True)
try:
    runner.run(plan, 2, listen, Path(sys.argv[2]))
except runner.InterruptedRun as stop:
    print(*(r.outcome for r in stop.results), flush=True)
    sys.exit(130)
"""


def test_ctrl_c_ends_all_children_and_their_children(root, tmp_path, wait_for):
    lines = []
    run = sh.Command(sys.executable)(
        "-c", STUCK, str(root / "scripts"), str(tmp_path), _bg=True, _bg_exc=False, _out=lines.append, _ok_code=130
    )
    wait_for(lambda: len(lines) == 4, "all children started", limit=20)
    run.signal(signal.SIGINT)
    run.wait(timeout=30)
    assert lines[4].split() == ["interrupted", "interrupted"]
    assert [pid for pid in lines[:4] if alive(int(pid))] == []


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"push": True}, "--push needs to know where"),
        ({"registry": "r.example"}, "--push is missing"),
        ({"push": True, "registry": "https://r.example"}, "--registry is 'https://r.example'"),
    ],
)
def test_flags_that_make_no_sense_are_refused(tree, flags, said):
    with pytest.raises(Wrong, match=said):
        build.planned(tree.read(), Build(base="stand-in", plan=True, **flags))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("#8 1.2 ERROR: [Errno 28] No space left on device\nERROR: failed to solve: x", "the disk is full; "),
        ("ERROR: failed to solve: error reading from server: EOF", "the docker daemon went away; "),
        (
            "#7 3.1 E: Unable to locate package x\nERROR: failed to solve: executor failed running [y]",
            "E: Unable to locate",
        ),
        ("error: this base has no NIXL", "error: this base has no NIXL"),
        ("just words", "just words"),
        ("", "it printed nothing"),
    ],
)
def test_the_cause_is_the_line_that_tells_most(tmp_path, text, said):
    log = tmp_path / "log.txt"
    log.write_text(f"$ command\n{text}\n")
    assert runner.cause(log).startswith(said)
