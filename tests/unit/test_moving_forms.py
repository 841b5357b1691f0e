"""A graph that is there in one form is not deployed in the other, whatever its revision came to."""

from __future__ import annotations

import pytest

from ngc.deploy.cluster import applying, revisions
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.cluster.revisions import Revision
from ngc.deploy.promise import Promise
from ngc.errors import Wrong

CLUSTER = Cluster("here", "mine", "")


def revision(number: int, to: str, state: str = revisions.SERVING, *kinds: tuple[str, str]) -> Revision:
    objects = tuple({"apiVersion": version, "kind": kind, "metadata": {"name": "x"}} for version, kind in kinds)
    return Revision("g", number, "", "", None, to, "", state, (), "f", Promise("n", (), (), None, True), objects)


@pytest.mark.parametrize("state", [revisions.APPLIED, revisions.SERVING, revisions.FAILED])
@pytest.mark.parametrize(("there", "wanted"), [("dgd", "kubernetes"), ("kubernetes", "dgd")])
def test_another_form_than_the_newest_revision_s_is_refused(state, there, wanted):
    every = [revision(1, wanted), revision(2, there, state)]
    revisions.refuse_move(CLUSTER, every, there)
    with pytest.raises(Wrong) as raised:
        revisions.refuse_move(CLUSTER, every, wanted)
    said = str(raised.value)
    assert f"(revision 2, {state})" in said
    assert f"--to={there} keeps it so, `invoke undeploy --config=g --context=here --namespace=mine`" in said
    assert "another --namespace takes the new one beside it" in said


def test_where_nothing_is_both_forms_are_right():
    for to in ("dgd", "kubernetes"):
        revisions.refuse_move(CLUSTER, [], to)


def test_what_may_be_removed_is_what_revisions_had_but_claims_secrets_and_what_is_in_no_namespace():
    every = [
        revision(1, "kubernetes", "serving", ("apps/v1", "Deployment"), ("v1", "PersistentVolumeClaim"), ("v1", "Secret")),
        revision(2, "kubernetes", "serving", ("monitoring.coreos.com/v1", "PodMonitor"), ("v1", "ServiceAccount")),
        revision(3, "dgd", "failed", ("nvidia.com/v1alpha1", "DynamoGraphDeployment"), ("rbac.authorization.k8s.io/v1", "ClusterRole")),
    ]  # fmt: skip
    assert applying.kinds(every) == [applying.PRUNED, "podmonitor.v1.monitoring.coreos.com", "serviceaccount"]
