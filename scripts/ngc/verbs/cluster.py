"""deploy, diff, rollback, undeploy."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from invoke.exceptions import Exit

from ngc import catalog
from ngc.errors import Failed, Wrong
from ngc.verbs.common import BASE_OF_CONFIG, PLAN, duration, one_of, verb
from ngc.verbs.render import API, METRICS, REGISTRY, TO
from ngc.verbs.serve import CONFIG, CONTEXT, IMAGE, NAMESPACE, SET, TIMEOUT

if TYPE_CHECKING:
    from ngc.deploy.cluster.kubectl import Cluster
    from ngc.deploy.cluster.revisions import Revision

NAME = CONFIG + ", or the name of a deployment (default: the one that is there)"
FORCE = "take over fields that others have set"
ALLOW = "deploy an image that stands on the stand-in, which serves nothing real"
_WISH = {
    "config": CONFIG,
    "to": TO,
    "api": API,
    "base": BASE_OF_CONFIG,
    "image": IMAGE,
    "registry": REGISTRY,
    "set": SET,
    "context": CONTEXT,
    "namespace": NAMESPACE,
    "metrics": METRICS,
    "force-conflicts": FORCE,
    "allow-stand-in": ALLOW,
}


@verb(
    help={
        **_WISH,
        "create-secrets": "make the Secrets that the config names, from the variables HF_TOKEN and NGC_API_KEY",
        "fill-cache": "first fill the claim that the config mounts: hub for Hugging Face, or a folder with a model",
        "timeout": TIMEOUT,
        "plan": PLAN,
    },
    iterable=["set"],
)
def deploy(  # type: ignore[no-untyped-def]
    c, set, config=None, to="dgd", api="v1alpha1", base=None, image=None, registry=None, context=None, namespace=None, metrics=None,
    force_conflicts=False, allow_stand_in=False, create_secrets=False, fill_cache=None, timeout="30m", plan=False,
):  # fmt: skip
    """Deploy a config to a cluster and wait until it serves."""
    from ngc.deploy import render as renders
    from ngc.deploy.cluster import deploying, describing

    wish = deploying.Wish(
        config, one_of("--to", to, deploying.CLUSTER_TARGETS), set, base, image, registry, context, namespace, metrics,
        create_secrets, force_conflicts, allow_stand_in, duration("--timeout", timeout), fill_cache, one_of("--api", api, renders.APIS),
    )  # fmt: skip
    if plan:
        print(describing.described(deploying.plan(catalog.read(), wish), wish))
        return
    _served(*deploying.deploy(catalog.read(), wish))


@verb(help=_WISH, iterable=["set"])
def diff(  # type: ignore[no-untyped-def]
    c, set, config=None, to="dgd", api="v1alpha1", base=None, image=None, registry=None, context=None, namespace=None, metrics=None,
    force_conflicts=False, allow_stand_in=False,
):  # fmt: skip
    """What a deploy would change in the cluster; exit 0 nothing, 1 something, more for an error, as kubectl's."""
    from ngc.deploy import render as renders
    from ngc.deploy.cluster import deploying

    wish = deploying.Wish(
        config, one_of("--to", to, deploying.CLUSTER_TARGETS), set, base, image, registry, context, namespace, metrics,
        force_conflicts=force_conflicts, allow_stand_in=allow_stand_in, api=one_of("--api", api, renders.APIS),
    )  # fmt: skip
    try:
        code, text = deploying.diff(catalog.read(), wish)
    except Failed as error:
        # 1 would say that something differs.
        raise Exit(f"error: {error}", code=max(2, error.code)) from None
    print(text, end="")
    if code:
        raise Exit(code=code)


@verb(
    help={
        "config": NAME,
        "revision": "number of the revision to go back to (default: the newest before the current one that served)",
        "context": CONTEXT,
        "namespace": NAMESPACE,
        "force-conflicts": FORCE,
        "timeout": TIMEOUT,
    }
)
def rollback(c, config=None, revision=None, context=None, namespace=None, force_conflicts=False, timeout="30m"):  # type: ignore[no-untyped-def]
    """Apply an earlier revision of a deployment again, and wait until it serves."""
    from ngc.deploy.cluster import deploying

    number = None if revision is None else _number(revision)
    limit = duration("--timeout", timeout)
    _served(*deploying.rollback(context, namespace, config, number, force_conflicts, limit))


@verb(
    help={
        "config": NAME,
        "context": CONTEXT,
        "namespace": NAMESPACE,
        "timeout": "longest wait until all pods are gone, in seconds or as 90s, 5m (default: 5m)",
    }
)
def undeploy(c, config=None, context=None, namespace=None, timeout="5m"):  # type: ignore[no-untyped-def]
    """Remove a deployment from a cluster, and wait until its pods are gone; claims with models stay."""
    from ngc.deploy.cluster import removing

    print(removing.undeploy(context, namespace, config, duration("--timeout", timeout)), file=sys.stderr)


def _number(text: str) -> int:
    """The number of a revision. Raises Wrong."""
    if not str(text).isdecimal():
        raise Wrong(f"--revision is '{text}'; write a number, `invoke status` says the current one")
    return int(text)


def _served(cluster: Cluster, revision: Revision) -> None:
    models = ", ".join(revision.promise.models) or "what its workers registered"
    print(
        f"{revision.graph} serves {models} as service/{revision.frontend}, revision {revision.number}", file=sys.stderr
    )
    where = f"--context={cluster.context} --namespace={cluster.namespace}"
    print(f"kubectl port-forward {where} service/{revision.frontend} 8000:8000")
