"""extract-from-ngc, show, compare."""

from __future__ import annotations

from invoke.exceptions import Exit

from ngc.asked.images import Compare, Extract, Show
from ngc.errors import Wrong
from ngc.verbs.flags import verb


@verb(Extract)
def extract_from_ngc(asked: Extract) -> None:
    """Take UCX, NIXL, wheels ... out of a base image without pulling it."""
    from ngc import catalog
    from ngc.extract import run

    if not (run.check if asked.check else run.extract)(catalog.read(), asked):
        raise Exit(code=1)


@verb(Show)
def show(asked: Show) -> None:
    """What is inside an image, read from the image: components, layers, environment, tools."""
    from json import dumps

    from ngc import show

    if asked.image is None:
        raise Wrong(
            "show needs to know what; add --image REFERENCE, one of those that `invoke list` shows or any other"
        )
    if asked.sbom or asked.scan:
        bill = [show.bill_command(asked.image, asked.sbom)] if asked.sbom else []
        for command in [*bill, *([show.scan_command(asked.image)] if asked.scan else [])]:
            show.by_hand(command)
        return
    data = show.look(asked.image, asked.files)
    print(dumps(data, indent=2) if asked.json else show.page(data))


@verb(Compare)
def compare(asked: Compare) -> None:
    """Two images side by side: sizes by kind, layers, download, configuration; packages and files if both are here."""
    from json import dumps

    from ngc import compare
    from ngc.comparing import page, plot

    file = plot.svg_file(asked.plot) if asked.plot else None
    data = compare.compare(asked.a, asked.b, asked.platform, asked.pull)
    if file:
        plot.write(data, file)
    print(dumps(data, indent=2) if asked.json else page.text(data))
