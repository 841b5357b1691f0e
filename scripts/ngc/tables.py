"""The tables in README and docs that come from the tree, and the engine files in configs/: written by `nox -s tables`, held to by `nox -s lint`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from ngc import comparisonpage, comparisonplot, enginefiles, files, sizes
from ngc.catalog import ROOT, Catalog, read
from ngc.errors import Failed, Wrong

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


def rules(_: Catalog) -> list[Sequence[str]]:
    """A row per lint rule: its severity, what is wrong and what happens then."""
    from ngc.deploy import lint

    return [("rule", "severity", "what it finds"), *((f"`{r.id}`", r.severity, r.about) for r in lint.rules())]


TABLES: Mapping[str, Callable[[Catalog], list[Sequence[str]]]] = {
    "images": images,
    "releases": releases,
    "verbs": verbs,
    "rules": rules,
    **comparisonpage.TABLES,
}


def filled(text: str, catalog: Catalog) -> str:
    """The text with every marked table made anew."""

    def replaced(match: re.Match[str]) -> str:
        first, *rows = TABLES[match["name"]](catalog)
        lines = [first, ["---"] * len(first), *rows]
        return match[1] + "".join(f"| {' | '.join(map(_cell, cells))} |\n" for cells in lines) + match[3]

    return _PLACE.sub(replaced, text)


def _cell(text: str) -> str:
    """A text that ends neither its cell nor its row."""
    return " ".join(text.replace("|", "\\|").split())


def check_all_there(pages: Iterable[str]) -> None:
    """Raise Failed for a table that no page has any more, or that none can be made of: its marks were taken out or broken."""
    found = [match["name"] for text in pages for match in _PLACE.finditer(text)]
    for name in (*TABLES, *found):
        if name not in found or name not in TABLES:
            what = f"no page has the table '{name}' any more" if name in TABLES else f"nothing makes the table '{name}'"
            raise Failed(
                f"{what}; write `<!-- table NAME: ... -->` and `<!-- end of table -->` around it, with one of: {', '.join(TABLES)}"
            )


def main(check: bool) -> None:
    """Write the tables and the engine files in configs/, or only look. Raises Failed for a file that is stale, Wrong for a broken one."""
    table = read()
    pages = ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))
    texts = {path: path.read_text() for path in pages}
    check_all_there(texts.values())
    made = [(path, filled(text, table), "a table") for path, text in texts.items()]
    made += [
        (path, enginefiles.filled(path, table.folder), "its block of engine files")
        for path in sorted((ROOT / "configs").glob("*.yaml"))
    ]
    made.append((comparisonplot.FILE, comparisonplot.made(), "the picture"))
    stale = [(path, new, part) for path, new, part in made if not path.exists() or new != path.read_text()]
    for path, _, part in stale if check else ():
        raise Failed(f"{path}: {part} is stale; run `nox -s tables`")
    files.write_all({path: new for path, new, _ in stale})


if __name__ == "__main__":
    try:
        main(check="--check" in sys.argv[1:])
    except (Failed, Wrong) as error:
        sys.exit(f"error: {error}")
