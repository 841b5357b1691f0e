"""The rules of tests/images/mutations, and that its files keep them. What they break is tried by `nox -s mutants`."""

import pytest

from ngc import catalog
from ngc.errors import Wrong

from ..images import mutants
from ..images.mutants import Mutation, Result, Said

GOOD = "# vllm-runtime: test_one, test_two[User]\nARG IMAGE\nFROM ${IMAGE}\nUSER 1000\n"


def write(folder, name, text):
    (folder / f"Dockerfile.{name}").write_text(text)
    return folder


def test_every_mutation_names_an_image_of_the_table_and_its_tests(root):
    keys = {image.key for image in catalog.read(root).images}
    found = mutants.read()
    assert len(found) > 50
    assert {one.image for one in found} <= keys


def test_a_mutation_says_what_it_breaks(tmp_path):
    (one,) = mutants.read(write(tmp_path, "user", GOOD))
    assert (one.name, one.image, one.tests) == ("user", "vllm-runtime", ("test_one", "test_two[User]"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ARG IMAGE\nFROM ${IMAGE}\n", r"Dockerfile\.x:1: write what it breaks"),
        ("# vllm-runtime: nothing\nFROM ${IMAGE}\n", r"Dockerfile\.x:1: write what it breaks"),
        ("# vllm-runtime: test_one\nFROM scratch\n", r"there is no line `FROM \$\{IMAGE\}`"),
    ],
)
def test_a_mutation_that_breaks_nothing_is_refused(tmp_path, text, said):
    with pytest.raises(Wrong, match=said):
        mutants.read(write(tmp_path, "x", text))


def test_a_test_that_no_mutation_is_for_is_named(tmp_path):
    found = mutants.read(write(tmp_path, "user", GOOD))
    tests = {
        "common/a.py::test_one": {"vllm-runtime", "vllm-dev"},
        "common/a.py::test_three": {"vllm-runtime"},
        "dev/b.py::test_one": {"vllm-dev"},  # the same name, on images that the mutation is not of
    }
    assert mutants.unproven(tests, found) == ["common/a.py::test_three", "dev/b.py::test_one"]


def test_only_a_failure_of_every_named_test_is_a_catch(tmp_path):
    one = Mutation("x", tmp_path, "vllm-runtime", ("test_one", "test_two"))
    failed, passed, error = Said("failed"), Said("passed"), Said("error")
    assert Result(one, {"test_one": failed, "test_two": failed}, 1).caught
    for word in (passed, error, Said("skipped")):
        assert not Result(one, {"test_one": failed, "test_two": word}, 1).caught
    assert not Result(one, {}, 1, "it does not build").caught


def test_verdicts_are_read_by_name_and_parameter():
    ran = [
        {"id": f"tests/images/common/test_x.py::{name}", "outcome": outcome, "phase": phase, "reason": reason}
        for name, outcome, phase, reason in (
            ("test_one[image:1-User]", "failed", "call", "it says\nmore"),
            ("test_one[image:1-Cmd]", "passed", "", ""),
            ("test_two[image:1]", "failed", "setup", "a fixture is broken"),
            ("test_two[image:2]", "passed", "", ""),
            ("test_four[image:1]", "skipped", "", "no GPU"),
        )
    ]
    tests = ("test_one", "test_one[Cmd]", "test_two", "test_three", "test_four")
    verdicts = {test: mutants.verdict(test, ran) for test in tests}
    assert {test: said.word for test, said in verdicts.items()} == {
        "test_one": "failed",
        "test_one[Cmd]": "passed",
        "test_two": "error",
        "test_three": "not run",
        "test_four": "skipped",
    }
    assert (verdicts["test_one"].why, verdicts["test_four"].why) == ("it says", "no GPU")


def test_a_sample_is_the_same_each_time_and_an_empty_choice_is_an_error():
    found = mutants.read()
    sample = mutants.chosen(found, True, [])
    assert sample == mutants.chosen(found, True, [])
    assert 5 < len(sample) < len(found) / 3
    with pytest.raises(Wrong, match="no mutation matches -k nothing-like-it"):
        mutants.chosen(found, False, ["nothing-like-it"])
