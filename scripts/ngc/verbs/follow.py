"""outdated, bump, mirror."""

from __future__ import annotations

import sys

from invoke.exceptions import Exit

from ngc.asked.images import Bump, Mirror, Outdated
from ngc.verbs.flags import verb


@verb(Outdated)
def outdated(asked: Outdated) -> None:
    """What NGC has newer than the Dockerfiles name; exit 1 if there is something."""
    from json import dumps

    from ngc import catalog, outdated

    rows = outdated.look(catalog.read(), asked.framework, asked.mirror)
    print(dumps(rows, indent=2) if asked.json else outdated.text(rows))
    if any(row["outdated"] for row in rows):
        raise Exit(code=1)


@verb(Bump)
def bump(asked: Bump) -> None:
    """Move a framework to another release of its base: Dockerfile, image.yaml and configs, and say what to look at."""
    from ngc import bump, catalog

    todo = bump.make(catalog.read(), asked)
    if not todo.changes:
        print(f"nothing to do: {asked.framework} is at {todo.image}")
        return
    if asked.plan:
        print(todo.diff, end="")
        print(bump.text(todo), file=sys.stderr)
        return
    if not asked.force:
        bump.check_unedited(todo)
    bump.apply(todo)
    print(bump.text(todo))


@verb(Mirror)
def mirror(asked: Mirror) -> None:
    """Send bases and built images to a private registry, digests kept; what is there already is not sent again."""
    from ngc import catalog, mirror

    todo = mirror.make(catalog.read(), asked)
    if asked.plan:
        print(todo.text)
        return
    mirror.run(todo)
