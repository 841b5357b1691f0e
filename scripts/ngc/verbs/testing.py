"""test, test-all."""

from __future__ import annotations

import sys

from invoke.exceptions import Exit

from ngc import catalog
from ngc.verbs.common import BASE, FRAMEWORK, TARGET, verb

_HELP = {
    "framework": FRAMEWORK,
    "target": TARGET,
    "base": BASE,
    "image": "hold this image reference to the contract instead, with one --framework",
    "host": "test what runs elsewhere: kubectl:[NAMESPACE/]POD, local, or chroot:DIR with DIR.json beside it, with one --framework",
    "gpu": "a missing GPU fails the GPU tests (default: they are skipped)",
    "model": "folder or name of a small model; then the engine must complete a prompt with it, on a GPU",
    "report": "write a report to this file, .xml for JUnit or .json; may be repeated",
}


@verb(help=_HELP, iterable=["framework", "target", "report"])
def test(c, framework, target, report, base=None, image=None, host=None, gpu=False, model=None):  # type: ignore[no-untyped-def]
    """Run the contract tests of built images (never builds); words after -- go to pytest."""
    _test(framework, target, base, image, host, gpu, model, report)


@verb(help=_HELP, iterable=["framework", "target", "report"])
def test_all(c, framework, target, report, base=None, image=None, host=None, gpu=False, model=None):  # type: ignore[no-untyped-def]
    """Run the contract tests of all images, or of those named (never builds); words after -- go to pytest."""
    _test(framework, target, base, image, host, gpu, model, report)


def _test(
    frameworks: list[str], targets: list[str], base: str | None, image: str | None, host: str | None, gpu: bool, model: str | None,
    reports: list[str],
) -> None:  # fmt: skip
    from ngc import testing

    # Invoke's own remainder is one text, its quotes lost.
    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    order = testing.Order(frameworks, targets, base, image, host, gpu, model, reports, words)
    if code := testing.test(catalog.read(), order):
        raise Exit(code=code)
