"""What can be built, and what is built already; works without an engine."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from ngc import bases, engine, output, planning, sizes
from ngc.catalog import Catalog
from ngc.engine import Found
from ngc.errors import Failed, Wrong


def rows(catalog: Catalog, base: str | None) -> list[dict[str, Any]]:
    """A row for each image. `built`: True, False, or None without an engine to ask; `on_disk` and `budget` in bytes."""
    asked = base or os.environ.get(bases.VARIABLE) or bases.NGC
    if asked not in (bases.NGC, bases.STAND_IN):
        raise Wrong(
            f"list shows what is built on {bases.NGC} or {bases.STAND_IN}, not on '{asked}'; give one of these to --base"
        )
    chosen = {
        framework.name: bases.choose(catalog, [framework.name], asked)[framework.name]
        for framework in catalog.frameworks
        if asked == bases.NGC or framework.stand_in
    }
    images = [image for image in catalog.images if image.framework in chosen]
    names = {image.key: planning.name(image, chosen[image.framework]) for image in images}
    found = _found(list(names.values()))
    table = []
    for image in images:
        on, name = chosen[image.framework], names[image.key]
        here = found.get(name) if found is not None else None
        table.append(
            {
                "image": name,
                "framework": image.framework,
                "target": image.target,
                "base": on.reference,
                "parent": names[f"{image.framework}-{image.parent}"] if image.parent else None,
                "purpose": image.purpose,
                "budget": image.budget,
                "built": None if found is None else here is not None,
                "on_disk": here.size if here else None,
                "checked": on.entry.checked if on.entry else "not at all",
                "note": on.entry.note if on.entry else None,
            }
        )
    return table


def _found(names: Sequence[str]) -> dict[str, Found] | None:
    try:
        return engine.images(engine.any_client(), names)
    except Failed:
        return None


def releases(catalog: Catalog) -> list[str]:
    """A line for each known base of each framework: which releases there are to build on, and how each was checked."""
    return [
        f"{framework.name}: {base.reference} (checked: {base.checked})"
        for framework in catalog.frameworks
        for base in framework.bases
    ]


def print_rows(table: Sequence[dict[str, Any]], as_json: bool) -> None:
    """Print the rows as data, or as a table with the notes of the bases under it."""
    if as_json:
        print(json.dumps(table, indent=2))
        return
    built = {True: "yes", False: "no", None: "unknown: no engine"}
    output.print_table(
        ("image", "built", "on disk", "budget", "parent or base", "purpose"),
        [
            (
                row["image"],
                built[row["built"]],
                sizes.text(row["on_disk"]),
                sizes.text(row["budget"]),
                row["parent"] or row["base"],
                row["purpose"],
            )
            for row in table
        ],
        right=(2, 3),
    )
    for note in dict.fromkeys(
        f"{row['base']} (checked: {row['checked']})" + (f": {row['note']}" if row["note"] else "") for row in table
    ):
        print(output.line(note))
