"""Sizes on disk: of an image, above its parent and base, and against its budget. Bytes, decimal units in texts."""

from __future__ import annotations

from ngc import engine as engines
from ngc.engine import Engine, Found


def text(size: int | None) -> str:
    """A size for people: 12 kB, 34.5 MB, 1.23 GB; a dash for None."""
    if size is None:
        return "-"
    for unit, factor, digits in (("GB", 10**9, 2), ("MB", 10**6, 1), ("kB", 10**3, 0)):
        if abs(size) >= factor:
            return f"{size / factor:.{digits}f} {unit}"
    return f"{size} B"


def on_disk(engine: Engine, image: Found) -> int:
    """The sum of an image's layers, unpacked. Asks the engine again only where its first answer counts more than layers."""
    return image.size if image.size is not None else sum(size for size, _ in engines.layer_sizes(engine, image.id))


def above(engine: Engine, image: Found, below: Found) -> int:
    """Bytes on disk that an image adds to the one it was built on."""
    return on_disk(engine, image) - on_disk(engine, below)


def over_budget(engine: Engine, image: Found, parent: Found, budget: int) -> str | None:
    """None if the image keeps its budget; else by how much it does not, and the layer that costs most."""
    used = above(engine, image, parent)
    if used <= budget:
        return None
    own = engines.layer_sizes(engine, image.id)
    own = own[: len(own) - len(engines.layer_sizes(engine, parent.id))] or own
    size, made = max(own)
    return (
        f"{text(used)} on disk above its parent is {text(used - budget)} over the budget of {text(budget)}; "
        f"its largest layer is {text(size)}: {' '.join(made.split())[:120]}; make it smaller, or raise `budget` in image.yaml"
    )
