"""The newer API of a DynamoGraphDeployment, admitted by a real API server from the newer release's own schema."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.conftest import crds, require

from ngc import catalog
from ngc.asked.configs import Config
from ngc.deploy import prepare, render
from ngc.deploy.cluster import kubectl

from .conftest import PREFIX, until_established

GROUP = f"{PREFIX}.example.com"  # a copy under another group: the cluster's own kinds are left alone
CONFIGS = sorted(path.stem for path in (catalog.ROOT / "configs").glob("*.yaml"))


def newer() -> dict | None:
    """The CRD of a release that serves v1beta1, in a folder beside the one of DYNAMO_CRDS."""
    from ruamel.yaml import YAML

    given = crds()
    for file in sorted(given.parent.glob("*/*.yaml")) if given else ():
        data = YAML(typ="safe").load(file)
        if data["spec"]["names"]["kind"] == "DynamoGraphDeployment" and "v1beta1" in {
            v["name"] for v in data["spec"]["versions"]
        }:
            return data
    return None


@pytest.fixture(scope="module")
def kind(cluster) -> Iterator[None]:
    """The newer kind under a group of this run, without the operator's conversion: v1beta1 is what is stored."""
    crd = newer()
    require("crds", None if crd else "no folder beside that of DYNAMO_CRDS has a CRD with v1beta1")
    versions = [{**v, "storage": True} for v in crd["spec"]["versions"] if v["name"] == "v1beta1"]
    name = f"{crd['spec']['names']['plural']}.{GROUP}"
    made = {
        "apiVersion": crd["apiVersion"],
        "kind": crd["kind"],
        "metadata": {"name": name},
        "spec": {**crd["spec"], "group": GROUP, "versions": versions, "conversion": {"strategy": "None"}},
    }
    kubectl.ask(cluster, "create", "-f", "-", text=json.dumps(made))
    try:
        until_established(cluster, name)
        yield
    finally:
        kubectl.ask(cluster, "delete", "crd", name, "--ignore-not-found")


def rendered(config: str) -> list[dict]:
    prepared = prepare.prepare(catalog.read(), Config(config))
    objects = render.render(prepared, render.DGD, api=render.V1BETA1)
    return [{**o, "apiVersion": o["apiVersion"].replace("nvidia.com/v1beta1", f"{GROUP}/v1beta1")} for o in objects]


@pytest.mark.parametrize("config", CONFIGS)
def test_every_config_is_admitted_in_a_strict_dry_run(cluster, kind, config):
    text = "\n".join(map(json.dumps, rendered(config)))
    kubectl.ask(cluster, "create", "--dry-run=server", "--validate=strict", "-f", "-", text=text)


def test_a_typo_is_not(cluster, kind):
    graph = rendered("vllm-agg")[-1]
    graph["spec"]["components"][0]["replicaz"] = 1
    done = kubectl.call(cluster, "create", "--dry-run=server", "--validate=strict", "-f", "-", text=json.dumps(graph))
    assert 'unknown field "spec.components[0].replicaz"' in done.err
