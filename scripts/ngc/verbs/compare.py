"""compare."""

from __future__ import annotations

from ngc.verbs.common import JSON, verb


@verb(
    positional=["a", "b"],
    help={
        "a": "an image, by any reference: that of the engine where it has it, else its registry's",
        "b": "the image to compare it with",
        "pull": "fetch what is not here, to compare files and packages, too (default: nothing is pulled)",
        "plot": "also draw the layers of both into this file, .svg",
        "platform": "of an image in a registry, such as linux/arm64 (default: this machine's)",
        "json": JSON,
    },
)
def compare(c, a, b, pull=False, plot=None, platform=None, json=False):  # type: ignore[no-untyped-def]
    """Two images side by side: sizes by kind, layers, download, configuration; packages and files if both are here."""
    from json import dumps

    from ngc import compare as compares
    from ngc.comparing import page
    from ngc.comparing import plot as plots

    file = plots.svg_file(plot) if plot else None
    data = compares.compare(a, b, platform, pull)
    if file:
        plots.write(data, file)
    print(dumps(data, indent=2) if json else page.text(data))
