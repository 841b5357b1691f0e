"""up, down, status, logs, smoke."""

from __future__ import annotations

import json as jsons
import sys

from invoke.exceptions import Exit

from ngc import catalog
from ngc.verbs.common import BASE, JSON, duration, one_of, verb

CONFIG = "name in configs/, or the path of a file"
SET = "change a field, as PATH=VALUE, such as spec.services.Frontend.replicas=2; may be repeated"
IMAGE = "image of frontend and workers (default: the built runtime image of the config's framework)"
TIMEOUT = "longest wait, in seconds or as 90s, 30m, 1h (default: 30m)"


@verb(
    help={
        "config": CONFIG,
        "base": BASE,
        "image": IMAGE,
        "set": SET,
        "model": "another model than the config's: a folder, or a name of Hugging Face",
        "gpu": "auto, on or off (default: auto: GPUs unless the image stands on the stand-in)",
        "port": "port of the frontend on 127.0.0.1 (default: 8000)",
        "timeout": TIMEOUT,
    },
    iterable=["set"],
)
def up(c, set, config=None, base=None, image=None, model=None, gpu="auto", port=8000, timeout="30m"):  # type: ignore[no-untyped-def]
    """Serve a config on this machine by Compose, and wait until it answers."""
    from ngc.deploy import local

    gpu = one_of("--gpu", gpu, local.GPU_CHOICES)
    wish = local.Wish(config, set, base, image, model, gpu, port, duration("--timeout", timeout))
    stack = local.up(catalog.read(), wish)
    print(f"{stack.name} serves {', '.join(stack.promise.models)} at {stack.url}", file=sys.stderr)
    print(local.curl(stack))


@verb(help={"config": CONFIG + " (default: the one stack that is up)"})
def down(c, config=None):  # type: ignore[no-untyped-def]
    """Remove what `up` made, and only that."""
    from ngc.deploy import local

    stack = local.down(config)
    print(f"{stack.name} is gone", file=sys.stderr)


@verb(help={"config": CONFIG + " (default: the one stack that is up)", "json": JSON})
def status(c, config=None, json=False):  # type: ignore[no-untyped-def]
    """How a deployment really is: processes, registrations, a request; exit 1 unless it serves as its config promises."""
    from ngc.deploy import composecli, localview, stacks

    view = localview.look(composecli.find(), stacks.choose(config), request=True)
    found = localview.problems(view)
    print(jsons.dumps(localview.as_data(view, found), indent=2) if json else localview.page(view, found))
    if found:
        raise Exit(code=1)


@verb(
    help={
        "config": CONFIG + " (default: the one stack that is up)",
        "component": "only this service of the config (default: all)",
        "follow": "go on until interrupted",
        "tail": "only so many last lines of each (default: all)",
    }
)
def logs(c, config=None, component=None, follow=False, tail=0):  # type: ignore[no-untyped-def]
    """What the processes of a deployment print."""
    from ngc.deploy import local

    if code := local.logs(config, component, follow, tail or None):
        raise Exit(code=code)


@verb(help={"config": CONFIG + " (default: the one stack that is up)", "json": JSON})
def smoke(c, config=None, json=False):  # type: ignore[no-untyped-def]
    """Ask a deployment: its models, one chat completion each, and on the stand-in the hand-over."""
    from ngc.deploy import composecli, localview, stacks

    view = localview.look(composecli.find(), stacks.choose(config), request=True)
    found = localview.problems(view)
    print(jsons.dumps(localview.as_data(view, found), indent=2) if json else localview.asked(view, found))
    if found:
        raise Exit(code=1)
