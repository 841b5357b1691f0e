"""Every layout of the stand-in: made, built on, and its images held to their contract. `nox -s layouts` runs this."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ngc import bases, catalog
from ngc.catalog import ROOT, Base, Catalog
from ngc.errors import Failed, Wrong

FOLDER = ROOT / "build" / "layouts"


@dataclass(frozen=True)
class Layout:
    """A layout, the first entry of `bases:` that names it, and the stand-in that is made of it."""

    framework: str
    base: Base
    image: str

    @property
    def name(self) -> str:
        return str(self.base.layout)


@dataclass(frozen=True)
class Result:
    """What became of a layout. `images` are those that were tested, `tests` how many came to which outcome."""

    layout: Layout
    built: bool
    seconds: float
    images: tuple[str, ...] = ()
    tests: Counter[str] = field(default_factory=Counter)
    tested: bool = False

    @property
    def good(self) -> bool:
        return self.built and self.tested


def read(table: Catalog) -> list[Layout]:
    """All layouts, in the order of the table."""
    found: dict[str, Layout] = {}
    for framework in table.frameworks:
        for image, base in bases.stand_ins(framework).items():
            found.setdefault(str(base.layout), Layout(framework.name, base, image))
    return list(found.values())


def choose(layouts: Sequence[Layout], words: Sequence[str]) -> list[Layout]:
    """Those whose name, framework or release is one of the words; all without words. Raises Wrong for a word that fits none."""
    for word in words:
        if not any(word in _names(layout) for layout in layouts):
            raise Wrong(f"there is no layout '{word}'; choose from: {', '.join(layout.name for layout in layouts)}")
    return [layout for layout in layouts if not words or set(words) & _names(layout)]


def _names(layout: Layout) -> set[str]:
    return {layout.name, layout.framework, layout.base.key}


def check(layout: Layout) -> Result:
    """Build the stand-in and its images, and test them. What the two verbs print goes to stderr."""
    begun = time.monotonic()
    report = FOLDER / f"{layout.name}.json"
    report.unlink(missing_ok=True)
    options = (f"--base={layout.image}", f"--framework={layout.framework}")
    if not _invoke("build", *options):
        return Result(layout, False, time.monotonic() - begun)
    passed = _invoke("test", *options, f"--report={report}")
    images, tests = _counted(report)
    return Result(layout, True, time.monotonic() - begun, images, tests, passed)


def _invoke(*words: str) -> bool:
    import sh

    done = sh.Command(sys.executable)(
        "-m", "invoke", *words, _cwd=str(ROOT), _out=sys.stderr, _err=sys.stderr, _tty_out=False,
        _ok_code=list(range(256)), _return_cmd=True,
    )  # fmt: skip
    return int(done.exit_code) == 0


def _counted(report: Path) -> tuple[tuple[str, ...], Counter[str]]:
    """(images, tests by outcome) of a report of `invoke test`; nothing where it wrote none."""
    if not report.exists():
        return (), Counter()
    data = json.loads(report.read_text())
    images = tuple(subject["target"] for subject in data["images"])
    return images, Counter(test["outcome"] for test in data["tests"])


def table(results: Sequence[Result]) -> str:
    """A row per layout, in Markdown as docs/TESTING.md has it."""
    rows: list[tuple[str, ...]] = [
        ("framework", "release", "layout", "images built", "passed", "failed", "skipped", "seconds"),
        ("---",) * 8,
    ]
    for result in results:
        counts = [str(result.tests[outcome]) for outcome in ("passed", "failed", "skipped")]
        images = ", ".join(result.images) if result.built else "the build failed"
        layout = result.layout
        rows.append((layout.framework, layout.base.key, f"`{layout.name}`", images, *counts, f"{result.seconds:.0f}"))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(words: Sequence[str]) -> int:
    """One layout after another, the table at the end; 1 if one is not good. Raises Wrong and Failed."""
    layouts = read(catalog.read())
    parser = argparse.ArgumentParser(prog="nox -s layouts --", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="NAME", help="layouts, frameworks or releases (default: all)")
    results = []
    for layout in choose(layouts, parser.parse_args(words).words):
        print(f"{layout.name}: {layout.base.reference} as {layout.image}", file=sys.stderr)
        results.append(check(layout))
    print(table(results))
    for result in results:
        if not result.good:
            what = "is not as its contract says" if result.built else "could not be built"
            print(f"error: {result.layout.name} {what}; the lines above say why", file=sys.stderr)
    return 0 if all(result.good for result in results) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except (Wrong, Failed) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.code)
