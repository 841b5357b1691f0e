"""extract-from-ngc."""

from __future__ import annotations

from invoke.exceptions import Exit

from ngc import catalog
from ngc.verbs.common import BASE, PLAN, verb


@verb(
    help={
        "framework": "whose components, and whose base",
        "component": "a name in the framework's image.yaml, or an absolute path; may be repeated (default: all that image.yaml names)",
        "image": "image reference, OCI layout or `docker save` archive to take from (default: the framework's base)",
        "base": BASE.replace("what to build on", "what to take from"),
        "mirror": "host[:port][/path] that the image comes from instead of its own registry",
        "out": "folder for the result (default: ngc-builds/common/extracted/<framework>)",
        "platform": "such as linux/arm64 (default: this machine's)",
        "plan": PLAN,
        "check": "only say whether the folder still is what was extracted, reading every file; exit 1 if not",
        "owners": "give files to the users and groups of the image (root only; default: to who runs this)",
        "json": "print data for programs: events, one JSON object a line",
    },
    iterable=["component"],
)
def extract_from_ngc(  # type: ignore[no-untyped-def]
    c, component, framework=None, image=None, base=None, mirror=None, out=None, platform=None, plan=False, check=False,
    owners=False, json=False,
):  # fmt: skip
    """Take UCX, NIXL, wheels ... out of a base image without pulling it."""
    from ngc.extract import asking, run

    request = asking.Request(framework, component, image, base, mirror, out, platform, owners)
    table = catalog.read()
    if not (run.check(table, request, json) if check else run.extract(table, request, plan, json)):
        raise Exit(code=1)
