"""The tables and the picture of docs/COMPARISON.md: `nox -s tables` writes them, `nox -s lint` holds them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from ngc import docs, sizes
from ngc.errors import Failed

from .figures import COMPUTED, DOCS, MEASURED, PUBLISHED, Data, duration, read

LINES = (1, 10)  # Gbit/s of the networks that a pull is computed for
WIDTH, LEFT, FULL, ROW, BAR = 860, 260, 430, 26, 16  # pixels
THIN = 2.0  # pixels of a bar too small to be seen
COLOURS = {PUBLISHED: "#7d8fa9", COMPUTED: "#d08a3c", MEASURED: "#4d9a6a"}
LEGEND = {
    PUBLISHED: "published, not checked here",
    COMPUTED: "computed",
    MEASURED: "measured here, on the stand-in",
}
STYLE = (
    "text { font: 13px sans-serif; fill: #222 } .title { font-weight: bold } .none { fill: #666; font-style: italic }"
)


def tables(data: Data) -> dict[str, docs.Rows]:
    """The tables by name, each with its head."""
    measured = data.measured
    idle, deployment, setting, rest = (measured[key] for key in ("nothing", "deployment", "setting", "children"))
    machine = measured["machine"]
    return {
        "figures": [
            ("figure", "value", "kind", "source"),
            *((figure.what, figure.text, figure.kind or "time", figure.source) for figure in data.published.values()),
        ],
        "sources": [
            ("source", "what it is", "date", "address"),
            *((name, e["what"], str(e["date"]), e.get("link", "none known")) for name, e in data.sources.items()),
        ],
        "promise": promise(data),
        "time": time(data),
        "layers": [
            ("image", "adds on disk", "adds to download, compressed", "built in"),
            *(
                (
                    f"{layer.framework} {layer.target}",
                    sizes.text(layer.bytes),
                    "not measured" if layer.compressed is None else sizes.text(layer.compressed),
                    duration(layer.seconds),
                )
                for layer in data.layers
            ),
        ],
        "rebuilds": [
            ("what changed", "images built", "takes"),
            ("nothing, `build-all`", "0", f"{duration(idle['seconds'])}, of it our own part {duration(idle['own'])}"),
            ("a file in `configs/`, `build-all`", str(deployment["built"]), duration(deployment["seconds"])),
            ("a setting in a `Dockerfile.runtime`, that image", str(setting["built"]), duration(setting["seconds"])),
            ("then its dev and benchmark image", str(rest["built"]), duration(rest["seconds"])),
        ],
        "machine": [
            ("cores", "memory", "system", "engine", "built on", "load before", "date"),
            (
                str(machine["cores"]),
                sizes.text(machine["memory"]),
                *(machine[key] for key in ("system", "engine", "base")),
                str(machine["load"]),
                str(measured["date"]),
            ),
        ],
    }


def promise(data: Data) -> docs.Rows:
    """The two promises of the project, taken apart: size like for like, and what the time was."""
    chain, disk, load = (data.published[key] for key in ("chain", "ngc-on-disk", "ngc-compressed"))
    whole, way = data.published["chain-seconds"], data.published["ngc-seconds"]
    like = chain.bytes / (disk.bytes + data.runtime.bytes)  # the chain's last image against NVIDIA's with our layer
    fit = [
        data.published[f"{of}-on-disk"].bytes / data.published[f"{of}-compressed"].bytes for of in ("ngc", "replica")
    ]
    line = load.bytes * 8 / way.seconds / 1e9  # Gbit/s
    return [
        ("claim", "what stands behind it", "what is left of it"),
        (
            f'"{chain.bytes / load.bytes:.1f}x smaller"',
            f"{chain.text} on disk against {load.text} compressed: two kinds of size",
            "nothing: not like for like, and not claimed here",
        ),
        (
            "smaller, on disk against on disk",
            f"{chain.text} against {disk.text}, our layer of {sizes.text(data.runtime.bytes)} included",
            f"**{like:.1f}x**, {100 * (1 - 1 / like):.0f} % less",
        ),
        ("smaller to download", f"{load.text}; of the chain nobody published it", "unknown"),
        (
            "do the two sizes of NVIDIA's image fit together?",
            f"on disk / compressed: {fit[0]:.2f}; of a replica {fit[1]:.2f}",
            "yes",
        ),
        (
            f'"{whole.seconds / way.seconds:.0f}x faster to build"',
            f"{whole.text} against {way.text}, both published; a line of {line:.2f} Gbit/s would need all of the latter for the pull",
            "depends on your line: next table",
        ),
    ]


def time(data: Data) -> docs.Rows:
    """The first build by its parts, and what it comes to against the chain's."""
    chain, load = data.published["chain-seconds"].seconds, sizes.text(data.published["ngc-compressed"].bytes)
    runtime, family = data.runtime.seconds, data.slowest_family
    return [
        ("step", "takes", f"against {duration(chain)}", "kind"),
        *(
            (f"pull of {load} over {line} Gbit/s", duration(data.pull(line)), "-", f"{COMPUTED}: the line alone")
            for line in LINES
        ),
        ("our runtime layer", duration(runtime), "-", MEASURED),
        ("runtime, benchmark and dev, one after another", duration(family), "-", MEASURED),
        *(
            (
                f"first build of {images}, {line} Gbit/s",
                duration(data.pull(line) + own),
                f"{strong}{chain / (data.pull(line) + own):.0f}x{strong} at most",
                f"{COMPUTED} from the above",
            )
            for images, own, strong in (("runtime", runtime, "**"), ("all three", family, ""))
            for line in LINES
        ),
    ]


