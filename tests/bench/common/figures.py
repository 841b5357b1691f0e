"""The figures of docs/COMPARISON.md, from docs/data/comparison.yaml. Each has a kind and a source; sizes of different kinds are never compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ngc import sizes, yamlfile

DOCS = Path(__file__).resolve().parents[3] / "docs"
DATA = DOCS / "data" / "comparison.yaml"
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
        value = sizes.text(self.bytes) if self.bytes is not None else duration(self.seconds)
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

    def pull(self, gigabits: float) -> float:
        """Seconds to bring NVIDIA's image over a line of so many Gbit/s; the line alone, without unpacking."""
        return self.published["ngc-compressed"].bytes * 8 / (gigabits * 1e9)


def read(data: Mapping[str, Any] | None = None) -> Data:
    """The figures, of the data file or of data like it."""
    data = data or yamlfile.load_file(DATA)
    published = {key: Figure(**entry) for key, entry in data["published"].items()}
    layers = [Layer(**entry) for entry in data["measured"]["images"]]
    return Data(data["sources"], published, layers, data["measured"])


def duration(seconds: float) -> str:
    """A time for people."""
    if seconds >= 120:
        return f"{seconds / 60:.0f} min"
    if seconds >= 10:
        return f"{seconds:.0f} s"
    return f"{seconds:.1f} s" if seconds >= 0.1 else f"{seconds * 1000:.0f} ms"
