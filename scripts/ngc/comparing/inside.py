"""What is in two images that are both here: packages, components, files, and what of the first the second lacks."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ngc import engine, show
from ngc.comparing import files
from ngc.comparing.differences import changes
from ngc.comparing.sides import Side


def of(a: Side, b: Side) -> dict[str, Any]:
    """Packages, components, files and the verdict. `probe` says why where nothing could be run in an image."""
    client = engine.any_client()
    print(f"reading the files of {a.name} and {b.name}", file=sys.stderr)
    with ThreadPoolExecutor(4) as pool:
        trees = [pool.submit(files.read, client, side.id) for side in (a, b)]
        probes = [pool.submit(show.inside, client, side.id) for side in (a, b)]
        (one, two), (here, there) = [p.result() for p in probes], [t.result() for t in trees]
    known = one["probe"] == two["probe"] == "done"
    packages = _packages(one, two) if known else None
    return {
        "probe": {"a": one["probe"], "b": two["probe"]},
        **(packages or {}),
        "files": files.changes(here, there),
        "verdict": verdict(a, b, one, two, packages, files.missing(here, there)),
    }


def _packages(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, Any]:
    """Components, Python and system packages that are added, removed and changed, by their versions."""
    parts = ({part["name"]: part["version"] for part in probe["components"]} for probe in (a, b))
    python = ({part["name"]: part["version"] for part in probe["python_packages"]} for probe in (a, b))
    system = (dict(text.partition("=")[::2] for text in probe["system_packages"]) for probe in (a, b))
    return {
        "components": changes(*parts),
        "python_packages": changes(*python),
        "system_packages": changes(*system),
    }


def verdict(
    a: Side,
    b: Side,
    one: Mapping[str, Any],
    two: Mapping[str, Any],
    packages: Mapping[str, Any] | None,
    missing: Mapping[str, Mapping[str, int]],
) -> dict[str, Any]:
    """What of A is not in B: `complete` is True if nothing is, None if not all could be looked at."""
    lacks: dict[str, Any] = {}
    if packages is not None:
        lacks["components"] = packages["components"]["removed"]
        lacks["python_packages"] = packages["python_packages"]["removed"]
        lacks["older_python_packages"] = _older(packages["python_packages"]["changed"])
        lacks["system_packages"] = packages["system_packages"]["removed"]
        lacks["tools"] = sorted(name for name, path in one["tools"].items() if path and not two["tools"].get(name))
        lacks["nixl_plugins"] = sorted(set(one["nixl_plugins"]) - set(two["nixl_plugins"]))
    lacks |= {"variables": _gone(a.config.get("Env"), b.config.get("Env")), "files": dict(missing)}
    lacks = {kind: found for kind, found in lacks.items() if found}
    return {"complete": False if lacks else True if packages is not None else None, "lacks": lacks}


def _gone(a: Sequence[str] | None, b: Sequence[str] | None) -> dict[str, str]:
    have = {entry.partition("=")[0] for entry in b or ()}
    return {name: value for name, _, value in (entry.partition("=") for entry in a or ()) if name not in have}


def _older(changed: Mapping[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    from packaging.version import InvalidVersion, Version

    found = {}
    for name, versions in changed.items():
        try:
            if Version(versions["b"]) < Version(versions["a"]):
                found[name] = versions
        except InvalidVersion:
            continue  # a version by no rule is neither older nor newer
    return found
