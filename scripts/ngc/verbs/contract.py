"""test, test-all."""

from __future__ import annotations

import sys

from invoke.exceptions import Exit

from ngc.asked.images import Contract
from ngc.verbs.flags import verb


@verb(Contract)
def test(asked: Contract) -> None:
    """Run the contract tests of built images (never builds); words after -- go to pytest."""
    _test(asked)


@verb(Contract)
def test_all(asked: Contract) -> None:
    """Run the contract tests of all images, or of those named (never builds); words after -- go to pytest."""
    _test(asked)


def _test(asked: Contract) -> None:
    from ngc import catalog, testing

    # Invoke's own remainder is one text, its quotes lost.
    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else []
    if code := testing.test(catalog.read(), asked, words):
        raise Exit(code=code)
