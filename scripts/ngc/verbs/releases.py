"""outdated, bump, mirror."""

from __future__ import annotations

import sys

from invoke.exceptions import Exit

from ngc import catalog
from ngc.errors import Wrong
from ngc.verbs.common import BASE, FRAMEWORK, JSON, PLAN, verb


@verb(
    help={
        "framework": FRAMEWORK,
        "mirror": "host[:port][/path] that is asked instead of the bases' own registry",
        "json": JSON,
    },
    iterable=["framework"],
)
def outdated(c, framework, mirror=None, json=False):  # type: ignore[no-untyped-def]
    """What NGC has newer than the Dockerfiles name; exit 1 if there is something."""
    from json import dumps

    from ngc import outdated as newer

    rows = newer.look(catalog.read(), framework, mirror)
    print(dumps(rows, indent=2) if json else newer.text(rows))
    if any(row["outdated"] for row in rows):
        raise Exit(code=1)


@verb(
    help={
        "registry": "host[:port][/path] to send to; `build --mirror` with the same words builds from it",
        "framework": FRAMEWORK,
        "base": BASE.replace("what to build on", "which bases, and what was built on them"),
        "allow-stand-in": "send images that were built on the stand-in, too",
        "plan": PLAN,
    },
    iterable=["framework"],
)
def mirror(c, framework, registry=None, base=None, allow_stand_in=False, plan=False):  # type: ignore[no-untyped-def]
    """Send bases and built images to a private registry, digests kept; what is there already is not sent again."""
    from ngc import mirror as mirrors

    todo = mirrors.make(catalog.read(), framework, base, registry, allow_stand_in)
    if plan:
        print(todo.text)
        return
    mirrors.run(todo)


@verb(
    help={
        "framework": "the framework to move",
        "to": "the release to move to: a tag such as 0.7.0, one of those that `outdated` lists",
        "pin": "write tag and digest, so that the base cannot change under its tag (default: the tag)",
        "plan": "print the changes as a diff, and stop",
        "force": "also change files with changes that are not committed (default: they are left alone, and nothing is done)",
        "mirror": "host[:port][/path] that is asked instead of the base's own registry; nothing of it is written",
    }
)
def bump(c, framework=None, to=None, pin=False, plan=False, force=False, mirror=None):  # type: ignore[no-untyped-def]
    """Move a framework to another release of its base: Dockerfile, image.yaml and configs, and say what to look at."""
    from ngc import bump as bumps

    if framework is None or to is None:
        raise Wrong(
            "bump needs to know what and where to; add --framework=NAME and --to=RELEASE, as `invoke outdated` says"
        )
    todo = bumps.make(catalog.read(), framework, to, pin, mirror)
    if not todo.changes:
        print(f"nothing to do: {framework} is at {todo.image}")
        return
    if plan:
        print(todo.diff, end="")
        print(bumps.text(todo), file=sys.stderr)
        return
    if not force:
        bumps.check_unedited(todo)
    bumps.apply(todo)
    print(bumps.text(todo))
