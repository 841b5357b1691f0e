"""The golden files against what the operator of 0.6.1 made on a real API server, and the configs read as plain YAML: no code of ours.

Source of names, labels, variables and probes: objects of the operator (dynamo, deploy/cloud/operator/internal/dynamo). Seconds.
"""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
SAFE = YAML(typ="safe")
CONFIGS = sorted(
    path.name.removesuffix(".kubernetes.yaml")
    for path in (ROOT / "tests/golden").glob("*.kubernetes.yaml")
    if not path.read_text().startswith("# refused")
)
VARIABLES = {
    "frontend": {"DYNAMO_PORT": "8000", "DYN_HTTP_PORT": "8000"},
    "worker": {
        "DYN_SYSTEM_ENABLED": "true",
        "DYN_SYSTEM_PORT": "9090",
        "DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS": '["generate"]',
    },
}
# (probe, path, port, period, failures in a row)
PROBES = {
    "frontend": [("livenessProbe", "/health", "http", 60, 10)],
    "worker": [
        ("readinessProbe", "/health", "system", 10, 60),
        ("livenessProbe", "/live", "system", 5, 1),
        ("startupProbe", "/live", "system", 10, 720),
    ],
}


def read(config):
    """(the DynamoGraphDeployment, the golden objects by kind and name)."""
    graph = next(d for d in SAFE.load_all(ROOT / "configs" / f"{config}.yaml") if d["kind"] == "DynamoGraphDeployment")
    objects = SAFE.load_all(ROOT / "tests/golden" / f"{config}.kubernetes.yaml")
    return graph, {(entry["kind"], entry["metadata"]["name"]): entry for entry in objects if entry}


def parts(config):
    """(name of the graph, key, service, deployment, pod, container) of each service."""
    graph, objects = read(config)
    name = graph["metadata"]["name"]
    for key, service in graph["spec"]["services"].items():
        deployment = objects["Deployment", f"{name}-{key.lower()}"]
        pod = deployment["spec"]["template"]
        (main,) = (c for c in pod["spec"]["containers"] if c["name"] == "main")
        yield name, key, service, deployment, pod, main


@pytest.mark.parametrize("config", CONFIGS)
def test_objects_have_the_operators_names_and_labels(config):
    graph, objects = read(config)
    name, services = graph["metadata"]["name"], graph["spec"]["services"]
    keys = {f"{name}-{key.lower()}" for key in services}
    assert {found for kind, found in objects if kind == "Deployment"} == {*keys, f"{name}-etcd", f"{name}-nats"}
    frontends = {f"{name}-{k.lower()}" for k, service in services.items() if service["componentType"] == "frontend"}
    assert {n for kind, n in objects if kind == "Service"} == {*frontends, f"{name}-etcd", f"{name}-nats"}
    for name, key, service, deployment, pod, _ in parts(config):
        expected = {
            "nvidia.com/dynamo-graph-deployment-name": name,
            "nvidia.com/dynamo-component": key,
            "nvidia.com/dynamo-namespace": service.get("dynamoNamespace", f"dynamo-{name}"),
            "nvidia.com/dynamo-component-type": service["componentType"],
            "nvidia.com/metrics-enabled": "true",
            "nvidia.com/selector": f"{name}-{key.lower()}",
        }
        if "subComponentType" in service:
            expected["nvidia.com/dynamo-sub-component-type"] = service["subComponentType"]
        assert deployment["metadata"]["labels"] == pod["metadata"]["labels"] == expected


@pytest.mark.parametrize("config", CONFIGS)
def test_containers_have_the_operators_variables_and_the_configs_win(config):
    of_all = read(config)[0]["spec"].get("envs", [])
    for name, key, service, _, _, main in parts(config):
        injected = {
            "DYN_NAMESPACE": service.get("dynamoNamespace", f"dynamo-{name}"),
            "DYN_PARENT_DGD_K8S_NAME": name,
            "DYN_PARENT_DGD_K8S_NAMESPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
            "ETCD_ENDPOINTS": f"{name}-etcd:2379",
            "NATS_SERVER": f"nats://{name}-nats:4222",
            **VARIABLES[service["componentType"]],
        }
        own = [*of_all, *service.get("envs", []), *service["extraPodSpec"]["mainContainer"].get("env", [])]
        expected = injected | {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in own}
        assert {e["name"]: e.get("value", e.get("valueFrom")) for e in main["env"]} == expected, key


@pytest.mark.parametrize("config", CONFIGS)
def test_containers_have_the_operators_probes_where_the_config_has_none(config):
    for _, _key, service, _, pod, main in parts(config):
        own = {**service["extraPodSpec"]["mainContainer"], **service}
        for probe, path, port, period, failures in PROBES[service["componentType"]]:
            if probe not in own:
                assert main[probe]["httpGet"] == {"path": path, "port": port}
                assert (main[probe]["periodSeconds"], main[probe]["failureThreshold"]) == (period, failures)
        if "readinessProbe" in own:
            assert main["readinessProbe"] == own["readinessProbe"]
        memory = next(v["emptyDir"] for v in pod["spec"]["volumes"] if "emptyDir" in v)
        size = service.get("sharedMemory", {}).get("size", "8Gi")
        assert memory == {"medium": "Memory", "sizeLimit": size}