@dataclass(frozen=True)
class Bar:
    """A line of the picture: pieces (value, kind) from left to right, and what is said of the whole. No pieces: nobody knows."""

    label: str
    pieces: Sequence[tuple[float, str]]
    text: str

    @property
    def value(self) -> float:
        return sum(value for value, _ in self.pieces)


def parts(data: Data) -> dict[str, Sequence[Bar]]:
    """Bars that may be compared with each other, by title: one unit, one kind of size."""
    chain, disk, load = (data.published[key] for key in ("chain", "ngc-on-disk", "ngc-compressed"))
    own, seconds = data.runtime, data.published["chain-seconds"].seconds
    pulls = []
    for line in LINES:
        text = f"{duration(data.pull(line) + own.seconds)}, of it our layer {duration(own.seconds)}"
        pieces = (data.pull(line), COMPUTED), (own.seconds, MEASURED)
        pulls.append(Bar(f"pull at {line} Gbit/s + our layer", pieces, text))
    ours = (disk.bytes, PUBLISHED), (own.bytes, MEASURED)
    return {
        "On disk": (
            Bar("from-source chain", [(chain.bytes, PUBLISHED)], sizes.text(chain.bytes)),
            Bar("NVIDIA's image + our layer", ours, f"{disk.text} + {sizes.text(own.bytes)}"),
        ),
        "To download, compressed": (
            Bar("from-source chain", (), "unknown"),
            Bar("NVIDIA's image", [(load.bytes, PUBLISHED)], sizes.text(load.bytes)),
        ),
        "First build of the image that runs (without unpacking)": (
            Bar("from-source chain", [(seconds, PUBLISHED)], duration(seconds)),
            *pulls,
        ),
    }


def svg(data: Data) -> str:
    """The picture: the colour of a bar says whether a figure was published, computed or measured."""
    lines, y = [*_head()], 62
    drawn = parts(data)
    disk, load, _ = drawn
    largest = {title: max(bar.value for bar in bars) for title, bars in drawn.items()}
    # Sizes of both kinds share a scale, so that a length means the same number of bytes; times have their own.
    largest[disk] = largest[load] = max(largest[disk], largest[load])
    for title, bars in drawn.items():
        lines.append(f'<text x="20" y="{y}" class="title">{escape(title)}</text>')
        y += 12
        for bar in bars:
            lines += _bar(bar, y, largest[title])
            y += ROW
        y += 24
    size = f'width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"'
    first = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="Sizes and times, each by its kind">'
    return "\n".join([first, *lines, "</svg>", ""])


def _head() -> Iterator[str]:
    yield "<!-- made from docs/data/comparison.yaml by `nox -s tables` -->"
    yield f"<style>{STYLE}</style>"
    yield '<rect width="100%" height="100%" fill="#fff"/>'
    x = 20
    for kind, name in LEGEND.items():
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


def main(check: bool) -> None:
    """Write the page's tables and the picture, or only look whether they are stale. Raises Failed."""
    data = read()
    made = docs.with_tables([DOCS / "COMPARISON.md"], tables(data))
    docs.update({**made, DOCS / "comparison.svg": svg(data)}, check)


if __name__ == "__main__":
    try:
        main(check="--check" in sys.argv[1:])
    except Failed as error:
        sys.exit(f"error: {error}")
