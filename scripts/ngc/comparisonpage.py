"""The tables of docs/COMPARISON.md: figures with their kind and source, and what follows from them. Nothing is compared across kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ngc import sizes, yamlfile
from ngc.catalog import ROOT, Catalog

DATA = ROOT / "docs" / "data" / "comparison.yaml"
LINES = (1, 10)  # Gbit/s of the networks that a pull is computed for
PUBLISHED, COMPUTED, MEASURED = "published", "computed", "measured"


@dataclass(frozen=True)
class Figure:
    """A published figure: bytes of a kind (on disk, compressed), or seconds. `about`: it was published as a round one."""

    what: str
    source: str
    bytes: int | None = None
    kind: str | None = None
    seconds: float | None = None
    about: bool = False

    @property
    def text(self) -> str:
        if self.about and self.bytes is not None:
            return f"about {self.bytes / 1e9:g} GB"
        value = sizes.text(self.bytes) if self.bytes is not None else duration(self.seconds or 0)
        return f"about {value}" if self.about else value


@dataclass(frozen=True)
class Layer:
    """What one of our images adds to its parent: bytes on disk, to download (None: no registry was there), and seconds to build."""

    framework: str
    target: str
    bytes: int
    seconds: float
    compressed: int | None = None


@dataclass(frozen=True)
class Data:
    """The data file. `measured` keeps what has no type of its own."""

    sources: Mapping[str, Mapping[str, Any]]
    published: Mapping[str, Figure]
    layers: Sequence[Layer]
    measured: Mapping[str, Any]

    def bytes_of(self, key: str) -> int:
        value = self.published[key].bytes
        assert value is not None, f"{key} is no size"
        return value

    def seconds_of(self, key: str) -> float:
        value = self.published[key].seconds
        assert value is not None, f"{key} is no time"
        return value

    @property
    def runtime(self) -> Layer:
        """The slowest of the images that run: each framework has one, directly on its base."""
        first = {layer.framework: layer for layer in reversed(self.layers)}
        return max(first.values(), key=lambda layer: layer.seconds)

    @property
    def slowest_family(self) -> float:
        """Seconds of all images of one framework, one after another: of the framework where that takes longest."""
        names = {layer.framework for layer in self.layers}
        return max(sum(layer.seconds for layer in self.layers if layer.framework == name) for name in names)


def read(data: Mapping[str, Any] | None = None) -> Data:
    """The figures, of the data file or of data like it."""
    if data is None:
        data = yamlfile.load_file(DATA)
    published = {key: Figure(**entry) for key, entry in data["published"].items()}
    layers = [Layer(**entry) for entry in data["measured"]["images"]]
    return Data(data["sources"], published, layers, data["measured"])


def pull_seconds(compressed: int, gigabits: float) -> float:
    """Seconds to bring bytes over a line of so many Gbit/s; the line alone, without unpacking."""
    return compressed * 8 / (gigabits * 1e9)


def duration(seconds: float) -> str:
    """A time for people."""
    if seconds >= 120:
        return f"{seconds / 60:.0f} min"
    if seconds >= 10:
        return f"{seconds:.0f} s"
    return f"{seconds:.1f} s" if seconds >= 0.1 else f"{seconds * 1000:.0f} ms"


def disk_ratio(data: Data) -> float:
    """The chain's last image against NVIDIA's with our layer, both on disk."""
    return data.bytes_of("chain") / (data.bytes_of("ngc-on-disk") + data.runtime.bytes)


def mixed_ratio(data: Data) -> float:
    """The chain's last image on disk against NVIDIA's compressed: the ratio that is not claimed."""
    return data.bytes_of("chain") / data.bytes_of("ngc-compressed")


def first_build(data: Data, gigabits: float) -> float:
    """Seconds of a pull over a line of so many Gbit/s and of our runtime layer."""
    return pull_seconds(data.bytes_of("ngc-compressed"), gigabits) + data.runtime.seconds


def line_of(compressed: int, seconds: float) -> float:
    """Gbit/s that a line must have to bring bytes in so many seconds."""
    return compressed * 8 / seconds / 1e9


def figures(_: Catalog) -> list[Sequence[str]]:
    """A row for each figure that others published."""
    rows: list[Sequence[str]] = [("figure", "value", "kind", "source")]
    for entry in read().published.values():
        rows.append((entry.what, entry.text, entry.kind or "time", entry.source))
    return rows


def sources(_: Catalog) -> list[Sequence[str]]:
    """A row for each source."""
    rows: list[Sequence[str]] = [("source", "what it is", "date", "address")]
    for name, entry in read().sources.items():
        rows.append((name, entry["what"], str(entry["date"]), entry.get("link", "none known")))
    return rows


def promise(_: Catalog) -> list[Sequence[str]]:
    """The two promises of the project, taken apart: size like for like, and what the time was."""
    data = read()
    chain, disk, load = (data.published[key].text for key in ("chain", "ngc-on-disk", "ngc-compressed"))
    less = 100 * (1 - 1 / disk_ratio(data))
    whole, way = data.published["chain-seconds"], data.published["ngc-seconds"]
    fit = [data.bytes_of(f"{name}-on-disk") / data.bytes_of(f"{name}-compressed") for name in ("ngc", "replica")]
    line = line_of(data.bytes_of("ngc-compressed"), data.seconds_of("ngc-seconds"))
    speed = data.seconds_of("chain-seconds") / data.seconds_of("ngc-seconds")
    return [
        ("claim", "what stands behind it", "what is left of it"),
        (
            f'"{mixed_ratio(data):.1f}x smaller"',
            f"{chain} on disk against {load} compressed: two kinds of size",
            "nothing: not like for like, and not claimed here",
        ),
        (
            "smaller, on disk against on disk",
            f"{chain} against {disk}, our layer of {sizes.text(data.runtime.bytes)} included",
            f"**{disk_ratio(data):.1f}x**, {less:.0f} % less",
        ),
        ("smaller to download", f"{load}; of the chain nobody published it", "unknown"),
        (
            "do the two sizes of NVIDIA's image fit together?",
            f"on disk / compressed: {fit[0]:.2f}; of a replica {fit[1]:.2f}",
            "yes",
        ),
        (
            f'"{speed:.0f}x faster to build"',
            f"{whole.text} against {way.text}, both published; a line of {line:.2f} Gbit/s would need all of the latter for the pull",
            "depends on your line: next table",
        ),
    ]


def time(_: Catalog) -> list[Sequence[str]]:
    """The first build by its parts, and what it comes to against the chain's."""
    data = read()
    chain = data.seconds_of("chain-seconds")
    load = data.bytes_of("ngc-compressed")
    rows: list[Sequence[str]] = [("step", "takes", f"against {duration(chain)}", "kind")]
    for line in LINES:
        pull = duration(pull_seconds(load, line))
        rows.append((f"pull of {sizes.text(load)} over {line} Gbit/s", pull, "-", f"{COMPUTED}: the line alone"))
    rows.append(("our runtime layer", duration(data.runtime.seconds), "-", MEASURED))
    rows.append(("runtime, benchmark and dev, one after another", duration(data.slowest_family), "-", MEASURED))
    for images, own, strong in (("runtime", data.runtime.seconds, "**"), ("all three", data.slowest_family, "")):
        for line in LINES:
            whole = pull_seconds(load, line) + own
            ratio = f"{strong}{chain / whole:.0f}x{strong} at most"
            rows.append(
                (f"first build of {images}, {line} Gbit/s", duration(whole), ratio, f"{COMPUTED} from the above")
            )
    return rows


