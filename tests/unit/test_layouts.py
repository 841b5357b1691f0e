"""layouts: which layouts of the stand-in are chosen, and the table of what became of each. Nothing is built here."""

import json
import re
from pathlib import Path

import pytest

from ngc import catalog
from ngc.errors import Wrong

from ..images import layouts

ALL = ["first", "second", "other"]
PASSED = ("passed",)


@pytest.fixture
def table(tree):
    """Two frameworks: alpha has two layouts, beta one. Each entry of `bases:` is a release."""
    for framework, name in (("alpha", "first"), ("beta", "other")):
        file = tree.builds / framework / "image.yaml"
        file.write_text(file.read_text().replace("layout: test-1.0.0", f"layout: {name}"))
    file = tree.builds / "alpha" / "image.yaml"
    entry = "  2.0.0:\n    reference: registry.invalid/test/alpha:2.0.0\n    layout: second\n  3.0.0:\n    reference: registry.invalid/test/alpha:3.0.0\n"
    file.write_text(file.read_text() + entry)
    return tree.read()


class Ran:
    """What a run ended with; `asked` are the verbs that it called."""

    def __init__(self, code, out, err, asked):
        self.code, self.err, self.asked = code, err.splitlines(), asked
        self.rows = [line.strip("| ").split(" | ") for line in out.splitlines()]

    @property
    def names(self):
        return [row[2].strip("`") for row in self.rows[2:]]


@pytest.fixture
def run(table, capsys):
    """Run the session. The two verbs are played: the stand-ins that nothing builds on, those whose images do not pass, and the
    outcomes in the report of `test` (None: it writes none).
    """

    def call(*words, broken=(), failing=(), outcomes=PASSED):
        asked = []

        def invoke(verb, *options):
            asked.append((verb, *options))
            image = options[0].removeprefix("--base=")
            if verb == "test" and outcomes is not None:
                targets = [{"target": "runtime"}, {"target": "dev"}]
                report = {"images": targets, "tests": [{"outcome": outcome} for outcome in outcomes]}
                Path(options[-1].removeprefix("--report=")).write_text(json.dumps(report))
            return image not in {"build": broken, "test": failing}[verb]

        return Ran(layouts.main(words, table, invoke), *capsys.readouterr(), asked)

    return call


def test_each_layout_is_there_once_with_its_first_release_and_its_stand_in(table):
    """1.0.0.post1 has the layout of 1.0.0; 3.0.0 has none."""
    found = {name: (framework, base.key, image) for name, (framework, base, image) in layouts.layouts(table).items()}
    assert found == {
        "first": ("alpha", "1.0.0", "dynamo-stand-in-alpha:1.0.0"),
        "second": ("alpha", "2.0.0", "dynamo-stand-in-alpha:2.0.0"),
        "other": ("beta", "1.0.0", "dynamo-stand-in-beta:1.0.0"),
    }


def test_every_layout_that_the_stand_in_can_make_is_named_by_a_release_and_the_other_way_round(root):
    dockerfile = (root / "ngc-builds" / "stand-in" / "Dockerfile").read_text()
    assert sorted(layouts.layouts(catalog.read())) == sorted(re.findall(r"^FROM .* AS layout-(\S+)$", dockerfile, re.M))


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ([], ALL),
        (["second"], ["second"]),
        (["alpha"], ["first", "second"]),
        (["1.0.0"], ["first", "other"]),
        (["other", "first"], ["first", "other"]),
        (["alpha", "second", "second"], ["first", "second"]),
    ],
)
def test_layout_framework_and_release_choose_in_the_order_of_the_table(run, words, chosen):
    assert run(*words).names == chosen


@pytest.mark.parametrize("word", ["firs", "FIRST", "3.0.0", "", "dynamo-stand-in-alpha:1.0.0"])
def test_a_word_that_fits_no_layout_is_refused_with_those_there_are_before_anything_is_built(table, word):
    with pytest.raises(Wrong) as refused:
        layouts.main(["first", word], table, lambda *_: pytest.fail("nothing may run"))
    assert str(refused.value) == f"there is no layout '{word}'; choose from: first, second, other"
    assert refused.value.code == 2


def test_a_layout_is_built_then_tested_and_its_tests_are_counted(run):
    ran = run("second", outcomes=("passed", "passed", "skipped"))
    options = ("--base=dynamo-stand-in-alpha:2.0.0", "--framework=alpha")
    assert [words[:3] for words in ran.asked] == [("build", *options), ("test", *options)]
    assert ran.rows == [
        ["framework", "release", "layout", "images built", "passed", "failed", "skipped", "seconds"],
        ["---"] * 8,
        ["alpha", "2.0.0", "`second`", "runtime, dev", "2", "0", "1", "0"],
    ]
    assert ran.code == 0
    assert ran.err == ["second: registry.invalid/test/alpha:2.0.0 as dynamo-stand-in-alpha:2.0.0"]


def test_a_layout_that_cannot_be_built_is_not_tested_and_the_others_are(run):
    ran = run(
        broken=["dynamo-stand-in-alpha:1.0.0"], failing=["dynamo-stand-in-beta:1.0.0"], outcomes=("passed", "failed")
    )
    assert [words[0] for words in ran.asked] == ["build", "build", "test", "build", "test"]
    assert [row[3:7] for row in ran.rows[2:]] == [
        ["the build failed", "0", "0", "0"],
        ["runtime, dev", "1", "1", "0"],
        ["runtime, dev", "1", "1", "0"],
    ]
    assert ran.code == 1
    assert ran.err[-2:] == [
        "error: first could not be built; the lines above say why",
        "error: other is not as its contract says; the lines above say why",
    ]


def test_a_test_that_wrote_no_report_is_counted_as_nothing(run):
    run("first")
    ran = run("first", failing=["dynamo-stand-in-alpha:1.0.0"], outcomes=None)
    assert (ran.code, ran.rows[2][3:7]) == (1, ["", "0", "0", "0"])
