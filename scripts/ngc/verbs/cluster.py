"""deploy, diff, rollback, undeploy."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from invoke.exceptions import Exit

from ngc.asked.configs import Deploy, Diff, Rollback, Undeploy
from ngc.errors import Failed
from ngc.verbs.flags import verb

if TYPE_CHECKING:
    from ngc.deploy.cluster.kubectl import Cluster
    from ngc.deploy.cluster.revisions import Revision


@verb(Deploy)
def deploy(asked: Deploy) -> None:
    """Deploy a config to a cluster and wait until it serves."""
    from ngc import catalog
    from ngc.deploy.cluster import deploying, describing

    if asked.plan:
        print(describing.described(deploying.plan(catalog.read(), asked), asked))
        return
    _served(*deploying.deploy(catalog.read(), asked))


@verb(Diff)
def diff(asked: Diff) -> None:
    """What a deploy would change in the cluster; exit 0 nothing, 1 something, more for an error, as kubectl's."""
    from ngc import catalog, output
    from ngc.deploy.cluster import deploying

    try:
        code, text = deploying.diff(catalog.read(), asked)
    except Failed as error:
        # 1 would say that something differs.
        raise Exit(output.harmless(f"error: {error}"), code=max(2, error.code)) from None
    print(text, end="")
    if code:
        raise Exit(code=code)


@verb(Rollback)
def rollback(asked: Rollback) -> None:
    """Apply an earlier revision of a deployment again, and wait until it serves."""
    from ngc.deploy.cluster import deploying

    _served(*deploying.rollback(asked))


@verb(Undeploy)
def undeploy(asked: Undeploy) -> None:
    """Remove a deployment from a cluster, and wait until its pods are gone; claims with models stay."""
    from ngc.deploy.cluster import removing

    print(removing.undeploy(asked), file=sys.stderr)


def _served(cluster: Cluster, revision: Revision) -> None:
    models = ", ".join(revision.promise.models) or "what its workers registered"
    print(
        f"{revision.graph} serves {models} as service/{revision.frontend}, revision {revision.number}", file=sys.stderr
    )
    where = f"--context={cluster.context} --namespace={cluster.namespace}"
    print(f"kubectl port-forward {where} service/{revision.frontend} 8000:8000")
