"""What our layers cost on this machine, on the stand-in: the measured part of docs/data/comparison.yaml, which it writes.

All is done in a copy of the tree and under a tag of its own, which is removed again: nothing that is built moves. Every image
is built alone and without a layer cache, its parent here. Compressed sizes are a registry's, where there is one.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

from common.network import registry, registry_program

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "docs" / "data" / "comparison.yaml"
TAG = f"bench-{uuid.uuid4().hex[:8]}"
# In a process of its own, as the copy's scripts find their tree by where they lie. Imports are not counted.
BUILD = """
import json, sys, tempfile, time
from pathlib import Path
import fastjsonschema, pathspec, rich.console, rich.table, ruamel.yaml, sh, dockerfile_parse
from ngc import build, catalog, engine, planning, progress, report, runner, sizes
from ngc.asked.images import Build
request, jobs = json.loads(sys.argv[1]), int(sys.argv[2])
table, client = catalog.read(), engine.builder()
with tempfile.TemporaryDirectory() as logs:
    start = time.perf_counter()
    plan = build._make(table, Build(base="stand-in", **request), client)
    results = runner.run(plan, jobs, lambda *_: None, Path(logs))
    seconds = time.perf_counter() - start
images = []
for result in results:
    if not result.good:
        sys.exit(f"error: {result.step.image}: {result.outcome}: {result.note}")
    if result.step.build and result.step.build.target:
        target, parent = result.step.build.target, engine.images(client, [result.step.build.parent])[result.step.build.parent]
        above = sizes.above(client, result.found, parent)
        images.append({"framework": target.framework, "target": target.target, "image": result.step.image,
            "parent": result.step.build.parent, "bytes": above, "seconds": result.seconds, "built": result.outcome == "built"})
print(json.dumps({"seconds": seconds, "images": images}))
"""


def built(tree: Path, jobs: int = 1, **request: Any) -> dict[str, Any]:
    """Build in the copy: seconds in all, and of each image whether it was built, how long that took, and its bytes above its parent."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "scripts")}
    words = [sys.executable, "-c", BUILD, json.dumps({"tag": TAG, **request}), str(jobs)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, cwd=tree)
    if done.returncode:
        sys.exit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def command(tree: Path, rounds: int = 5) -> float:
    """Median of the seconds of `invoke build-all`, the whole process."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "scripts")}
    words = [sys.executable, "-m", "invoke", "--search-root", str(tree), "build-all", "--base=stand-in", f"--tag={TAG}"]
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run(words, check=True, capture_output=True, env=environment)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def copied(folder: Path) -> Path:
    """The tree as git sees it, changes included."""
    words = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    return folder


def compressed(images: list[Mapping[str, Any]]) -> dict[str, int]:
    """Bytes to download above the parent, by image; nothing without a registry program."""
    sys.path[:0] = [str(ROOT / "scripts"), str(ROOT)]

    from ngc import compare, engine

    if registry_program() is None:
        return {}
    client, found = engine.builder(), {}
    with tempfile.TemporaryDirectory() as folder, registry(Path(folder)) as host:
        names = {name: f"{host}/{name}" for entry in images for name in (entry["parent"], entry["image"])}
        try:
            for local, remote in names.items():
                engine.ask(client, "tag", local, remote)
                engine.ask(client, "push", remote)
                engine.ask(client, "rmi", "--no-prune", remote)
            for entry in images:
                data = compare.compare(names[entry["parent"]], names[entry["image"]])
                found[entry["image"]] = data["download"]["containerd"]["compressed"]
        finally:
            for remote in names.values():
                engine.ask(client, "rmi", "--no-prune", remote, fails=False)
    return found


def machine(client: str) -> dict[str, Any]:
    """What the figures were measured on."""
    version = subprocess.run(
        [client, "version", "--format", "{{.Server.Version}}"], check=True, capture_output=True, text=True
    ).stdout.strip()
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    busy = os.getloadavg()[0]
    return {
        "cores": os.cpu_count(),
        "memory": memory,
        "engine": f"Docker {version}, BuildKit",
        "system": system,
        "base": "the stand-in",
        "load": round(busy, 1),
    }


def measured() -> dict[str, Any]:
    """The figures. Everything that is made is removed."""
    sys.path.insert(0, str(ROOT / "scripts"))
    from ngc import engine

    client = engine.builder()
    with ExitStack() as stack:
        tree = copied(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ngc-comparison-"))))
        describes = machine(client.client)
        first = built(tree, no_cache=True)
        names = [entry["image"] for entry in first["images"]]
        stack.callback(lambda: [engine.ask(client, "rmi", "--force", name, fails=False) for name in reversed(names)])
        loads = compressed(first["images"])
        nothing = built(tree)
        whole = command(tree)
        config = tree / "configs" / sorted((tree / "configs").glob("*.yaml"))[0].name
        config.write_text(config.read_text() + "# changed\n")
        deployment, after = built(tree), command(tree)
        framework = first["images"][-1]["framework"]
        dockerfile = tree / "ngc-builds" / framework / "Dockerfile.runtime"
        dockerfile.write_text(f"{dockerfile.read_text()}\nENV NGC_BENCH={TAG}\n")
        setting = built(tree, framework=[framework], target=["runtime"])
        rest = built(tree, jobs=os.cpu_count() or 1)
    return {
        "date": date.today(),
        "machine": describes,
        "images": [
            {
                "framework": entry["framework"],
                "target": entry["target"],
                "bytes": entry["bytes"],
                **({"compressed": loads[entry["image"]]} if entry["image"] in loads else {}),
                "seconds": round(entry["seconds"], 2),
            }
            for entry in first["images"]
        ],
        "nothing": {"images": len(names), "seconds": round(whole, 2), "own": round(nothing["seconds"], 3)},
        "deployment": {"built": count(deployment), "seconds": round(after, 2)},
        "setting": {"built": count(setting), "seconds": round(setting["seconds"], 2)},
        "children": {"built": count(rest), "seconds": round(rest["seconds"], 1)},
    }


def count(build: Mapping[str, Any]) -> int:
    return sum(entry["built"] for entry in build["images"])


def main() -> None:
    from ruamel.yaml import YAML

    found = measured()
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 1000, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    data = yaml.load(DATA.read_text())
    data["measured"] = found
    stage = DATA.with_suffix(".new")
    with stage.open("w") as out:
        yaml.dump(data, out)
    stage.replace(DATA)
    yaml.dump({"measured": found}, sys.stdout)
    print(
        f"written to {DATA.relative_to(ROOT)}; `nox -s tables` makes docs/COMPARISON.md anew from it", file=sys.stderr
    )


if __name__ == "__main__":
    main()
