"""A claim on a folder of the node, for configs that mount one: clusters of tests have no storage class."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ngc.deploy.cluster import kubectl


@pytest.fixture
def model_cache(namespace) -> Iterator[None]:
    """The claim that a config names, on a folder of the node."""
    cluster = namespace
    name = f"{cluster.namespace}-model-cache"
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {"ngc-test/namespace": cluster.namespace}},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteMany"],
            "hostPath": {"path": f"/tmp/{name}", "type": "DirectoryOrCreate"},
            "claimRef": {"namespace": cluster.namespace, "name": "model-cache"},
            "persistentVolumeReclaimPolicy": "Delete",
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "model-cache"},
        "spec": {
            "accessModes": ["ReadWriteMany"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "",
            "volumeName": name,
        },
    }
    for entry in (volume, claim):
        kubectl.ask(cluster, "create", "-f", "-", text=json.dumps(entry))
    yield
    # A volume belongs to no namespace, so it does not go with this one's.
    kubectl.ask(cluster, "delete", "--wait=false", f"persistentvolume/{name}")
