"""Plain objects against what the operator of 0.6.1 made on a real API server, written out here: the code's own constants prove nothing.

Numbers are seconds, but for failureThreshold.
"""

import pytest

from ngc.deploy import graph, kubernetes

from .rendered import COMMAND, IMAGE, changed, objects

NAMES = {
    "Entrance": "graph-entrance",
    "VllmDecode": "graph-vllmdecode",
    "VllmPrefill": "graph-vllmprefill",
    "Other": "graph-other",
}


@pytest.fixture
def plain(tmp_path):
    """The objects of a config, by kind and name."""

    def make(*changes, **more):
        found = objects(tmp_path, "kubernetes", changed(*changes), **more)
        return {(entry["kind"], entry["metadata"]["name"]): entry for entry in found}

    return make


@pytest.fixture
def containers(plain):
    """The containers `main`, by the service's key."""

    def make(*changes):
        found = plain(*changes)
        pods = {key: found["Deployment", name]["spec"]["template"]["spec"] for key, name in NAMES.items()}
        return {key: next(c for c in pod["containers"] if c["name"] == "main") for key, pod in pods.items()}

    return make


def values(container):
    assert len({entry["name"] for entry in container["env"]}) == len(container["env"])
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def test_there_is_a_deployment_per_service_and_a_service_for_the_frontend_only(plain):
    found = plain()
    assert {name for kind, name in found if kind == "Deployment"} == {*NAMES.values(), "graph-etcd", "graph-nats"}
    assert {name for kind, name in found if kind == "Service"} == {"graph-entrance", "graph-etcd", "graph-nats"}


def test_the_service_is_named_after_the_key_whose_type_is_frontend(plain):
    found = plain()
    service, deployment = found["Service", "graph-entrance"], found["Deployment", "graph-entrance"]
    assert service["spec"]["type"] == "ClusterIP"
    assert [(port["name"], port["port"]) for port in service["spec"]["ports"]] == [("http", 8000)]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert ("Service", "graph-myfront") in plain(("    Entrance:", "    MyFront:"))


def test_labels_keep_the_case_of_keys(plain):
    found = plain()
    expected = {
        "nvidia.com/dynamo-graph-deployment-name": "graph",
        "nvidia.com/dynamo-component": "VllmDecode",
        "nvidia.com/dynamo-namespace": "dynamo-graph",
        "nvidia.com/dynamo-component-type": "worker",
        "nvidia.com/dynamo-sub-component-type": "decode",
        "nvidia.com/metrics-enabled": "true",
        "nvidia.com/selector": "graph-vllmdecode",
    }
    deployment = found["Deployment", "graph-vllmdecode"]
    assert deployment["metadata"]["labels"] == expected
    assert deployment["spec"]["template"]["metadata"]["labels"] == expected
    assert deployment["spec"]["selector"]["matchLabels"].items() <= expected.items()
    frontend = found["Deployment", "graph-entrance"]["spec"]["template"]["metadata"]["labels"]
    assert "nvidia.com/dynamo-sub-component-type" not in frontend
    assert frontend["nvidia.com/dynamo-component-type"] == "frontend"


def test_every_object_is_found_by_the_label_of_the_graph(plain):
    for name, entry in plain(metrics="podmonitor").items():
        assert entry["metadata"]["labels"]["nvidia.com/dynamo-graph-deployment-name"] == "graph", name


ALL = {
    "DYN_NAMESPACE": "dynamo-graph",
    "DYN_PARENT_DGD_K8S_NAME": "graph",
    "DYN_PARENT_DGD_K8S_NAMESPACE": {"fieldRef": {"fieldPath": "metadata.namespace"}},
    "ETCD_ENDPOINTS": "graph-etcd:2379",
    "NATS_SERVER": "nats://graph-nats:4222",
}
OWN = {
    "Entrance": {"DYNAMO_PORT": "8000", "DYN_HTTP_PORT": "8000"},
    "VllmPrefill": {
        "DYN_SYSTEM_ENABLED": "true",
        "DYN_SYSTEM_PORT": "9090",
        "DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS": '["generate"]',
    },
    "Other": {},
}


@pytest.mark.parametrize("key", OWN)
def test_variables_are_those_of_the_operator(containers, key):
    made = containers(
        ("    - {name: A, value: of the graph}\n    - {name: B, value: of the graph}\n", ""),
        ("    - {name: C, value: of the graph}\n    - {name: DYN_NAMESPACE, value: mine}\n", ""),
        ("  envs:\n", ""),
    )
    assert values(made[key]) == {**ALL, **OWN[key]}


