"""Was each contract test seen failing? Images that break one fact each, and which test catches which.

A mutation is a file tests/images/mutations/Dockerfile.<name>: its first line names the image it starts from and the tests
that must fail on it, `# FRAMEWORK-TARGET: test_one, test_two[User]`. `nox -s mutants` runs this; the images must be built.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

import sh

from ngc import catalog, engine, testing
from ngc.asked.images import Images
from ngc.catalog import ROOT
from ngc.engine import Engine
from ngc.errors import Failed, Wrong
from ngc.testing import SUBJECTS_VARIABLE, Subject

FOLDER = ROOT / "tests" / "images" / "mutations"
TESTS = ROOT / "tests" / "images"
SAMPLE_EVERY = 7  # of the mutations in order of their names: ten of them, about a minute
BUILD_SECONDS, TEST_SECONDS = 120, 300
_ANY = list(range(256))
_HEADER = re.compile(r"# (?P<image>[a-z0-9-]+): (?P<tests>test_\w+(\[\w+\])?(, test_\w+(\[\w+\])?)*)")
_NODE = re.compile(r"^(?P<file>tests/images/[\w/]+\.py)::(?P<test>test_\w+)\[(?P<image>[^\]]*)\]", re.MULTILINE)


@dataclass(frozen=True)
class Mutation:
    """One broken image. `image` is the key of what it is built FROM, `tests` are those that must fail."""

    name: str
    dockerfile: Path
    image: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Said:
    """What became of a test: passed, failed, error, skipped or not run; and the first line of why."""

    word: str
    why: str = ""


@dataclass(frozen=True)
class Result:
    """What the named tests said of a mutation. `error` is why it could not be tried."""

    mutation: Mutation
    said: Mapping[str, Said]
    seconds: float
    error: str | None = None

    @property
    def caught(self) -> bool:
        return self.error is None and all(said.word == "failed" for said in self.said.values())


def read(folder: Path = FOLDER) -> list[Mutation]:
    """All mutations, by name. Raises Wrong for a header that says nothing, or too little."""
    found = []
    for path in sorted(folder.glob("Dockerfile.*")):
        lines = path.read_text().splitlines()
        header = _HEADER.fullmatch(lines[0]) if lines else None
        if header is None:
            raise Wrong(f"{path}:1: write what it breaks, such as `# FRAMEWORK-TARGET: test_one, test_two`")
        if "FROM ${IMAGE}" not in lines:
            raise Wrong(f"{path}: there is no line `FROM ${{IMAGE}}`; a mutation starts from the image it breaks")
        found.append(Mutation(path.name.partition(".")[2], path, header["image"], tuple(header["tests"].split(", "))))
    return found


def chosen(mutations: Sequence[Mutation], sample: bool, words: Sequence[str]) -> list[Mutation]:
    """Those whose names hold one of the words; every SAMPLE_EVERY-th for a sample. Raises Wrong for an empty choice."""
    kept = [one for one in mutations if not words or any(word in one.name for word in words)]
    kept = kept[::SAMPLE_EVERY] if sample else kept
    if not kept:
        raise Wrong(f"no mutation matches -k {' -k '.join(words)}; choose from: {', '.join(m.name for m in mutations)}")
    return kept


def collected(subjects: Mapping[str, Subject]) -> dict[str, set[str]]:
    """For each contract test without a GPU (file::name), the keys of the images that are held to it."""
    keys = {subject.image: key for key, subject in subjects.items()}
    command = _pytest([*subjects.values()], "--collect-only", "-q", "-m", "not gpu", str(TESTS))
    found: dict[str, set[str]] = {}
    for node in _NODE.finditer(str(command(_ok_code=_ANY))):
        if "/stand_in/" not in node["file"]:
            key = next(key for image, key in keys.items() if node["image"].startswith(image))
            found.setdefault(f"{node['file']}::{node['test']}", set()).add(key)
    if not found:
        raise Failed("pytest collects no contract test at all; run `invoke test --base=stand-in` to see why")
    return found


def unproven(tests: Mapping[str, set[str]], mutations: Iterable[Mutation]) -> list[str]:
    """Contract tests that no mutation is for."""
    proven = {
        node
        for mutation in mutations
        for node, images in tests.items()
        if mutation.image in images and node.partition("::")[2] in {name.partition("[")[0] for name in mutation.tests}
    }
    return sorted(set(tests) - proven)


def try_out(client: Engine, mutation: Mutation, subject: Subject) -> Result:
    """Build a mutation, hold it to the tests it is for, remove it."""
    begun = time.monotonic()
    image = f"dynamo-mutant-{mutation.name}:{os.getpid()}"
    try:
        with tempfile.TemporaryDirectory() as empty:
            sh.Command(client.client)(
                "build", "--quiet", "--file", str(mutation.dockerfile), "--build-arg",
                f"IMAGE={client.local(subject.image)}", "--tag", client.local(image), empty,
                _env=client.environment, _tty_out=False, _timeout=BUILD_SECONDS,
            )  # fmt: skip
        said = run([replace(subject, image=image)], mutation.tests)
        return Result(mutation, said, time.monotonic() - begun)
    except sh.ErrorReturnCode as error:
        last = error.stderr.decode(errors="replace").strip().splitlines()[-3:]
        return Result(mutation, {}, time.monotonic() - begun, f"it does not build: {' '.join(last)[:300]}")
    except (Failed, sh.TimeoutException) as error:
        return Result(mutation, {}, time.monotonic() - begun, str(error) or "it takes too long")
    finally:
        engine.ask(client, "image", "rm", "--force", client.local(image), fails=False)


def run(subjects: Sequence[Subject], tests: Sequence[str]) -> dict[str, Said]:
    """Run tests by name, and say what became of each. Raises Failed if one did not run.

    A test with parameters has failed if it failed with one of them, and passed if it passed with one and failed with none.
    """
    names = (name.rstrip("]").partition("[")[::2] for name in tests)
    words = [f"({name} and {parameter})" if parameter else name for name, parameter in names]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ("-q", "-k", " or ".join(words), "-m", "not gpu", "--deselect", str(TESTS / "stand_in"))
        command = _pytest(subjects, *options, f"--junitxml={report}", str(TESTS))
        out = str(command(_ok_code=_ANY, _err_to_out=True, _timeout=TEST_SECONDS))
        if not report.exists():
            raise Failed(f"pytest did not run: {out[-500:]}")
        cases = list(ElementTree.parse(report).iter("testcase"))
    said = {test: _verdict(test, cases) for test in tests}
    if lost := [test for test, one in said.items() if one.word == "not run"]:
        raise Failed(f"there is no test {', '.join(lost)} for {subjects[0].framework}-{subjects[0].target}")
    return said


def _verdict(test: str, cases: Sequence[ElementTree.Element]) -> Said:
    name, _, parameter = test.rstrip("]").partition("[")
    found: dict[str, Said] = {}
    words = {"failure": "failed", "error": "error", "skipped": "skipped"}
    for case in cases:
        own, _, given = case.get("name", "").partition("[")
        if own == name and (not parameter or given.endswith(f"-{parameter}]")):
            bad = next((child for child in case if child.tag in words), None)
            word = "passed" if bad is None else words[bad.tag]
            why = "" if bad is None else (bad.get("message") or "").strip().partition("\n")[0]
            found.setdefault(word, Said(word, why))
    return next((found[word] for word in ("failed", "error", "passed", "skipped") if word in found), Said("not run"))


def _pytest(subjects: Sequence[Subject], *arguments: str) -> sh.Command:
    environment = {**os.environ, SUBJECTS_VARIABLE: json.dumps([asdict(subject) for subject in subjects])}
    return sh.Command(sys.executable).bake("-m", "pytest", *arguments, _env=environment, _tty_out=False, _cwd=str(ROOT))


def control(subjects: Mapping[str, Subject], mutations: Sequence[Mutation]) -> dict[str, dict[str, Said]]:
    """What the same tests say of the images themselves: a test that fails there catches nothing. Raises Failed."""
    said: dict[str, dict[str, Said]] = {}
    for key in dict.fromkeys(mutation.image for mutation in mutations):
        tests = dict.fromkeys(test for mutation in mutations if mutation.image == key for test in mutation.tests)
        said[key] = run([subjects[key]], list(tests))
        if broken := [test for test, one in said[key].items() if one.word not in ("passed", "skipped")]:
            raise Failed(f"on {subjects[key].image} itself {', '.join(broken)} did not pass; mend that first")
    return said


def table(results: Sequence[Result], before: Mapping[str, Mapping[str, Said]]) -> str:
    """Markdown: which test caught which mutation, and what it said."""
    lines = ["| mutation | image | test | it said |", "|---|---|---|---|"]
    for result in results:
        for test in result.mutation.tests:
            said = result.said.get(test, Said("nothing", result.error or ""))
            text = said.why.replace("|", "/").replace("`", "'").removeprefix("AssertionError: ")[:100]
            text = f"`{text}`" if said.word == "failed" else f"**survived** ({said.word}) {text}"
            if before[result.mutation.image][test].word == "skipped":
                text += " (skipped on the image itself)"
            lines.append(f"| {result.mutation.name} | {result.mutation.image} | {test} | {text} |")
    return "\n".join(lines)


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="nox -s mutants --", description="break images, and see which test notices")
    parser.add_argument("--sample", action="store_true", help=f"only every {SAMPLE_EVERY}th mutation")
    parser.add_argument(
        "-k",
        dest="words",
        action="append",
        default=[],
        metavar="NAME",
        help="mutations with this in their name; may be repeated",
    )
    parser.add_argument("--base", default="stand-in", help="the base of the images to break (default: %(default)s)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="mutations at the same time (default: cores)"
    )
    options = parser.parse_args(words)
    begun = time.monotonic()
    mutations = read()
    subjects = {f"{s.framework}-{s.target}": s for s in testing.built(catalog.read(), Images(base=options.base))}
    if unknown := [f"{one.dockerfile}: {one.image}" for one in mutations if one.image not in subjects]:
        raise Wrong(f"there is no such image: {', '.join(unknown)}; choose from: {', '.join(subjects)}")
    missing = unproven(collected(subjects), mutations)
    todo = chosen(mutations, options.sample, options.words)
    before = control(subjects, todo)
    client = engine.builder()
    with ThreadPoolExecutor(options.jobs) as pool:
        results = []
        for result in pool.map(lambda one: try_out(client, one, subjects[one.image]), todo):
            print(
                f"{'caught  ' if result.caught else 'SURVIVED'} {result.mutation.name} ({result.seconds:.1f} s)",
                file=sys.stderr,
            )
            results.append(result)
    print(table(results, before))
    survivors = [result.mutation.name for result in results if not result.caught]
    print(f"\n{len(results)} mutations, {len(survivors)} survived, {time.monotonic() - begun:.0f} s")
    for node in missing:
        print(f"error: no mutation is for {node}; add a file to {FOLDER.relative_to(ROOT)}", file=sys.stderr)
    for result in results:
        if not result.caught:
            print(
                f"error: {result.mutation.name} survived: {result.error or {test: one.word for test, one in result.said.items()}}",
                file=sys.stderr,
            )
    return 1 if survivors or missing else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Wrong, Failed) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.code)
