"""Was each contract test seen failing? Images that break one fact each, and which test catches which.

A mutation is a file mutations/Dockerfile.<name>: its first line names the image it starts from and the tests that must
fail on it, `# FRAMEWORK-TARGET: test_one, test_two[User]`. `nox -s mutants` runs this; the images must be built.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ngc import catalog, engine, testing
from ngc.asked.images import Images
from ngc.catalog import ROOT
from ngc.engine import Engine
from ngc.errors import Failed, Wrong
from ngc.testing import SUBJECTS_VARIABLE, Subject

TESTS = Path(__file__).resolve().parent
FOLDER = TESTS / "mutations"
SAMPLE_EVERY = 7  # of the mutations in order of their names: ten of them, about a minute
BUILD_SECONDS, TEST_SECONDS = 120, 300
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
    """What became of a test: passed, failed, error (in a fixture), skipped or not run; and the first line of why."""

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
    found: dict[str, set[str]] = {}
    for node in _NODE.finditer(pytest([*subjects.values()], "--collect-only")):
        if "/stand_in/" not in node["file"]:
            key = next(key for image, key in keys.items() if node["image"].startswith(image))
            found.setdefault(f"{node['file']}::{node['test']}", set()).add(key)
    if not found:
        raise Failed("pytest collects no contract test at all; run `invoke test --base=stand-in` to see why")
    return found


def unproven(tests: Mapping[str, set[str]], mutations: Iterable[Mutation]) -> list[str]:
    """Contract tests that no mutation is for."""
    proven = {(one.image, test.partition("[")[0]) for one in mutations for test in one.tests}
    return sorted(
        node
        for node, images in tests.items()
        if not any((image, node.partition("::")[2]) in proven for image in images)
    )


def try_out(client: Engine, mutation: Mutation, subject: Subject) -> Result:
    """Build a mutation, hold it to the tests it is for, remove it."""
    begun = time.monotonic()
    image = f"dynamo-mutant-{mutation.name}:{os.getpid()}"
    words = ("--file", str(mutation.dockerfile), "--build-arg", f"IMAGE={client.local(subject.image)}")
    try:
        with tempfile.TemporaryDirectory() as empty:
            build = (client.client, "build", "--quiet", *words, "--tag", client.local(image), empty)
            done = call(build, BUILD_SECONDS, client.environment)
        if done.returncode:
            raise Failed(f"it does not build: {' '.join(done.stdout.strip().splitlines()[-3:])[:300]}")
        said = run([replace(subject, image=image)], mutation.tests)
        return Result(mutation, said, time.monotonic() - begun)
    except Failed as error:
        return Result(mutation, {}, time.monotonic() - begun, str(error))
    finally:
        engine.ask(client, "image", "rm", "--force", client.local(image), fails=False)


def call(words: Sequence[str], seconds: float, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What a program ended with, and all that it printed as stdout. Raises Failed if it takes longer."""
    options: dict[str, Any] = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "text": True,
        "errors": "replace",
    }
    try:
        return subprocess.run(words, cwd=ROOT, env=environment, timeout=seconds, check=False, **options)
    except subprocess.TimeoutExpired:
        raise Failed(f"it takes longer than {seconds:.0f} s") from None


def run(subjects: Sequence[Subject], tests: Sequence[str]) -> dict[str, Said]:
    """Run tests by name, and say what became of each. Raises Failed if one did not run."""
    names = (name.rstrip("]").partition("[")[::2] for name in tests)
    words = [f"({name} and {parameter})" if parameter else name for name, parameter in names]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        options = ("--deselect", str(TESTS / "stand_in"), f"--report-json={report}")
        out = pytest(subjects, "-k", " or ".join(words), *options)
        if not report.exists():
            raise Failed(f"pytest did not run: {out[-500:]}")
        ran = json.loads(report.read_text())["tests"]
    said = {test: verdict(test, ran) for test in tests}
    if lost := [test for test, one in said.items() if one.word == "not run"]:
        raise Failed(f"there is no test {', '.join(lost)} for {subjects[0].framework}-{subjects[0].target}")
    return said


def verdict(test: str, ran: Sequence[Mapping[str, Any]]) -> Said:
    """What the tests of a JSON report say of a test, which may name one of its parameters.

    A test with parameters has failed if it failed with one of them, and passed if it passed with one and failed with none.
    """
    name, _, parameter = test.rstrip("]").partition("[")
    found: dict[str, Said] = {}
    for one in ran:
        own, _, given = one["id"].partition("::")[2].partition("[")
        if own == name and (not parameter or given.endswith(f"-{parameter}]")):
            word = "error" if one["phase"] not in ("", "call") else one["outcome"]
            found.setdefault(word, Said(word, one["reason"].strip().partition("\n")[0]))
    return next((found[word] for word in ("failed", "error", "passed", "skipped") if word in found), Said("not run"))


def pytest(subjects: Sequence[Subject], *words: str) -> str:
    """What pytest prints of the contract tests without a GPU. Raises Failed."""
    environment = {**os.environ, SUBJECTS_VARIABLE: json.dumps([asdict(subject) for subject in subjects])}
    command = (sys.executable, "-m", "pytest", "-q", "-m", "not gpu", *words, str(TESTS))
    return call(command, TEST_SECONDS, environment).stdout


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
    """The whole: 1 if a mutation survives or a test has none. Raises Wrong and Failed."""
    parser = argparse.ArgumentParser(prog="nox -s mutants --", description="break images, and see which test notices")
    parser.add_argument("--sample", action="store_true", help=f"only every {SAMPLE_EVERY}th mutation")
    several = {"action": "append", "default": [], "metavar": "NAME"}
    parser.add_argument("-k", dest="words", **several, help="mutations with this in their name; may be repeated")
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
    results = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(lambda one: try_out(client, one, subjects[one.image]), todo):
            state = "caught  " if result.caught else "SURVIVED"
            print(f"{state} {result.mutation.name} ({result.seconds:.1f} s)", file=sys.stderr)
            results.append(result)
    print(table(results, before))
    survivors = [result for result in results if not result.caught]
    print(f"\n{len(results)} mutations, {len(survivors)} survived, {time.monotonic() - begun:.0f} s")
    for node in missing:
        print(f"error: no mutation is for {node}; add a file to {FOLDER.relative_to(ROOT)}", file=sys.stderr)
    for result in survivors:
        why = result.error or {test: one.word for test, one in result.said.items()}
        print(f"error: {result.mutation.name} survived: {why}", file=sys.stderr)
    return 1 if survivors or missing else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Wrong, Failed) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.code)
