"""The tables in README and docs that come from the tree: written by `nox -s tables`, held to by `nox -s lint`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence

from ngc import sizes
from ngc.catalog import ROOT, Catalog, read
from ngc.errors import Failed

# `<!-- table NAME: ... -->`, the table, `<!-- end of table -->`.
_PLACE = re.compile(r"(<!-- table (?P<name>[a-z]+)[^>]*-->\n).*?(<!-- end of table -->)", re.DOTALL)


def images(catalog: Catalog) -> list[Sequence[str]]:
    """A row per target: what it is for and its budget."""
    rows: list[Sequence[str]] = [("image", "purpose", "budget above its parent, on disk")]
    for image in catalog.images:
        rows.append((f"`{image.repository}`", image.purpose, sizes.text(image.budget) if image.budget else "none"))
    return rows


def releases(catalog: Catalog) -> list[Sequence[str]]:
    """A row per known base: how it was checked and what is known of it."""
    rows: list[Sequence[str]] = [("framework", "base", "checked by", "known of it")]
    for framework in catalog.frameworks:
        for base in framework.bases:
            parts = [f"{name} {part.version or 'absent'}" for name, part in base.components.items()]
            default = " (default)" if base.reference == framework.default_base else ""
            known = "; ".join([*([base.note] if base.note else []), ", ".join(parts)])
            rows.append((framework.name, f"`{base.reference}`{default}", base.checked, known))
    return rows


def verbs(_: Catalog) -> list[Sequence[str]]:
    """A row per verb, with its flags."""
    sys.path.insert(0, str(ROOT))
    from tasks import namespace

    rows: list[Sequence[str]] = [("verb", "does", "flags")]
    for name, task in namespace.tasks.items():
        flags = " ".join(f"`--{argument.name.replace('_', '-')}`" for argument in task.get_arguments())
        rows.append((f"`{name}`", " ".join((task.body.__doc__ or "").split()), flags))
    return rows


TABLES: Mapping[str, Callable[[Catalog], list[Sequence[str]]]] = {
    "images": images,
    "releases": releases,
    "verbs": verbs,
}


def filled(text: str, catalog: Catalog) -> str:
    """The text with every marked table made anew."""

    def replaced(match: re.Match[str]) -> str:
        first, *rows = TABLES[match["name"]](catalog)
        lines = [first, ["---"] * len(first), *rows]
        return match[1] + "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + match[3]

    return _PLACE.sub(replaced, text)


def main(check: bool) -> None:
    """Write the tables, or only look. Raises Failed for a file whose table is stale."""
    table = read()
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = path.read_text()
        new = filled(text, table)
        if new != text and check:
            raise Failed(f"{path}: a table is stale; run `nox -s tables`")
        path.write_text(new)


if __name__ == "__main__":
    try:
        main(check="--check" in sys.argv[1:])
    except Failed as error:
        sys.exit(f"error: {error}")
