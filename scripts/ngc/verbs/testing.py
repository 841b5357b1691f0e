"""test, test-all."""

from __future__ import annotations

from typing import Any

from invoke.exceptions import Exit

from ngc import catalog
from ngc.verbs.common import BASE, FRAMEWORK, TARGET, verb

_HELP = {
    "framework": FRAMEWORK,
    "target": TARGET,
    "base": BASE,
    "image": "hold this image reference to the contract instead, with one --framework",
    "report": "write a JUnit XML report to this file",
}


@verb(help=_HELP, iterable=["framework", "target"])
def test(c, framework, target, base=None, image=None, report=None):  # type: ignore[no-untyped-def]
    """Run the contract tests of built images (never builds); words after -- go to pytest."""
    _test(framework, target, base, image, report, c)


@verb(help=_HELP, iterable=["framework", "target"])
def test_all(c, framework, target, base=None, image=None, report=None):  # type: ignore[no-untyped-def]
    """Run the contract tests of all images, or of those named (never builds); words after -- go to pytest."""
    _test(framework, target, base, image, report, c)


def _test(
    frameworks: list[str], targets: list[str], base: str | None, image: str | None, report: str | None, c: Any
) -> None:
    from ngc import testing

    extra = ([f"--junitxml={report}"] if report else []) + (c.remainder.split() if getattr(c, "remainder", "") else [])
    table = catalog.read()
    subjects = (
        testing.given(table, frameworks, targets, base, image)
        if image
        else testing.built(table, frameworks, targets, base)
    )
    if code := testing.run(subjects, extra):
        raise Exit(code=code)
