"""up, down, status, logs, smoke."""

from __future__ import annotations

import json as jsons
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit

from ngc import catalog
from ngc.errors import Wrong
from ngc.verbs.common import BASE_OF_CONFIG, JSON, duration, number, one_of, verb

if TYPE_CHECKING:
    from ngc.deploy.cluster.kubectl import Cluster

CONFIG = "name in configs/, or the path of a file"
SET = "change a field, as PATH=VALUE, such as spec.services.Frontend.replicas=2; may be repeated"
IMAGE = "image of frontend and workers (default: the built runtime image of the config's framework)"
CONTEXT = "the cluster, by its name in the kubeconfig (default: the only one there; asked for on a terminal)"
NAMESPACE = "Kubernetes namespace (default: the context's own)"
TIMEOUT = "longest wait, in seconds or as 90s, 30m, 1h (default: 30m)"


@verb(
    help={
        "config": CONFIG,
        "base": BASE_OF_CONFIG,
        "image": IMAGE,
        "set": SET,
        "model": "another model than the config's: a folder, or a name of Hugging Face",
        "gpu": "auto, on or off (default: auto: GPUs unless the image stands on the stand-in)",
        "port": "port of the frontend on 127.0.0.1 (default: 8000)",
        "timeout": TIMEOUT,
    },
    iterable=["set"],
)
def up(c, set, config=None, base=None, image=None, model=None, gpu="auto", port="8000", timeout="30m"):  # type: ignore[no-untyped-def]
    """Serve a config on this machine by Compose, and wait until it answers."""
    from ngc.deploy import local

    gpu = one_of("--gpu", gpu, local.GPU_CHOICES)
    first = number("--port", port, local.PORTS[0], local.PORTS[-1])
    wish = local.Wish(config, set, base, image, model, gpu, first, duration("--timeout", timeout))
    stack = local.up(catalog.read(), wish)
    print(
        f"{stack.name} serves {', '.join(stack.promise.models) or 'what its workers registered'} at {stack.url}",
        file=sys.stderr,
    )
    print(local.curl(stack))


@verb(help={"config": CONFIG + ", or the name of a stack (default: the one that is up)"})
def down(c, config=None):  # type: ignore[no-untyped-def]
    """Remove what `up` made, and only that."""
    from ngc.deploy import local

    removed = local.down(config)
    print(f"{removed.name} is gone", file=sys.stderr)
    if removed.kept:
        names = " ".join(removed.kept)
        fix = f"`{removed.engine} volume rm {names}` removes it"
        print(f"the config did not create {names}, so it was kept; {fix}", file=sys.stderr)
    _tell_unreadable()


NAME = CONFIG + ", or the name of a deployment (default: the one that is up)"
_WHERE = {"config": NAME, "context": CONTEXT, "namespace": NAMESPACE}


def _local(context: str | None, namespace: str | None) -> bool:
    """True if this machine's stack is meant: no cluster was named, and there is one."""
    from ngc.deploy import stacks

    if context is not None or namespace is not None or not stacks.on_record():
        return False
    if stacks.known():  # else the sentence is the error
        _tell_unreadable()
    return True


def _tell_unreadable() -> None:
    """Warn of stacks whose record cannot be read; they must not keep anyone from the others."""
    from ngc.deploy import stacks

    for text in stacks.unreadable():
        print(f"warning: {text}", file=sys.stderr)


def _cluster(context: str | None, namespace: str | None) -> Cluster:
    """The cluster that is meant, after no stack was found here. Raises Wrong for both where neither is clear."""
    from ngc.deploy import stacks
    from ngc.deploy.cluster import kubectl

    try:
        return kubectl.choose(context, namespace)
    except Wrong:
        if context is not None or namespace is not None:
            raise
        raise Wrong(f"{stacks.NONE}, and --context=NAME looks at a cluster") from None


def _look(
    config: str | None, context: str | None, namespace: str | None
) -> tuple[dict[str, Any], str, str, Sequence[str]]:
    """(data, page, conversation, what is wrong) of a local stack or a deployment."""
    if _local(context, namespace):
        from ngc.deploy import composecli, localview, stacks

        seen = localview.look(composecli.find(), stacks.choose(config))
        found = localview.problems(seen)
        return localview.as_data(seen, found), localview.page(seen, found), localview.asked(seen, found), found
    from ngc.deploy.cluster import reporting

    view = reporting.view(_cluster(context, namespace), config)
    return reporting.as_data(view), reporting.page(view), reporting.asked(view), view.problems


@verb(help={**_WHERE, "json": JSON})
def status(c, config=None, context=None, namespace=None, json=False):  # type: ignore[no-untyped-def]
    """How a deployment really is: processes, registrations, a request; exit 1 unless it serves as its config promises."""
    data, page, _, wrong = _look(config, context, namespace)
    print(jsons.dumps(data, indent=2) if json else page)
    if wrong:
        raise Exit(code=1)


@verb(
    help={
        **_WHERE,
        "bench": "on a cluster: measure NIXL between two pods like the workers, and say whether it goes over RDMA",
        "image": "with --bench: the image with bench-nixl (default: the benchmark image beside the deployed one)",
        "json": JSON,
    }
)
def smoke(c, config=None, context=None, namespace=None, bench=False, image=None, json=False):  # type: ignore[no-untyped-def]
    """Ask a deployment: its models, one chat completion each, and on the stand-in the hand-over."""
    if bench:
        from ngc.deploy.cluster import bench as benches

        if _local(context, namespace):
            raise benches.without_a_cluster()
        measured = benches.bench(_cluster(context, namespace), config, image)
        print(jsons.dumps(benches.as_data(measured), indent=2) if json else benches.page(measured))
        return
    data, _, conversation, wrong = _look(config, context, namespace)
    print(jsons.dumps(data, indent=2) if json else conversation)
    if wrong:
        raise Exit(code=1)


@verb(
    help={
        **_WHERE,
        "component": "only this service of the config (default: all)",
        "follow": "go on until interrupted",
        "previous": "on a cluster: of the containers before the last restart",
        "tail": "only so many last lines of each (default: all)",
    }
)
def logs(c, config=None, context=None, namespace=None, component=None, follow=False, previous=False, tail=None):  # type: ignore[no-untyped-def]
    """What the processes of a deployment print."""
    lines = None if tail is None else number("--tail", tail, 1)
    if _local(context, namespace):
        from ngc.deploy import local

        if previous:
            raise Wrong("a stack of this machine keeps one log for all runs of a process; leave out --previous")
        code = local.logs(config, component, follow, lines)
    else:
        from ngc.deploy.cluster import reporting

        code = reporting.logs(_cluster(context, namespace), config, component, follow, previous, lines)
    if code:
        raise Exit(code=code)
