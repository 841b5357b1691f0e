"""What a build came to, as one table."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ngc import output, sizes
from ngc.engine import Found
from ngc.plan import Plan
from ngc.runner import Result

# Outcomes that need no sentence: the table says it all.
QUIET = ("built", "up to date", "interrupted")
_COLOURS = {"built": "green", "up to date": "green", "skipped": "yellow", "not on this base": "yellow"}


def rows(plan: Plan, results: Sequence[Result]) -> list[dict[str, Any]]:
    """A row for each image and base of the plan. Sizes are bytes on disk, None where the image is not there."""
    by_image = {result.step.image: result for result in results}
    table = []
    for result in results:
        build, image = result.step.build, result.found
        target = build.target if build else None
        parent = by_image[build.parent].found if build and build.parent in by_image else None
        base = _bottom(by_image, result)
        table.append(
            {
                "image": result.step.image,
                "result": result.outcome,
                "seconds": round(result.seconds, 1),
                "on_disk": sizes.on_disk(plan.engine, image) if image else None,
                "above_parent": _above(plan, image, parent) if target else None,
                "above_base": _above(plan, image, base) if target else None,
                "budget": target.budget if target else None,
                "why": result.step.why,
                "note": result.note,
                "log": str(result.log) if result.log else None,
                "replay": str(result.replay) if result.replay else None,
            }
        )
    for name, text in plan.refused.items():
        table.append({"image": name, "result": "not on this base", "note": text})
    return table


def _bottom(by_image: dict[str, Result], result: Result) -> Found | None:
    """The base that an image stands on in the end."""
    while result.step.build and result.step.build.target and result.step.build.parent in by_image:
        result = by_image[result.step.build.parent]
    return result.found


def _above(plan: Plan, image: Found | None, below: Found | None) -> int | None:
    return sizes.above(plan.engine, image, below) if image and below else None


def as_json(plan: Plan, results: Sequence[Result]) -> str:
    """The table for programs."""
    return json.dumps(rows(plan, results), indent=2)


def print_table(plan: Plan, results: Sequence[Result]) -> None:
    """The table for people: sizes on disk, logs only of what ran."""
    data = rows(plan, results)
    headings = ["image", "result", "seconds", "on disk", "above parent", "above base", "budget"]
    ran = any(row.get("log") for row in data)
    table: list[list[output.Cell]] = []
    for row in data:
        result, sized = row["result"], [row.get(key) for key in ("on_disk", "above_parent", "above_base", "budget")]
        cells = [row["image"], (result, _COLOURS.get(result, "red")), f"{row.get('seconds') or 0:.1f}"]
        table.append([*cells, *map(sizes.text, sized)])
        if ran:
            table[-1].append(_short(str(Path(row["log"]).parent)) if row.get("log") else "")
    output.print_table([*headings, *(["log.txt and replay.sh in"] if ran else [])], table, right=range(2, 7))


def _short(path: str) -> str:
    relative = os.path.relpath(path)
    return relative if len(relative) < len(path) else path


def notes(plan: Plan, results: Sequence[Result]) -> list[str]:
    """The sentences under the table: what failed and why, and what this base cannot have."""
    failed = [f"{r.step.image}: {r.outcome}: {r.note}" for r in results if r.outcome not in QUIET and r.note]
    return [output.line(note) for note in (*failed, *plan.refused.values())]
