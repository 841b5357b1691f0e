"""A comparison for people: one page, every size with its kind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ngc import output, sizes

SHOWN = 12  # lines of a list; --json has all
WIDTH = 150  # characters of a value
KINDS = {"on_disk": "on disk", "compressed": "compressed (to download)"}
UNKNOWN = "unknown"
_TITLES = {
    "components": "Components",
    "python_packages": "Python packages",
    "system_packages": "system packages",
    "files": "Files by folder",
}
_LACKS = {
    "variables": "variables",
    "components": "components",
    "python_packages": "Python packages",
    "older_python_packages": "Python packages that are older in B",
    "system_packages": "system packages",
    "tools": "programs on PATH",
    "nixl_plugins": "NIXL plugins",
    "files": "files that no package brought, by folder",
}


def text(data: Mapping[str, Any]) -> str:
    """The page."""
    heads, layers, config = _heads(data), _layers(data), _config(data["config"])
    return output.lines([*heads, "", *_sizes(data), "", *layers, *config, *_inside(data)])


def _heads(data: Mapping[str, Any]) -> Iterator[str]:
    for letter in "ab":
        side = data[letter]
        where = "here" if side["where"] == "here" else f"in {side['where']}"
        yield f"{letter.upper()}  {side['name']}  ({where}, {side['platform']}, {side['id'][:19]})"
    if data["same"]:
        yield "A and B are the same image: one config, under two names"


def size(value: int | None) -> str:
    return UNKNOWN if value is None else sizes.text(value)


def _sizes(data: Mapping[str, Any]) -> Iterator[str]:
    yield f"{'':26}{'A':>10}{'B':>12}{'B - A':>12}"
    for kind, name in KINDS.items():
        row = data["sizes"][kind]
        more = row["difference"]
        sign = "+" if more is not None and more > 0 else ""
        yield f"{name:26}{size(row['a']):>10}{size(row['b']):>12}{sign + size(more) if more is not None else UNKNOWN:>12}"


def _layers(data: Mapping[str, Any]) -> Iterator[str]:
    yield "## Layers"
    names = {"shared": "in both", "only_a": "only in A", "only_b": "only in B"}
    for key, name in names.items():
        row = data["layers"][key]
        yield f"{name:10} {row['count']:3}  on disk {size(row['on_disk']):>9}  compressed {size(row['compressed']):>9}"
    load = {client: _load(row) for client, row in data["download"].items()}
    if load["docker"] == load["containerd"]:
        yield f"a node that has A downloads for B: {load['containerd']}"
    else:
        yield (
            f"a node that has A downloads for B: {load['containerd']} with containerd; "
            f"{load['docker']} with Docker, which shares layers from the bottom only"
        )


def _load(row: Mapping[str, Any]) -> str:
    layers = f"{row['layers']} {'layer' if row['layers'] == 1 else 'layers'}"
    if row["compressed"] is None:
        return f"{layers}, {size(row['on_disk'])} on disk (compressed: {UNKNOWN}, only a registry knows)"
    return f"{layers}, {size(row['compressed'])} compressed"


def _config(config: Mapping[str, Any]) -> Iterator[str]:
    lines: list[str] = []
    for name, found in config.items():
        if "added" in found:
            lines += _changes(name, found)
        else:
            lines += [f"{name}: {_value(found['a'])} -> {_value(found['b'])}"]
    yield from ["", "## Configuration", *(lines or ["no difference"])]


def _value(value: Any) -> str:
    if value is None:
        return "none"
    return cut(value if isinstance(value, str) else json.dumps(value))


def cut(value: str) -> str:
    return value if len(value) <= WIDTH else value[: WIDTH - 1] + "…"


def _changes(name: str, found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = [f"  + {key} {_value(value)}" for key, value in found["added"].items()]
    lines += [f"  - {key} {_value(value)}" for key, value in found["removed"].items()]
    lines += [f"  ~ {key} {_changed(v['a'], v['b'])}" for key, v in found["changed"].items()]
    if not lines:
        return []
    counts = ", ".join(f"{len(found[kind])} {kind}" for kind in ("added", "removed", "changed") if found[kind])
    return [f"{name}: {counts}", *_short(lines)]


def _changed(a: str, b: str) -> str:
    """Old and new value; of a list of folders such as PATH only what differs."""
    one, two = a.split(":"), b.split(":")
    if not all(value.startswith("/") and ":" in value for value in (a, b)):
        return f"{_value(a)} -> {_value(b)}"
    gone, new = [part for part in one if part not in two], [part for part in two if part not in one]
    parts = [f"without {cut(':'.join(gone))}"] * bool(gone) + [f"with {cut(':'.join(new))}"] * bool(new)
    same = [part for part in one if part in two] == [part for part in two if part in one]
    return ", ".join(parts if same else [*parts, "the rest in another order"] if parts else ["in another order"])


def _short(lines: list[str]) -> list[str]:
    return lines if len(lines) <= SHOWN else [*lines[:SHOWN], f"  … {len(lines) - SHOWN} more, in --json"]


def _inside(data: Mapping[str, Any]) -> Iterator[str]:
    inside = data["inside"]
    if inside is None:
        yield from ["", "packages and files: not looked at, for not both images are here; --pull fetches them"]
        return
    for letter in "ab":
        if inside["probe"][letter] != "done":
            yield from ["", f"packages: {letter.upper()} {inside['probe'][letter]}"]
    for key in ("components", "python_packages", "system_packages"):
        if key in inside:
            yield from ["", f"## {_TITLES[key]}", *(_changes("B against A", inside[key]) or ["no difference"])]
    yield from ["", f"## {_TITLES['files']}"]
    signs = {"added": "+", "removed": "-", "changed": "~"}
    rows = {signs[kind]: inside["files"][kind] for kind in signs}
    for sign, folders in rows.items():
        yield from _short([f"  {sign} {folder}: {_files(row)}" for folder, row in folders.items()])
    if not any(rows.values()):
        yield "no difference"
    yield from ["", *_verdict(inside["verdict"])]


def _files(row: Mapping[str, int]) -> str:
    return f"{row['files']} {'file' if row['files'] == 1 else 'files'}, {sizes.text(row['bytes'])}"


def _verdict(verdict: Mapping[str, Any]) -> Iterator[str]:
    yield "## Moving from A to B"
    if verdict["complete"]:
        yield "B has every variable, component, package, program, NIXL plugin and hand-placed file of A"
    elif verdict["complete"] is None:
        yield "B has every variable and file of A; packages could not be compared"
    else:
        yield "of A, B lacks:"
    for kind, found in verdict["lacks"].items():
        yield f"{_LACKS[kind]}: {len(found)}"
        yield from _short([f"  {_lack(kind, key, found)}" for key in found])


def _lack(kind: str, key: str, found: Any) -> str:
    if kind == "files":
        return f"{key}: {_files(found[key])}"
    if kind == "older_python_packages":
        return f"{key} {found[key]['a']} -> {found[key]['b']}"
    return f"{key} {_value(found[key])}" if isinstance(found, dict) else key
