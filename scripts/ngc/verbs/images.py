"""list, build, build-all, push, clean, shell."""

from __future__ import annotations

import os
from typing import Any

from invoke.exceptions import Exit

from ngc import catalog
from ngc.verbs.common import BASE, FRAMEWORK, JSON, PLAN, TAG, TARGET, one_of, verb

_BUILD_HELP = {
    "framework": FRAMEWORK,
    "target": TARGET,
    "base": BASE,
    "tag": TAG,
    "jobs": "images built at the same time (default: number of cores)",
    "plan": PLAN,
    "format": "of --plan: text, json, or bake for `docker buildx bake -f -` (default: text)",
    "pull": "ask the registry again for the bases, and make the stand-in anew (default: what is here is used)",
    "push": "push all images to --registry, if all succeeded",
    "registry": "host[:port][/path] that images are pushed to",
    "mirror": "host[:port][/path] that bases come from instead of their own registry",
    "builder": "buildx builder to use, by one `docker buildx bake` (default: the engine's own)",
    "platform": "platform to build for, such as linux/arm64; several with --builder and --push, separated by commas (default: this machine's)",
    "no-cache": "run every build step again, without the engine's layer cache",
    "force": "call the engine for images that are up to date as well; its layer cache still answers",
}


@verb(help={"base": BASE, "json": JSON})
def list_(c, base=None, json=False):  # type: ignore[no-untyped-def]
    """What can be built: image, base, parent, purpose, and what is built already."""
    from ngc import listing

    table = catalog.read()
    listing.print_rows(listing.rows(table, base), as_json=json)
    if not json:
        print("\nwhat can be built on, with --base=REFERENCE:", *listing.releases(table), sep="\n  ")


def _declare(doc: str) -> Any:
    """build and build-all are one verb under two names: the second is what people know from the old tree."""

    def build(  # type: ignore[no-untyped-def]
        c, framework, target, base=None, tag=None, jobs=0, plan=False, format="text", pull=False, push=False, registry=None,
        mirror=None, builder=None, platform=None, no_cache=False, force=False,
    ):  # fmt: skip
        _build(
            framework,
            target,
            base,
            tag,
            jobs,
            plan,
            format,
            pull,
            push,
            registry,
            mirror,
            builder,
            platform,
            no_cache,
            force,
        )

    build.__doc__ = doc
    return verb(help=dict(_BUILD_HELP), iterable=["framework", "target"])(build)


build = _declare("Build images, parents first; parents are added when missing or stale.")
build_all = _declare("Build every image of every framework, or of those named.")


def _build(
    frameworks: list[str], targets: list[str], base: str | None, tag: str | None, jobs: int, plan: bool, form: str, pull: bool, push: bool,
    registry: str | None, mirror: str | None, builder: str | None, platform: str | None, no_cache: bool, force: bool,
) -> None:  # fmt: skip
    from ngc import build as builds
    from ngc.plan import Request

    one_of("--format", form, builds.FORMATS)
    request = Request(frameworks, targets, base, tag, mirror, platform, pull, force, no_cache)
    order = builds.Order(request, jobs or os.cpu_count() or 1, push, registry, builder)
    if plan:
        print(builds.planned(catalog.read(), order, form))
    elif code := builds.run(catalog.read(), order):
        raise Exit(code=code)


@verb(
    help={
        "framework": FRAMEWORK,
        "target": TARGET,
        "base": BASE,
        "tag": TAG,
        "registry": "host[:port][/path] to push to",
        "allow-stand-in": "push images that were built on the stand-in, too",
        "plan": PLAN,
    },
    iterable=["framework", "target"],
)
def push(c, framework, target, base=None, tag=None, registry=None, allow_stand_in=False, plan=False):  # type: ignore[no-untyped-def]
    """Push what is built."""
    from ngc import push as pushes

    pushes.push(catalog.read(), framework, target, base, tag, registry, allow_stand_in, plan)


@verb(help={"plan": PLAN})
def clean(c, plan=False):  # type: ignore[no-untyped-def]
    """Remove the images, test containers and logs that this repository made, and only those."""
    from ngc import clean as cleaner

    cleaner.clean(plan)


@verb(
    help={
        "framework": "the framework",
        "target": "the target (default: runtime)",
        "base": BASE,
        "tag": TAG,
        "image": "any image reference instead",
        "plan": PLAN,
    }
)
def shell(c, framework=None, target="runtime", base=None, tag=None, image=None, plan=False):  # type: ignore[no-untyped-def]
    """Open a shell in an image, with the run options it needs."""
    from ngc import running

    command: Any = running.shell(catalog.read(), framework, target, base, tag, image)
    if plan:
        print(command.text)
        return
    command.replace_this_process()
