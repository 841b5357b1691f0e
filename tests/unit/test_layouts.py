"""layouts: which layouts of the stand-in are chosen, and the table of what became of each. Nothing is built here."""

import json
import re
from collections import Counter
from dataclasses import replace

import pytest

from ngc import catalog, layouts
from ngc.errors import Wrong
from ngc.layouts import Layout, Result


@pytest.fixture
def known(tree):
    """The layouts of two frameworks: alpha has two, beta one. Each entry of `bases:` is a release."""
    for framework, name in (("alpha", "first"), ("beta", "other")):
        file = tree.builds / framework / "image.yaml"
        file.write_text(file.read_text().replace("layout: test-1.0.0", f"layout: {name}"))
    file = tree.builds / "alpha" / "image.yaml"
    entry = "  2.0.0:\n    reference: registry.invalid/test/alpha:2.0.0\n    layout: second\n  3.0.0:\n    reference: registry.invalid/test/alpha:3.0.0\n"
    file.write_text(file.read_text() + entry)
    return layouts.read(tree.read())


@pytest.fixture
def stand_in(known, tmp_path, monkeypatch):
    """Run `check` on a layout; the verbs are played, by name: (their exit is good, the report they leave)."""
    monkeypatch.setattr(layouts, "FOLDER", tmp_path)
    asked = []

    def check(layout, build=True, test=True, report=None):
        def invoke(*words):
            asked.append(words)
            if words[0] == "test" and report is not None:
                (tmp_path / f"{layout.name}.json").write_text(json.dumps(report))
            return {"build": build, "test": test}[words[0]]

        monkeypatch.setattr(layouts, "_invoke", invoke)
        return layouts.check(layout)

    check.asked = asked
    return check


def names(chosen):
    return [layout.name for layout in chosen]


def report(*outcomes):
    return {
        "images": [{"target": "runtime"}, {"target": "dev"}],
        "tests": [{"outcome": outcome} for outcome in outcomes],
    }


def test_each_layout_is_there_once_with_its_first_release_and_its_stand_in(known):
    """1.0.0.post1 has the layout of 1.0.0; 3.0.0 has none."""
    assert [(layout.framework, layout.name, layout.base.key, layout.image) for layout in known] == [
        ("alpha", "first", "1.0.0", "dynamo-stand-in-alpha:1.0.0"),
        ("alpha", "second", "2.0.0", "dynamo-stand-in-alpha:2.0.0"),
        ("beta", "other", "1.0.0", "dynamo-stand-in-beta:1.0.0"),
    ]


def test_every_layout_that_the_stand_in_can_make_is_named_by_a_release_and_the_other_way_round(root):
    stages = re.findall(
        r"^FROM .* AS layout-(\S+)$", (root / "ngc-builds" / "stand-in" / "Dockerfile").read_text(), re.M
    )
    assert sorted(names(layouts.read(catalog.read()))) == sorted(stages)


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ([], ["first", "second", "other"]),
        (["second"], ["second"]),
        (["alpha"], ["first", "second"]),
        (["1.0.0"], ["first", "other"]),
        (["other", "first"], ["first", "other"]),
        (["alpha", "second", "second"], ["first", "second"]),
    ],
)
def test_layout_framework_and_release_choose_in_the_order_of_the_table(known, words, chosen):
    assert names(layouts.choose(known, words)) == chosen


@pytest.mark.parametrize("word", ["firs", "FIRST", "3.0.0", "", "dynamo-stand-in-alpha:1.0.0"])
def test_a_word_that_fits_no_layout_is_refused_with_those_there_are(known, word):
    with pytest.raises(Wrong) as refused:
        layouts.choose(known, ["first", word])
    assert str(refused.value) == f"there is no layout '{word}'; choose from: first, second, other"
    assert refused.value.code == 2


def test_a_layout_is_built_then_tested_and_its_tests_are_counted(stand_in, known):
    result = stand_in(known[1], report=report("passed", "passed", "skipped"))
    options = ("--base=dynamo-stand-in-alpha:2.0.0", "--framework=alpha")
    assert stand_in.asked == [("build", *options), ("test", *options, f"--report={layouts.FOLDER / 'second.json'}")]
    assert (result.images, result.tests) == (("runtime", "dev"), Counter(passed=2, skipped=1))
    assert result.good


def test_a_failed_build_is_not_tested(stand_in, known):
    result = stand_in(known[0], build=False)
    assert [words[0] for words in stand_in.asked] == ["build"]
    assert (result.built, result.good) == (False, False)


def test_a_failed_test_is_no_good_layout(stand_in, known):
    result = stand_in(known[0], test=False, report=report("passed", "failed"))
    assert (result.built, result.good, result.tests["failed"]) == (True, False, 1)


def test_the_report_of_an_earlier_run_is_not_counted(stand_in, known):
    stand_in(known[0], report=report("passed"))
    result = stand_in(known[0], test=False)
    assert (result.images, result.tests) == ((), Counter())


def test_the_table_has_a_row_per_layout_and_says_which_could_not_be_built(known):
    good = Result(known[0], True, 61.6, ("runtime", "dev"), Counter(passed=12, skipped=3), tested=True)
    bad = Result(known[2], False, 0.4)
    assert layouts.table([good, bad]).splitlines() == [
        "| framework | release | layout | images built | passed | failed | skipped | seconds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        "| alpha | 1.0.0 | `first` | runtime, dev | 12 | 0 | 3 | 62 |",
        "| beta | 1.0.0 | `other` | the build failed | 0 | 0 | 0 | 0 |",
    ]


def test_without_results_the_table_is_its_head():
    assert len(layouts.table([]).splitlines()) == 2


@pytest.fixture
def main(known, monkeypatch, capsys):
    """Run the program on the two frameworks: (exit code, stdout, stderr). Layouts named in `bad` are no good."""
    monkeypatch.setattr(layouts, "read", lambda _: known)

    def run(*words, broken=(), failed=()):
        monkeypatch.setattr(
            layouts,
            "check",
            lambda layout: Result(layout, layout.name not in broken, 1, tested=layout.name not in failed),
        )
        code = layouts.main(words)
        return code, *capsys.readouterr()

    return run


def test_all_good_layouts_end_with_0_and_the_table_alone_on_stdout(main):
    code, out, err = main("alpha")
    assert (code, len(out.splitlines())) == (0, 4)
    assert "first: registry.invalid/test/alpha:1.0.0 as dynamo-stand-in-alpha:1.0.0" in err
    assert "error" not in err


def test_one_bad_layout_ends_with_1_after_the_others_and_is_named(main):
    code, out, err = main(broken=("first",), failed=("other",))
    assert (code, len(out.splitlines())) == (1, 5)
    assert err.splitlines()[-2:] == [
        "error: first could not be built; the lines above say why",
        "error: other is not as its contract says; the lines above say why",
    ]


def test_an_unknown_layout_is_refused_before_anything_is_built(main):
    with pytest.raises(Wrong, match=r"no layout 'gamma'; choose from: first, second, other"):
        main("first", "gamma")


def test_a_result_is_good_only_if_it_was_built_and_tested(known):
    good = Result(Layout("alpha", known[0].base, "x"), True, 1, tested=True)
    assert good.good
    assert not replace(good, built=False).good
    assert not replace(good, tested=False).good