def layers(_: Catalog) -> list[Sequence[str]]:
    """A row for each of our images: what it adds, and how long that takes."""
    rows: list[Sequence[str]] = [("image", "adds on disk", "adds to download, compressed", "built in")]
    for entry in read().layers:
        load = "not measured" if entry.compressed is None else sizes.text(entry.compressed)
        rows.append((f"{entry.framework} {entry.target}", sizes.text(entry.bytes), load, duration(entry.seconds)))
    return rows


def rebuilds(_: Catalog) -> list[Sequence[str]]:
    """A row for each thing that changes: what is built again, and how long that takes."""
    found = read().measured
    idle, deployment, setting, rest = (found[key] for key in ("nothing", "deployment", "setting", "children"))
    return [
        ("what changed", "images built", "takes"),
        ("nothing, `build-all`", "0", f"{duration(idle['seconds'])}, of it our own part {duration(idle['own'])}"),
        ("a file in `configs/`, `build-all`", str(deployment["built"]), duration(deployment["seconds"])),
        ("a setting in a `Dockerfile.runtime`, that image", str(setting["built"]), duration(setting["seconds"])),
        ("then its dev and benchmark image", str(rest["built"]), duration(rest["seconds"])),
    ]


def machine(_: Catalog) -> list[Sequence[str]]:
    """What was measured where and when."""
    found = read().measured
    of = found["machine"]
    return [
        ("cores", "memory", "system", "engine", "built on", "load before", "date"),
        (
            str(of["cores"]),
            sizes.text(of["memory"]),
            of["system"],
            of["engine"],
            of["base"],
            str(of["load"]),
            str(found["date"]),
        ),
    ]


TABLES = {
    "figures": figures,
    "sources": sources,
    "promise": promise,
    "time": time,
    "layers": layers,
    "rebuilds": rebuilds,
    "machine": machine,
}
