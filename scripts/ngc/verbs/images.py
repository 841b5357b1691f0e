"""list, build, build-all, push, clean, shell."""

from __future__ import annotations

from invoke.exceptions import Exit

from ngc.asked.images import Build, Clean, Listing, Push, Shell
from ngc.verbs.flags import verb


@verb(Listing)
def list_(asked: Listing) -> None:
    """What can be built: image, base, parent, purpose, and what is built already."""
    from ngc import catalog, listing

    table = catalog.read()
    listing.print_rows(listing.rows(table, asked.base), as_json=asked.json)
    if not asked.json:
        print("\nwhat can be built on, with --base=REFERENCE:", *listing.releases(table), sep="\n  ")


@verb(Build)
def build(asked: Build) -> None:
    """Build images, parents first; parents are added when missing or stale."""
    _build(asked)


@verb(Build)
def build_all(asked: Build) -> None:
    """Build every image of every framework, or of those named."""
    _build(asked)


def _build(asked: Build) -> None:
    """build and build-all are one verb under two names: the second is what people know from the old tree."""
    from ngc import build, catalog

    if asked.plan:
        print(build.planned(catalog.read(), asked))
    elif code := build.run(catalog.read(), asked):
        raise Exit(code=code)


@verb(Push)
def push(asked: Push) -> None:
    """Push what is built."""
    from ngc import catalog, push

    push.push(catalog.read(), asked)


@verb(Clean)
def clean(asked: Clean) -> None:
    """Remove the images, test containers and logs that this repository made, and only those."""
    from ngc import clean

    clean.clean(asked.plan)


@verb(Shell)
def shell(asked: Shell) -> None:
    """Open a shell in an image, with the run options it needs."""
    from ngc import catalog, running

    command = running.shell(catalog.read(), asked)
    if asked.plan:
        print(command.text)
        return
    command.replace_this_process()
