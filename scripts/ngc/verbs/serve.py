"""up, down, status, smoke, logs."""

from __future__ import annotations

import sys

from invoke.exceptions import Exit

from ngc.asked.configs import Down, Logs, Smoke, Status, Up
from ngc.verbs.flags import verb


@verb(Up)
def up(asked: Up) -> None:
    """Serve a config on this machine by Compose, and wait until it answers."""
    from ngc import catalog
    from ngc.deploy import local

    stack = local.up(catalog.read(), asked)
    models = ", ".join(stack.promise.models) or "what its workers registered"
    print(f"{stack.name} serves {models} at {stack.url}", file=sys.stderr)
    print(local.curl(stack))


@verb(Down)
def down(asked: Down) -> None:
    """Remove what `up` made, and only that."""
    from ngc.deploy import local, stacks

    print(local.down(asked.config), file=sys.stderr)
    stacks.warn()


@verb(Status)
def status(asked: Status) -> None:
    """How a deployment really is: processes, registrations, a request; exit 1 unless it serves as its config promises."""
    from json import dumps

    from ngc import status

    seen = status.look(asked)
    print(dumps(seen.data, indent=2) if asked.json else seen.page)
    if seen.problems:
        raise Exit(code=1)


@verb(Smoke)
def smoke(asked: Smoke) -> None:
    """Ask a deployment: its models, one chat completion each, and on the stand-in the hand-over."""
    from json import dumps

    from ngc import status

    seen = status.bench(asked) if asked.bench else status.look(asked)
    print(dumps(seen.data, indent=2) if asked.json else seen.conversation)
    if seen.problems:
        raise Exit(code=1)


@verb(Logs)
def logs(asked: Logs) -> None:
    """What the processes of a deployment print."""
    from ngc import status

    if code := status.logs(asked):
        raise Exit(code=code)
