"""Every object that `render` makes of a config is one that a real API server takes, by its strictest reading."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ngc import catalog
from ngc.asked.configs import Config
from ngc.deploy import prepare, render
from ngc.deploy.cluster import kubectl
from ngc.deploy.cluster.kubectl import Cluster, Done
from ngc.deploy.render import DGD, KUBERNETES
from ngc.errors import Wrong

CONFIGS = sorted(path.stem for path in (catalog.ROOT / "configs").glob("*.yaml"))


def rendered(config: str, to: str, metrics: str | None = None) -> list[dict[str, Any]]:
    return render.render(prepare.prepare(catalog.read(), Config(config, base="stand-in")), to, None, metrics)


def created(cluster: Cluster, objects: list[dict[str, Any]]) -> Done:
    """A dry run on the server; `create`, for it names every unknown field."""
    words = ("create", "--dry-run=server", "--validate=strict", "-f", "-")
    # One document each: for a List kubectl checks by itself and does not ask the server.
    return kubectl.call(cluster, *words, text="\n".join(map(json.dumps, objects)))


@pytest.mark.parametrize("config", CONFIGS)
def test_a_graph_is_accepted_by_the_operators_kinds(cluster: Cluster, crds: None, config: str) -> None:
    done = created(cluster, rendered(config, DGD))
    assert done.code == 0, done.err
    assert "dynamographdeployment.nvidia.com" in done.out


@pytest.mark.parametrize("metrics", [None, "annotations"])
@pytest.mark.parametrize("config", CONFIGS)
def test_plain_objects_are_accepted(cluster: Cluster, config: str, metrics: str | None) -> None:
    graph = prepare.prepare(catalog.read(), Config(config, base="stand-in")).graph
    if any(service.nodes > 1 for service in graph.services):
        with pytest.raises(Wrong, match="Grove or LeaderWorkerSet"):
            rendered(config, KUBERNETES, metrics)
        return
    objects = rendered(config, KUBERNETES, metrics)
    done = created(cluster, objects)
    assert done.code == 0, done.err
    assert len(done.out.splitlines()) == len(objects) > len(graph.services)


def test_a_typo_in_a_graph_is_refused_by_name(cluster: Cluster, crds: None) -> None:
    """Without strictness the server drops the field and says created."""
    objects = rendered("vllm-disagg", DGD)
    services = objects[-1]["spec"]["services"]
    services["Frontend"]["replicsa"] = 1
    services["VllmDecodeWorker"]["resources"]["limit"] = {"gpu": "1"}
    done = created(cluster, objects)
    assert done.code != 0
    assert 'unknown field "spec.services.Frontend.replicsa"' in done.err
    assert 'unknown field "spec.services.VllmDecodeWorker.resources.limit"' in done.err


def test_a_typo_in_plain_objects_is_refused_by_name(cluster: Cluster) -> None:
    objects = rendered("vllm-disagg", KUBERNETES)
    next(entry for entry in objects if entry["kind"] == "Deployment")["spec"]["replicsa"] = 1
    done = created(cluster, objects)
    assert done.code != 0
    assert 'unknown field "spec.replicsa"' in done.err


def test_a_number_of_gpus_that_is_no_text_is_refused(cluster: Cluster, crds: None) -> None:
    objects = rendered("vllm-disagg", DGD)
    objects[-1]["spec"]["services"]["VllmDecodeWorker"]["resources"]["limits"]["gpu"] = 1
    assert created(cluster, objects).code != 0
