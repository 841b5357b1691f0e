"""The picture of docs/COMPARISON.md: bars of one unit per part, the colour saying whether a figure was published, computed or measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from ngc import sizes
from ngc.catalog import ROOT
from ngc.comparisonpage import COMPUTED, LINES, MEASURED, PUBLISHED, Data, duration, first_build, pull_seconds, read

FILE = ROOT / "docs" / "comparison.svg"
WIDTH, LEFT, FULL, ROW, BAR = 860, 260, 430, 26, 16  # pixels
THIN = 2.0  # of a bar too small to be seen
COLOURS = {PUBLISHED: "#7d8fa9", COMPUTED: "#d08a3c", MEASURED: "#4d9a6a"}


@dataclass(frozen=True)
class Bar:
    """A line: pieces (value, kind) from left to right, and what is said of the whole. No pieces: nobody knows."""

    label: str
    pieces: Sequence[tuple[float, str]]
    text: str


@dataclass(frozen=True)
class Part:
    """Bars that may be compared with each other: one unit, one kind of size."""

    title: str
    bars: Sequence[Bar]


def parts(data: Data) -> list[Part]:
    """What is drawn."""
    chain, disk, load = (data.bytes_of(key) for key in ("chain", "ngc-on-disk", "ngc-compressed"))
    own, seconds = data.runtime, data.seconds_of("chain-seconds")
    ours = "NVIDIA's image + our layer"
    pulls = [
        Bar(
            f"pull at {line} Gbit/s + our layer",
            ((pull_seconds(load, line), COMPUTED), (own.seconds, MEASURED)),
            f"{duration(first_build(data, line))}, of it our layer {duration(own.seconds)}",
        )
        for line in LINES
    ]
    return [
        Part(
            "On disk",
            (
                Bar("from-source chain", ((chain, PUBLISHED),), sizes.text(chain)),
                Bar(
                    ours,
                    ((disk, PUBLISHED), (own.bytes, MEASURED)),
                    f"{data.published['ngc-on-disk'].text} + {sizes.text(own.bytes)}",
                ),
            ),
        ),
        Part(
            "To download, compressed",
            (
                Bar("from-source chain", (), "unknown"),
                Bar("NVIDIA's image", ((load, PUBLISHED),), sizes.text(load)),
            ),
        ),
        Part(
            "First build of the image that runs (without unpacking)",
            (Bar("from-source chain", ((seconds, PUBLISHED),), duration(seconds)), *pulls),
        ),
    ]


def svg(data: Data) -> str:
    """The picture, as text."""
    lines, y = [*_head()], 62
    # Sizes of both kinds share a scale, so that a length means the same number of bytes; times have their own.
    drawn = parts(data)
    largest = max(sum(value for value, _ in bar.pieces) for part in drawn[:2] for bar in part.bars)
    for part in drawn:
        top = largest if part in drawn[:2] else max(sum(v for v, _ in bar.pieces) for bar in part.bars)
        lines.append(f'<text x="20" y="{y}" class="title">{escape(part.title)}</text>')
        y += 12
        for bar in part.bars:
            lines += _bar(bar, y, top)
            y += ROW
        y += 24
    size = f'width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
    first = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="Sizes and times, each by its kind">'
    return "\n".join([first, *lines, "</svg>", ""])


def _head() -> Iterator[str]:
    yield "<!-- made from docs/data/comparison.yaml by `nox -s tables` -->"
    yield "<style>text { font: 13px sans-serif; fill: #222 } .title { font-weight: bold } .none { fill: #666; font-style: italic }</style>"
    yield '<rect width="100%" height="100%" fill="#fff"/>'
    x = 20
    names = {
        PUBLISHED: "published, not checked here",
        COMPUTED: "computed",
        MEASURED: "measured here, on the stand-in",
    }
    for kind, name in names.items():
        yield f'<rect x="{x}" y="14" width="14" height="14" fill="{COLOURS[kind]}"/>'
        yield f'<text x="{x + 20}" y="26">{name}</text>'
        x += 50 + 7 * len(name)


def _bar(bar: Bar, y: int, largest: float) -> Iterator[str]:
    yield f'<text x="30" y="{y + 13}">{escape(bar.label)}</text>'
    x = float(LEFT)
    for value, kind in bar.pieces:
        width = max(THIN, FULL * value / largest)
        yield f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" fill="{COLOURS[kind]}"/>'
        x += width
    style = "" if bar.pieces else ' class="none"'
    yield f'<text x="{x + 8:.1f}" y="{y + 13}"{style}>{escape(bar.text)}</text>'


def made() -> str:
    """The picture of the data file."""
    return svg(read())