def test_the_users_value_wins_wherever_it_stands_and_the_nearest_of_several(containers):
    made = containers()
    decode = values(made["VllmDecode"])
    assert (decode["A"], decode["B"], decode["C"]) == ("of the graph", "of the service", "of the container")
    assert decode["DYN_SYSTEM_PORT"] == "9091"
    assert {values(container)["DYN_NAMESPACE"] for container in made.values()} == {"mine"}
    over = containers(("{name: C, value: of the container}", "{name: ETCD_ENDPOINTS, value: 'http://elsewhere:2379'}"))
    assert values(over["VllmDecode"])["ETCD_ENDPOINTS"] == "http://elsewhere:2379"


def test_a_variable_of_a_secret_stays_one(containers):
    source = "valueFrom: {secretKeyRef: {name: s, key: k}}"
    made = containers(("{name: C, value: of the container}", f"{{name: NATS_SERVER, {source}}}"))
    assert values(made["VllmDecode"])["NATS_SERVER"] == {"secretKeyRef": {"name": "s", "key": "k"}}
    assert made["VllmDecode"]["envFrom"] == [{"secretRef": {"name": "hf-token-secret"}}]
    assert "envFrom" not in made["Entrance"]


@pytest.mark.parametrize(
    ("key", "ports"), [("Entrance", [("http", 8000)]), ("VllmDecode", [("system", 9090)]), ("Other", [])]
)
def test_ports_are_those_of_the_component_type(containers, key, ports):
    found = containers()[key].get("ports", [])
    assert [(port["name"], port["containerPort"]) for port in found] == ports


def test_commands_are_the_configs_or_the_operators(containers):
    made = containers()

    def line(key):
        return [*made[key].get("command", []), *made[key].get("args", [])]

    assert line("Entrance") == ["python3", "-m", "dynamo.frontend"]
    assert line("VllmDecode") == ["python3", "-m", "dynamo.vllm", "--model", "Qwen/Qwen3-0.6B"]
    assert made["VllmPrefill"]["command"] == ["/bin/sh", "-c"]
    assert made["VllmPrefill"]["args"][0].startswith("echo $HOME; exec python3")
    assert line("Other") == ["sleep", "infinity"]
    assert {container["image"] for container in made.values()} == {IMAGE}
    assert made["VllmDecode"]["workingDir"] == "/workspace"


def test_probes_are_the_operators_where_the_config_has_none(containers):
    made = containers()
    ready = made["Entrance"]["readinessProbe"]
    shell, option, script = ready["exec"]["command"]
    assert (shell, option) == ("/bin/sh", "-c")
    assert "curl" in script and "/health" in script and "| jq" in script
    assert (ready["initialDelaySeconds"], ready["periodSeconds"]) == (60, 60)
    alive = made["Entrance"]["livenessProbe"]
    assert alive["httpGet"]["path"] == "/health"
    assert alive["httpGet"]["port"] in (8000, "http")
    assert alive["periodSeconds"] == 60
    assert "startupProbe" not in made["Entrance"]
    for kind, path, period, failures in (
        ("readinessProbe", "/health", 10, 60),
        ("livenessProbe", "/live", 5, 1),
        ("startupProbe", "/live", 10, 720),
    ):
        probe = made["VllmDecode"][kind]
        assert probe["httpGet"]["path"] == path
        assert probe["httpGet"]["port"] in (9090, "system")
        assert (probe["periodSeconds"], probe["failureThreshold"]) == (period, failures)
    assert not any(key.endswith("Probe") for key in made["Other"])


def test_a_probe_of_the_config_replaces_the_operators_whole(containers):
    own = "readinessProbe: {tcpSocket: {port: 1}}\n      replicas: 2"
    made = containers(
        ("replicas: 2", own),
        (COMMAND, COMMAND + "          startupProbe: {tcpSocket: {port: 2}, failureThreshold: 3}\n"),
    )
    assert made["VllmDecode"]["readinessProbe"] == {"tcpSocket": {"port": 1}}
    assert made["VllmDecode"]["startupProbe"] == {"tcpSocket": {"port": 2}, "failureThreshold": 3}
    assert made["VllmDecode"]["livenessProbe"]["failureThreshold"] == 1


