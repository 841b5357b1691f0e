"""The golden files: what every config becomes on every target, on NGC's base. `nox -s golden` writes them, `--check` compares.

A target that cannot express a config has the reason as a comment instead.
"""

import difflib
import os
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from ngc import bases, catalog  # noqa: E402  # the path above makes it importable
from ngc.asked.configs import TARGETS, Config  # noqa: E402
from ngc.deploy import prepare, render  # noqa: E402
from ngc.errors import Wrong  # noqa: E402

AGAIN = "nox -s golden"


def names():
    """(config, target) of every golden file there should be."""
    configs = sorted(path.stem for path in (ROOT / "configs").glob("*.yaml"))
    return [(config, target) for config in configs for target in TARGETS]


def path_of(config, target):
    return FOLDER / f"{config}.{target}.yaml"


def text(config, target):
    """What the file of a config and a target must hold, whatever this shell has set."""
    there = os.environ.pop(bases.VARIABLE, None)
    try:
        objects = render.render(prepare.prepare(catalog.read(), Config(config)), target)
    except Wrong as error:
        return f"# refused: {error}\n".replace(f"{ROOT}/", "")
    finally:
        if there is not None:
            os.environ[bases.VARIABLE] = there
    return render.dump(objects)


def difference(config, target):
    """A unified diff from the golden file to the rendering; empty where they are the same."""
    path = path_of(config, target)
    before = path.read_text() if path.is_file() else ""
    name = str(path.relative_to(ROOT))
    lines = difflib.unified_diff(before.splitlines(True), text(config, target).splitlines(True), name, "rendered now")
    return "".join(lines)


def strangers():
    """Golden files that no config asks for."""
    wanted = {path_of(*name) for name in names()}
    return sorted(path for path in FOLDER.glob("*.yaml") if path not in wanted)


def check():
    stale = [difference(*name) for name in names()]
    for diff in filter(None, stale):
        print(diff, end="")
    for path in strangers():
        print(f"{path.relative_to(ROOT)} belongs to no config")
    if any(stale) or strangers():
        print(f"golden files are stale; `{AGAIN}` writes them anew", file=sys.stderr)
        return 1
    return 0


def write():
    for path in strangers():
        path.unlink()
        print(f"{path.relative_to(ROOT)} removed", file=sys.stderr)
    for name in names():
        if difference(*name) or not path_of(*name).is_file():
            path_of(*name).write_text(text(*name))
            print(f"{path_of(*name).relative_to(ROOT)} written", file=sys.stderr)
    return 0


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit("usage: make.py [--check]")
    sys.exit(check() if sys.argv[1:] else write())
