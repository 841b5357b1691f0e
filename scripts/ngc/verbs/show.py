"""show."""

from __future__ import annotations

from ngc.errors import Wrong
from ngc.verbs.common import JSON, verb


@verb(
    help={
        "image": "the image to look into, by any reference; it must be here",
        "files": "also say which folders each layer filled (default: no; it reads the whole image, a minute for 10 GB)",
        "sbom": "write the bill of materials to this file, .spdx.json or .cdx.json, by syft or trivy",
        "scan": "list known vulnerabilities, by trivy or grype, instead of the page",
        "json": JSON,
    }
)
def show(c, image=None, files=False, sbom=None, scan=False, json=False):  # type: ignore[no-untyped-def]
    """What is inside an image, read from the image: components, layers, environment, tools."""
    from json import dumps

    from ngc import show as shows

    if image is None:
        raise Wrong(
            "show needs to know what; add --image REFERENCE, one of those that `invoke list` shows or any other"
        )
    if sbom or scan:
        for command in [
            *([shows.bill_command(image, sbom)] if sbom else []),
            *([shows.scan_command(image)] if scan else []),
        ]:
            shows.by_hand(command)
        return
    data = shows.look(image, files)
    print(dumps(data, indent=2) if json else shows.page(data))
