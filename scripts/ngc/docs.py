"""What is generated in README, docs and configs: tables that come from the tree, and engine files. `nox -s tables` writes it, `nox -s lint` holds it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from ngc import files, sizes
from ngc.catalog import ROOT, Catalog, read
from ngc.errors import Failed, Wrong

Rows: TypeAlias = Sequence[Sequence[str]]  # of a table, its head first

# `<!-- table NAME: ... -->`, the table, `<!-- end of table -->`.
_TABLE = re.compile(r"(<!-- table (?P<name>[a-z]+)[^>]*-->\n).*?(<!-- end of table -->)", re.DOTALL)
# `# <engine files: made from ngc-builds/common/base-configs/NAME by ...>`, the ConfigMap's data, `# <end of engine files>`.
_ENGINE_FILES = re.compile(
    r"(?P<head># <engine files: made from ngc-builds/(?P<folder>common/base-configs/[\w-]+) [^>]*>\n)"
    r"(?P<data>.*?)(?P<tail># <end of engine files>\n)",
    re.DOTALL,
)
_KEY = re.compile(r"^  (?P<name>[\w.-]+): \|", re.MULTILINE)
_PARTS = {".md": "a table", ".yaml": "its block of engine files", ".svg": "the picture"}  # of a file, that is generated


def tables(catalog: Catalog) -> dict[str, Rows]:
    """The tables that come from the tree, by name."""
    return {"images": _images(catalog), "releases": _releases(catalog), "verbs": _verbs(), "rules": _rules()}


def _images(catalog: Catalog) -> Rows:
    rows = [("image", "purpose", "budget above its parent, on disk")]
    for image in catalog.images:
        rows.append((f"`{image.repository}`", image.purpose, sizes.text(image.budget) if image.budget else "none"))
    return rows


def _releases(catalog: Catalog) -> Rows:
    """A row per known base: how it was checked and what is known of it."""
    rows = [("framework", "base", "checked by", "known of it")]
    for framework in catalog.frameworks:
        for base in framework.bases:
            parts = [f"{name} {part.version or 'absent'}" for name, part in base.components.items()]
            default = " (default)" if base.reference == framework.default_base else ""
            known = "; ".join([*([base.note] if base.note else []), ", ".join(parts)])
            rows.append((framework.name, f"`{base.reference}`{default}", base.checked, known))
    return rows


def _verbs() -> Rows:
    sys.path.insert(0, str(ROOT))
    from tasks import namespace

    rows = [("verb", "does", "flags")]
    for name, task in namespace.tasks.items():
        flags = " ".join(f"`--{argument.name.replace('_', '-')}`" for argument in task.get_arguments())
        rows.append((f"`{name}`", " ".join((task.body.__doc__ or "").split()), flags))
    return rows


def _rules() -> Rows:
    from ngc.deploy import lint

    return [("rule", "severity", "what it finds"), *((f"`{r.id}`", r.severity, r.about) for r in lint.rules())]


def with_tables(pages: Iterable[Path], tables: Mapping[str, Rows]) -> dict[Path, str]:
    """The texts of pages, every marked table made anew. Raises Failed for a table that no page has any more, or that is not among
    the tables: its marks were taken out or broken.
    """
    texts = {page: page.read_text() for page in pages}
    marked = [match["name"] for text in texts.values() for match in _TABLE.finditer(text)]
    for name in (*tables, *marked):
        if name not in marked or name not in tables:
            what = f"no page has the table '{name}' any more" if name in tables else f"nothing makes the table '{name}'"
            raise Failed(
                f"{what}; write `<!-- table NAME: ... -->` and `<!-- end of table -->` around it, with one of: {', '.join(tables)}"
            )
    return {
        page: _TABLE.sub(lambda match: match[1] + markdown(tables[match["name"]]) + match[3], text)
        for page, text in texts.items()
    }


def markdown(rows: Rows) -> str:
    """A table. No text ends its cell or its row."""
    first, *rest = rows
    lines = [
        [" ".join(cell.replace("|", "\\|").split()) for cell in row] for row in (first, ["---"] * len(first), *rest)
    ]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def with_engine_files(config: Path, builds: Path) -> str:
    """A config's text with its engine files made anew: each key of the block is a file of the folder that the block names.

    A config must work with `kubectl apply -f` alone, so the ConfigMap beside the graph holds the text of the files itself.
    `builds` is ngc-builds. Raises Wrong for a file that is not there.
    """
    text = config.read_text()

    def replaced(block: re.Match[str]) -> str:
        folder = builds / block["folder"]
        lines = ["data:"]
        for name in _KEY.findall(block["data"]):
            if not (folder / name).is_file():
                there = ", ".join(sorted(path.name for path in folder.glob("*.yaml"))) or "none"
                line = text[: block.start("data")].count("\n") + 1
                raise Wrong(f"{config}:{line}: {folder} has no {name}; the block may name: {there}")
            lines.append(f"  {name}: |")
            lines += [f"    {line}".rstrip() for line in (folder / name).read_text().splitlines()]
        return block["head"] + "\n".join(lines) + "\n" + block["tail"]

    return _ENGINE_FILES.sub(replaced, text)


def update(made: Mapping[Path, str], check: bool) -> None:
    """Write the files whose text is another than the one made, or only look. Raises Failed for a file that is stale."""
    stale = {path: text for path, text in made.items() if not path.exists() or path.read_text() != text}
    for path in stale if check else ():
        raise Failed(f"{path}: {_PARTS[path.suffix]} is stale; run `nox -s tables`")
    files.write_all(stale)


def main(check: bool, root: Path = ROOT) -> None:
    """Write or check all but docs/COMPARISON.md, which tests/bench/common/page.py makes. Raises Failed and Wrong."""
    catalog = read()
    pages = [root / "README.md", *sorted(set(root.glob("docs/*.md")) - {root / "docs" / "COMPARISON.md"})]
    configs = sorted(root.glob("configs/*.yaml"))
    made = {config: with_engine_files(config, catalog.folder) for config in configs}
    update(with_tables(pages, tables(catalog)) | made, check)


if __name__ == "__main__":
    try:
        main(check="--check" in sys.argv[1:])
    except (Failed, Wrong) as error:
        sys.exit(f"error: {error}")
