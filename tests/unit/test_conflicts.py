"""A conflict names its objects: the server tells of all at once who owns which field, and not of what."""

from __future__ import annotations

import pytest

from ngc.deploy.cluster import conflicts
from ngc.deploy.cluster.kubectl import Cluster, Done

CLUSTER = Cluster("here", "mine", "")
SCALED = 'error: Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale" using apps/v1: .spec.replicas\n'
BOTH = """error: Apply failed with 2 conflicts: conflicts with "terraform" using apps/v1:
- .spec.replicas
- .spec.template.spec.containers[name="main"].image
Please review the fields above--they currently have other managers.
"""


@pytest.fixture
def server(monkeypatch):
    """A server that says of an object what the table has under its name."""

    def answer(table):
        def call(cluster, *words, text=None):
            assert "--dry-run=server" in words
            err = next((err for name, err in table.items() if f'"{name}"' in text), "")
            return Done(1 if err else 0, "", err)

        monkeypatch.setattr(conflicts.kubectl, "call", call)

    return answer


def deployments(*names):
    return [{"kind": "Deployment", "metadata": {"name": name}} for name in names]


def test_objects_with_the_same_owner_and_fields_are_told_together(server):
    server({"a": SCALED, "b": SCALED, "c": BOTH})
    said = conflicts.told(CLUSTER, Done(1, "", SCALED + SCALED + BOTH), deployments("a", "b", "c", "d"), ("apply",))
    fields = '.spec.replicas, .spec.template.spec.containers[name="main"].image'
    assert said == (
        f"kubectl owns .spec.replicas of Deployment a, Deployment b; terraform owns {fields} of Deployment c"
    )


def test_what_is_no_conflict_asks_nothing(server):
    server({"a": SCALED})
    assert conflicts.told(CLUSTER, Done(1, "", "error: is invalid"), deployments("a"), ("apply",)) == ""


def test_a_conflict_that_is_over_is_told_as_the_server_did(server):
    server({})
    assert conflicts.told(CLUSTER, Done(1, "", SCALED), deployments("a"), ("apply",)) == "kubectl owns .spec.replicas"
