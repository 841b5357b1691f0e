"""up, down, status, logs, smoke."""

from __future__ import annotations

import json as jsons
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit

from ngc import catalog
from ngc.errors import Wrong
from ngc.verbs.common import BASE, JSON, duration, one_of, verb

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


NAME = CONFIG + ", or the name of a deployment (default: the one that is up)"
_WHERE = {"config": NAME, "context": CONTEXT, "namespace": NAMESPACE}


def _local(context: str | None, namespace: str | None) -> bool:
    """True if this machine's stack is meant: no cluster was named, and there is one."""
    from ngc.deploy import stacks

    return context is None and namespace is None and bool(stacks.known())


def _cluster(context: str | None, namespace: str | None) -> Cluster:
    """The cluster that is meant, after no stack was found here. Raises Wrong for both where neither is clear."""
    from ngc.deploy.cluster import kubectl

    try:
        return kubectl.choose(context, namespace)
    except Wrong as error:
        if context is not None or namespace is not None:
            raise
        raise Wrong(
            f"no stack is up on this machine; `invoke up --config=NAME` starts one; and for a cluster: {error}"
        ) from None


def _look(
    config: str | None, context: str | None, namespace: str | None
) -> tuple[dict[str, Any], str, str, Sequence[str]]:
    """(data, page, conversation, what is wrong) of a local stack or a deployment."""
    if _local(context, namespace):
        from ngc.deploy import composecli, localview, stacks

        seen = localview.look(composecli.find(), stacks.choose(config), request=True)
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
def logs(c, config=None, context=None, namespace=None, component=None, follow=False, previous=False, tail=0):  # type: ignore[no-untyped-def]
    """What the processes of a deployment print."""
    if _local(context, namespace):
        from ngc.deploy import local

        if previous:
            raise Wrong("a stack of this machine keeps one log for all runs of a process; leave out --previous")
        code = local.logs(config, component, follow, tail or None)
    else:
        from ngc.deploy.cluster import reporting

        code = reporting.logs(_cluster(context, namespace), config, component, follow, previous, tail or None)
    if code:
        raise Exit(code=code)
