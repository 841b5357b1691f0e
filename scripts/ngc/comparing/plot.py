"""The layers of two images as a picture: bars left and right of a line, layers that both have in one row and one colour."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from ngc import files, output, sizes
from ngc.comparing.page import KINDS
from ngc.errors import Failed, Wrong

ROW, BAR, SIDE, MIDDLE, TOP = 24, 16, 300, 400, 128  # pixels
SMALL = 0.004  # layers below this part of the larger image are drawn as one
COLOURS = {"both": "#5b7fa6", "a": "#c46a3f", "b": "#4d9a6a"}
_LETTERS = 58  # of what made a layer
_SHELL = re.compile(r"^(RUN) (?:\|\d+ (?:\w+=\S* )*)?/bin/(?:ba)?sh -\w*c ")  # as BuildKit writes it


@dataclass(frozen=True)
class Row:
    """A line of the picture: bytes in A and in B, None where the layer is not there."""

    a: int | None
    b: int | None
    label: str

    @property
    def whose(self) -> str:
        return "both" if self.a is not None and self.b is not None else "a" if self.b is None else "b"


def svg_file(name: str) -> Path:
    """The file of --plot. Raises Wrong for one that is no picture, or in no folder."""
    path = Path(name)
    if path.suffix != ".svg":
        raise Wrong(f"--plot is '{name}'; name a file that ends in .svg")
    if not path.absolute().parent.is_dir():
        raise Wrong(f"--plot is '{name}', and there is no folder {path.absolute().parent}; make it first")
    return path


def write(data: Mapping[str, Any], path: Path) -> None:
    """Draw a comparison into a file. Raises Failed if no kind of size is known of both images."""
    files.write(path, svg(data))


def kind_of(data: Mapping[str, Any]) -> str:
    """The kind of size that is known of every layer of both: on disk before compressed. Raises Failed."""
    layers = [layer for side in "ab" for layer in data[side]["layers"]]
    for kind in KINDS:
        if all(layer[kind] is not None for layer in layers):
            return kind
    raise Failed(
        "there is no picture: an engine knows what layers take on disk, a registry what they take compressed, and here is one "
        "image of each; add --pull, or name both in a registry"
    )


def rows(data: Mapping[str, Any], kind: str) -> list[Row]:
    """A row per layer, from the bottom up; small neighbours of one colour are one row."""
    a, b = data["a"]["layers"], data["b"]["layers"]
    match = SequenceMatcher(None, [x["diff_id"] for x in a], [x["diff_id"] for x in b], autojunk=False)
    found: list[Row] = []
    for what, i, j, k, m in match.get_opcodes():
        if what == "equal":
            found += [Row(x[kind], y[kind], x["made_by"]) for x, y in zip(a[i:j], b[k:m], strict=True)]
        else:
            found += [Row(x[kind], None, x["made_by"]) for x in a[i:j]]
            found += [Row(None, x[kind], x["made_by"]) for x in b[k:m]]
    return _joined(found)


def _joined(found: Sequence[Row]) -> list[Row]:
    limit = SMALL * max(sum(r.a or 0 for r in found), sum(r.b or 0 for r in found), 1)
    joined: list[Row] = []
    count = 0
    for row in found:
        small = max(row.a or 0, row.b or 0) < limit
        if small and count and joined[-1].whose == row.whose:
            count += 1
            last = joined.pop()
            row = Row(_sum(last.a, row.a), _sum(last.b, row.b), f"{count} small layers")
        else:
            count = 1 if small else 0
        joined.append(row)
    return joined


def _sum(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a + b


def svg(data: Mapping[str, Any]) -> str:
    """The picture as a text of SVG."""
    kind = kind_of(data)
    lines = rows(data, kind)
    most = max([1, *(size for row in lines for size in (row.a, row.b) if size)])
    width, height = 2 * SIDE + MIDDLE + 160, TOP + ROW * len(lines) + 56
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *_head(data, kind, width),
        *(part for number, row in enumerate(lines) for part in _row(row, number, most, width)),
        _text(width / 2, height - 20, "rows from the bottom layer of the images (above) to the top one (below)", "middle"),
        "</svg>",
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


def _head(data: Mapping[str, Any], kind: str, width: int) -> list[str]:
    name, size = KINDS[kind], data["sizes"][kind]
    parts = [_text(width / 2, 26, f"Layers of two images, sizes {name}", "middle", 'font-size="17" font-weight="bold"')]
    for x, letter, anchor in ((20.0, "a", "start"), (width - 20.0, "b", "end")):
        parts.append(
            _text(x, 52, f"{letter.upper()}: {data[letter]['name']}", anchor, f'fill="{COLOURS[letter]}" font-size="14"')
        )  # fmt: skip
        parts.append(_text(x, 70, f"{sizes.text(size[letter])} {name}, {len(data[letter]['layers'])} layers", anchor))
    same, x = data["layers"]["shared"], width / 2 - 250
    for key, text in (
        ("both", f"in both: {sizes.text(same[kind])}, stored and sent once"),
        ("a", "only in A"),
        ("b", "only in B"),
    ):
        parts.append(f'<rect x="{x:.0f}" y="90" width="14" height="14" fill="{COLOURS[key]}"/>')
        parts.append(_text(x + 20, 102, text, "start"))
        x += 310 if key == "both" else 100
    return parts


def _row(row: Row, number: int, most: int, width: int) -> list[str]:
    y = TOP + ROW * number
    colour, half = COLOURS[row.whose], MIDDLE / 2
    label = _SHELL.sub(r"\1 ", row.label).removesuffix(" # buildkit") or ("imported file system" if not number else "")
    label = label if len(label) <= _LETTERS else label[: _LETTERS - 1] + "…"
    parts = [_text(width / 2, y + BAR - 4, label, "middle", 'fill="#555" font-size="11"')]
    if row.a is not None:
        length = max(1.0, row.a / most * SIDE)
        x = width / 2 - half - length
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>')
        parts.append(_text(x - 6, y + BAR - 4, sizes.text(row.a), "end"))
    if row.b is not None:
        length = max(1.0, row.b / most * SIDE)
        x = width / 2 + half
        parts.append(f'<rect x="{x:.1f}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>')
        parts.append(_text(x + length + 6, y + BAR - 4, sizes.text(row.b), "start"))
    return parts


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" {more}>{escape(output.line(text))}</text>'
