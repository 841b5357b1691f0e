"""Every layout of the stand-in: made, built on, and its images held to their contract. `nox -s layouts` runs this."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from ngc import bases, catalog
from ngc.catalog import ROOT, Base, Catalog
from ngc.errors import Failed, Wrong

HEAD = ("framework", "release", "layout", "images built", "passed", "failed", "skipped", "seconds")


def invoke(*words: str) -> bool:
    """Run a verb, and say whether it ended well. What it prints goes to stderr."""
    return subprocess.run([sys.executable, "-m", "invoke", *words], cwd=ROOT, stdout=sys.stderr).returncode == 0


def layouts(table: Catalog) -> dict[str, tuple[str, Base, str]]:
    """(framework, first entry of `bases:` that has it, stand-in) by layout, in the order of the table."""
    found: dict[str, tuple[str, Base, str]] = {}
    for framework in table.frameworks:
        for image, base in bases.stand_ins(framework).items():
            found.setdefault(str(base.layout), (framework.name, base, image))
    return found


def main(words: Sequence[str], table: Catalog, invoke: Callable[..., bool] = invoke) -> int:
    """One layout after another, what became of each as a table (docs/TESTING.md); 1 if one is not good. Raises Wrong and Failed."""
    parser = argparse.ArgumentParser(prog="nox -s layouts --", description=__doc__)
    parser.add_argument("words", nargs="*", metavar="NAME", help="layouts, frameworks or releases (default: all)")
    wanted = parser.parse_args(words).words
    known = layouts(table)
    names = {name: {name, framework, base.key} for name, (framework, base, _) in known.items()}
    for word in wanted:
        if not any(word in known_as for known_as in names.values()):
            raise Wrong(f"there is no layout '{word}'; choose from: {', '.join(known)}")
    rows, bad = [HEAD, ("---",) * len(HEAD)], []
    for name, (framework, base, image) in known.items():
        if wanted and not names[name].intersection(wanted):
            continue
        print(f"{name}: {base.reference} as {image}", file=sys.stderr)
        begun = time.monotonic()
        options = (f"--base={image}", f"--framework={framework}")
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder, "report.json")
            built = invoke("build", *options)
            if not built:
                bad.append(f"{name} could not be built")
            elif not invoke("test", *options, f"--report={report}"):
                bad.append(f"{name} is not as its contract says")
            said = json.loads(report.read_text()) if report.exists() else {"images": [], "tests": []}
        images = ", ".join(subject["target"] for subject in said["images"]) if built else "the build failed"
        tests = Counter(test["outcome"] for test in said["tests"])
        counts = (str(tests[outcome]) for outcome in HEAD[4:7])
        rows.append((framework, base.key, f"`{name}`", images, *counts, f"{time.monotonic() - begun:.0f}"))
    print("\n".join(f"| {' | '.join(row)} |" for row in rows))
    for what in bad:
        print(f"error: {what}; the lines above say why", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:], catalog.read()))
    except (Wrong, Failed) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.code)
