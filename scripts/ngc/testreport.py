"""What a run of the contract tests came to: a table of image and group, reasons for every skip, and our JSON report.

A plugin of pytest, in the process that sums up (with pytest-xdist: not in its workers). Where a test belongs travels in
its user properties, which JUnit reports show as well.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ngc import files, output
from ngc.testing import Subject

IMAGE, GROUP, NOTE = "image", "group", "note"
OUTCOMES = ("passed", "failed", "skipped")
NOTHING_RAN = "no test was executed, so nothing was shown; this run counts as failed"


@dataclass
class Test:
    """One test of one image. `reason` of a skip or failure, `phase` that failed first (setup, call, teardown), `seconds` with its
    fixtures, `measured` by the test, in units it names.
    """

    id: str
    image: str
    group: str
    outcome: str = ""
    phase: str = ""
    reason: str = ""
    seconds: float = 0.0
    measured: dict[str, Any] = field(default_factory=dict)


@dataclass
class Summary:
    """All that pytest told, by test id; `notes` are sentences that tests attached."""

    subjects: Sequence[Subject]
    tests: dict[str, Test] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)

    def add(self, report: pytest.TestReport) -> None:
        """Take one phase of one test; a test has failed if any phase did."""
        properties: dict[str, Any] = dict(report.user_properties)
        name = (
            report.nodeid.rpartition("@")[0] if report.nodeid.endswith(f"@{properties.get('xdist')}") else report.nodeid
        )
        test = self.tests.setdefault(name, Test(name, str(properties.get(IMAGE, "-")), str(properties.get(GROUP, "-"))))
        test.seconds += report.duration
        for key, value in report.user_properties:
            if key == NOTE:
                self.notes[str(value)] = None
            elif key not in (IMAGE, GROUP):
                test.measured[key] = value
        if report.failed or (report.when == "call" and test.outcome != "failed") or report.skipped:
            test.outcome = report.outcome
        if report.skipped:
            test.reason = getattr(report, "wasxfail", "") or _reason(report)
        if report.failed and not test.phase:
            test.phase, test.reason = report.when, _reason(report)

    def executed(self) -> bool:
        return any(test.outcome in ("passed", "failed") for test in self.tests.values())

    def cells(self) -> Mapping[tuple[str, str], Counter[str]]:
        """How many tests of an image and a group came to what; images in the order they were asked for."""
        order = {subject.image: number for number, subject in enumerate(self.subjects)}
        found: dict[tuple[str, str], Counter[str]] = {}
        for test in self.tests.values():
            found.setdefault((test.image, test.group), Counter())[test.outcome] += 1
        return dict(sorted(found.items(), key=lambda item: (order.get(item[0][0], len(order)), item[0][1])))

    def reasons(self) -> Mapping[str, Counter[str]]:
        """Why tests were skipped, and how many of each group."""
        found: dict[str, Counter[str]] = {}
        for test in self.tests.values():
            if test.outcome == "skipped":
                found.setdefault(test.reason, Counter())[test.group] += 1
        return found

    def unknown(self) -> list[str]:
        """A sentence for each image whose base image.yaml does not know."""
        return [
            f"{subject.image}: its base {subject.base or '(not named)'} is not known to image.yaml; it was held to its own config alone"
            for subject in self.subjects
            if subject.entry is None
        ]

    def lines(self) -> list[str]:
        """The table for people, and the sentences under it."""
        rows: list[tuple[str, ...]] = [("image", "group", *OUTCOMES)]
        for (image, group), counts in self.cells().items():
            rows.append((image, group, *(str(counts[outcome]) for outcome in OUTCOMES)))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        table = [
            "  ".join(
                cell.ljust(width) if column < 2 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        for reason, groups in self.reasons().items():
            where = ", ".join(f"{group} {count}" for group, count in sorted(groups.items()))
            table.append(f"skipped ({where}): {reason}")
        said = [*table, *self.notes, *self.unknown(), *([] if self.executed() else [NOTHING_RAN])]
        return [output.line(text) for text in said]

    def as_json(self) -> str:
        """The report for programs. Times in seconds; `entry` null: held to its own config alone."""
        data = {
            "images": [asdict(subject) for subject in self.subjects],
            "groups": [
                {IMAGE: image, GROUP: group, **{outcome: counts[outcome] for outcome in OUTCOMES}}
                for (image, group), counts in self.cells().items()
            ],
            "tests": [{**asdict(test), "seconds": round(test.seconds, 3)} for test in self.tests.values()],
            "notes": [*self.notes, *self.unknown()],
            "executed": self.executed(),
        }
        return json.dumps(data, indent=2) + "\n"


def _reason(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return str(crash.message if crash else report.longrepr)


def _make_harmless(report: pytest.TestReport) -> None:
    """Escape what a container printed, before the terminal and JUnit take it."""
    report.sections = [(title, output.harmless(text)) for title, text in report.sections]
    report.user_properties = [(k, output.harmless(v) if isinstance(v, str) else v) for k, v in report.user_properties]
    if isinstance(report.longrepr, tuple):
        path, number, reason = report.longrepr
        report.longrepr = path, number, output.harmless(reason)
    elif report.longrepr and (text := output.harmless(report.longreprtext)) != report.longreprtext:
        report.longrepr = text


class Plugin:
    """Feeds a Summary with what pytest tells, prints it, and fails a run that executed nothing."""

    def __init__(self, subjects: Sequence[Subject], file: str | None) -> None:
        self.summary = Summary(subjects)
        self.file = Path(file) if file else None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        _make_harmless(report)
        self.summary.add(report)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.config.option.collectonly:
            return
        if not self.summary.executed() and session.exitstatus in (
            pytest.ExitCode.OK,
            pytest.ExitCode.NO_TESTS_COLLECTED,
        ):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        if self.file:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            files.write(self.file, self.summary.as_json())

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
        if config.option.collectonly:
            return
        terminalreporter.section("contract of the images")
        for line in self.summary.lines():
            terminalreporter.write_line(line)
