"""The tables of docs/COMPARISON.md: figures with their kind and source, and what follows from them. Nothing is compared across kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ngc import sizes
from ngc.catalog import ROOT, Catalog

DATA = ROOT / "docs" / "data" / "comparison.yaml"
LINES = (1, 10)  # Gbit/s of the networks that a pull is computed for


def read() -> dict[str, Any]:
    """The figures."""
    from ruamel.yaml import YAML

    return dict(YAML(typ="safe").load(DATA))


def pull_seconds(compressed: int, gigabits: float) -> float:
    """Seconds to bring bytes over a line of so many Gbit/s; the line alone, without unpacking."""
    return compressed * 8 / (gigabits * 1e9)


def duration(seconds: float) -> str:
    """A time for people."""
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def figures(_: Catalog) -> list[Sequence[str]]:
    """A row for each figure that others published."""
    rows: list[Sequence[str]] = [("figure", "value", "kind", "source")]
    for entry in read()["published"].values():
        value = sizes.text(entry["bytes"]) if "bytes" in entry else duration(entry["seconds"])
        rows.append((entry["what"], value, "published", entry["source"]))
    return rows


def layers(_: Catalog) -> list[Sequence[str]]:
    """A row for each target: what it adds, and how long that takes."""
    measured = read()["measured"]
    rows: list[Sequence[str]] = [("target", "adds to its parent, on disk", "built in", "kind")]
    for entry in measured["layers"]:
        rows.append(
            (
                f"`{entry['target']}`",
                sizes.text(entry["bytes"]),
                duration(entry["seconds"]),
                f"measured {measured['date']}",
            )
        )
    idle = measured["no-op"]
    rows.append(
        (
            f"{idle['what']}, {idle['images']} images",
            "-",
            f"{idle['seconds'] * 1000:.0f} ms",
            f"measured {measured['date']}",
        )
    )
    return rows


def promise(_: Catalog) -> list[Sequence[str]]:
    """The two promises of the project, taken apart: size like for like, and time with the pull in it."""
    data = read()
    published: Mapping[str, Mapping[str, float]] = data["published"]
    disk = published["chain"]["bytes"] / published["ngc-on-disk"]["bytes"]
    across = published["chain"]["bytes"] / published["ngc-compressed"]["bytes"]
    chain, own = published["chain-seconds"]["seconds"], data["measured"]["layers"][0]["seconds"]
    rows: list[Sequence[str]] = [("claim", "what it is", "kind")]
    rows.append(("smaller, on disk against on disk", f"**{disk:.1f}x**", "computed from published figures"))
    rows.append(
        (f'"{across:.1f}x smaller"', "on disk against compressed: not like for like, and not claimed here", "computed")
    )
    for line in LINES:
        pull = pull_seconds(int(published["ngc-compressed"]["bytes"]), line)
        text = f"pull {duration(pull)} + runtime layer {duration(own)} against {duration(chain)}: **{chain / (pull + own):.0f}x** at most"
        rows.append(
            (
                f"faster, first build, {line} Gbit/s",
                text,
                "pull computed (the line alone, without unpacking), layer measured, chain published",
            )
        )
    rows.append(
        ("faster, every later build", f"{duration(own)} against {duration(chain)}", "measured against published")
    )
    return rows