def test_amounts_are_texts_by_kubernetes_names(containers):
    made = containers()
    assert made["VllmDecode"]["resources"] == {
        "requests": {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "2", "rdma/ib": "1"},
        "limits": {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "2", "rdma/ib": "1"},
    }
    alone = containers(('requests: {gpu: "1"}\n        limits: {gpu: "1"}', 'requests: {gpu: "1"}'))
    assert "nvidia.com/gpu" not in str(alone["VllmPrefill"].get("resources"))


def test_a_pod_has_60_seconds_to_end_and_8_gib_of_shared_memory_unless_told_otherwise(plain):
    def pod(found, name):
        return found["Deployment", name]["spec"]["template"]["spec"]

    found = plain()
    for name in ("graph-entrance", "graph-vllmdecode"):
        assert pod(found, name)["terminationGracePeriodSeconds"] == 60
        at = [m["name"] for m in pod(found, name)["containers"][0]["volumeMounts"] if m["mountPath"] == "/dev/shm"]
        volume = next(v for v in pod(found, name)["volumes"] if [v["name"]] == at)
        assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "8Gi"}
    assert "/dev/shm" not in str(pod(found, "graph-other"))
    larger = pod(plain(("replicas: 2", "sharedMemory: {size: 32Gi}\n      replicas: 2")), "graph-vllmdecode")
    assert "'sizeLimit': '32Gi'" in str(larger)
    longer = plain(("        volumes:\n", "        terminationGracePeriodSeconds: 600\n        volumes:\n"))
    assert pod(longer, "graph-vllmdecode")["terminationGracePeriodSeconds"] == 600


def test_claims_and_volumes_are_mounted_where_the_config_says(plain):
    found = plain()
    pod = found["Deployment", "graph-vllmdecode"]["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in pod["containers"][0]["volumeMounts"]}
    assert set(mounts) == {"/models", "/more", "/opt/configs", "/scratch", "/dev/shm"}
    assert mounts["/models"]["persistentVolumeClaim"] == {"claimName": "cache"}
    assert mounts["/more"]["persistentVolumeClaim"] == {"claimName": "there"}
    assert mounts["/opt/configs"]["configMap"] == {"name": "graph-engine"}
    assert {name for kind, name in found if kind == "PersistentVolumeClaim"} == {"cache"}
    assert found["PersistentVolumeClaim", "cache"]["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "fast",
        "resources": {"requests": {"storage": "10Gi"}},
    }
    assert found["ConfigMap", "graph-engine"]["data"] == {"engine.yaml": "# of the engine\na: 1\n"}


def test_an_update_takes_no_capacity_away(plain):
    for name in ("graph-entrance", "graph-vllmdecode", "graph-vllmprefill"):
        spec = plain()["Deployment", name]["spec"]
        assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert plain()["Deployment", "graph-vllmdecode"]["spec"]["replicas"] == 2
    assert plain()["Deployment", "graph-vllmdecode"]["spec"]["progressDeadlineSeconds"] == 600


@pytest.mark.parametrize(("part", "port", "words"), [("etcd", 2379, ["etcd"]), ("nats", 4222, ["nats-server", "-js"])])
def test_etcd_and_nats_run_beside_the_graph_from_the_same_image(plain, part, port, words):
    found = plain()
    deployment, service = found["Deployment", f"graph-{part}"], found["Service", f"graph-{part}"]
    pod = deployment["spec"]["template"]
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]) == (1, {"type": "Recreate"})
    assert pod["spec"]["containers"][0]["image"] == IMAGE
    said = " ".join([*pod["spec"]["containers"][0]["command"], *pod["spec"]["containers"][0].get("args", [])]).split()
    assert [word for word in said if word in words] == words
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert port in [entry["port"] for entry in service["spec"]["ports"]]
    # Whoever looks for frontends and workers by the operator's labels must not find these.
    assert not {"nvidia.com/dynamo-component", "nvidia.com/selector"} & set(pod["metadata"]["labels"])


def test_a_compilation_cache_is_mounted_and_named_to_an_engine_that_has_a_variable_for_it(tmp_path):
    text = changed(("mountPoint: /models}", "useAsCompilationCache: true}"))
    (tmp_path / "graph.yaml").write_text(text)
    made = kubernetes.objects(graph.load(tmp_path / "graph.yaml"), None, {"compilation-cache": "VLLM_CACHE_ROOT"})
    found = next(entry for entry in made if entry["metadata"]["name"] == "graph-vllmdecode")
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "cache", "mountPath": "/root/.cache/vllm"} in container["volumeMounts"]
    assert values(container)["VLLM_CACHE_ROOT"] == "/root/.cache/vllm"
