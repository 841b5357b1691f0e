"""A Compose file against what one machine needs of it, written out here: the code's own constants prove nothing."""

import shutil

import pytest
import sh

from ngc import catalog
from ngc.asked.configs import Config
from ngc.deploy import compose, prepare
from ngc.deploy.composeresources import Host
from ngc.errors import Wrong

from ..conftest import require
from .rendered import COMMAND, CONFIG, IMAGE, changed, objects

PROCESSES = ["entrance-0", "vllmdecode-0", "vllmdecode-1", "vllmprefill-0", "other-0"]
GPUS = ["vllmdecode-0", "vllmdecode-1", "vllmprefill-0"]


@pytest.fixture
def document(tmp_path):
    def make(*changes):
        (found,) = objects(tmp_path, "compose", changed(*changes))
        return found

    return make


@pytest.fixture
def services(document):
    return lambda *changes: document(*changes)["services"]


def test_there_is_a_service_per_replica_and_etcd_and_nats(document):
    found = document()
    assert list(found["services"]) == ["etcd-server", "nats-server", *PROCESSES]
    assert {service["image"] for service in found["services"].values()} == {IMAGE}
    # `name:` breaks Compose 1.29, and `version:` is obsolete in later ones.
    assert set(found) == {"services", "volumes"}


def test_no_two_processes_have_the_same_gpu(services):
    made = services()
    seen = []
    for name in PROCESSES:
        devices = made[name].get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
        assert bool(devices) == (name in GPUS)
        for device in devices:
            assert "count" not in device
            assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
            assert all(isinstance(number, str) for number in device["device_ids"])
            seen += device["device_ids"]
    assert seen == ["0", "1", "2", "3", "4"]
    assert "replicas" not in str(made)


def test_every_process_comes_back_and_waits_for_etcd_and_nats(services):
    made = services()
    assert {service["restart"] for service in made.values()} == {"always"}
    healthy = {"condition": "service_healthy"}
    for name in PROCESSES:
        assert made[name]["depends_on"] == {"etcd-server": healthy, "nats-server": healthy}
    for name in ("etcd-server", "nats-server"):
        assert "depends_on" not in made[name]
        assert "curl" in made[name]["healthcheck"]["test"][1]
    nats = " ".join([*made["nats-server"]["entrypoint"], *made["nats-server"]["command"]])
    assert "nats-server -js " in nats


@pytest.mark.parametrize(("name", "asked"), [("entrance-0", ":8000/health"), ("vllmdecode-0", ":9090/health")])
def test_a_process_is_asked_for_its_health_and_given_long_to_start(services, name, asked):
    check = services()[name]["healthcheck"]
    assert check["test"][-1].endswith(asked)
    assert check["start_period"] == "7200s"


def test_shared_memory_and_limits_are_there_for_who_needs_them(services):
    made = services()
    for name in PROCESSES[:-1]:
        assert made[name]["shm_size"] == "8gb"
    assert "shm_size" not in made["other-0"]
    assert {name for name, service in made.items() if "ulimits" in service} == set(GPUS)
    for name in GPUS:
        assert made[name]["ulimits"]["memlock"] == {"soft": -1, "hard": -1}
        assert made[name]["ulimits"]["stack"] == {"soft": 67108864, "hard": 67108864}
    assert {name for name, service in made.items() if "devices" in service} == {"vllmdecode-0", "vllmdecode-1"}
    assert made["vllmdecode-0"]["devices"] == ["/dev/infiniband:/dev/infiniband"]
    assert made["vllmdecode-0"]["cap_add"] == ["IPC_LOCK"]
    assert (made["vllmdecode-0"]["mem_limit"], made["vllmdecode-0"]["cpus"]) == ("32gb", 8)


def test_a_machine_without_gpus_asks_for_none(tmp_path):
    (tmp_path / "graph.yaml").write_text(CONFIG)
    prepared = prepare.prepare(catalog.read(), Config(str(tmp_path / "graph.yaml")))
    made = compose.document(prepared, Host(gpu=False, ulimits={"memlock": -1}))["services"]
    assert not {"deploy", "devices", "ulimits", "cap_add"} & {key for service in made.values() for key in service}
    spared = compose.document(prepared, Host(gpus=(3, 4, 5, 6, 7)))["services"]
    assert spared["vllmprefill-0"]["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"] == ["7"]
    assert "ulimits" not in spared["vllmprefill-0"]  # a host that cannot raise them is not asked to


def test_variables_are_the_operators_with_etcd_and_nats_of_this_file(services):
    made = services()
    worker = made["vllmprefill-0"]["environment"]
    assert worker["ETCD_ENDPOINTS"] == "http://etcd-server:2379"
    assert worker["NATS_SERVER"] == "nats://nats-server:4222"
    assert worker["DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS"] == '["generate"]'
    assert (worker["DYN_SYSTEM_ENABLED"], worker["DYN_SYSTEM_PORT"]) == ("true", "9090")
    assert made["entrance-0"]["environment"]["DYN_HTTP_PORT"] == "8000"
    decode = made["vllmdecode-0"]["environment"]
    assert (decode["A"], decode["B"], decode["C"]) == ("of the graph", "of the service", "of the container")
    assert (decode["DYN_NAMESPACE"], decode["DYN_SYSTEM_PORT"]) == ("mine", "9091")


def test_no_secret_is_ever_written(services, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    made = services(
        ("{name: C, value: of the container}", "{name: C, valueFrom: {secretKeyRef: {name: s, key: k}}}"),
    )
    assert "hf_secret" not in str(made)
    for name in PROCESSES:
        assert made[name]["environment"]["HF_TOKEN"] is None
    assert made["vllmdecode-0"]["environment"]["C"] is None


def test_only_the_frontend_has_a_port_and_only_on_this_machine(services):
    made = services()
    assert {name: service["ports"] for name, service in made.items() if "ports" in service} == {
        "entrance-0": ["127.0.0.1:8000:8000"]
    }
    assert "network_mode" not in str(made)


def test_commands_are_those_of_the_pods(services):
    made = services(
        (
            "          image: IMAGE".replace("IMAGE", IMAGE),
            f"          image: {IMAGE}\n          args: [-m, my.frontend]",
        )
    )

    def line(name):
        return [*made[name]["entrypoint"], *made[name]["command"]]

    assert line("entrance-0") == ["python3", "-m", "my.frontend"]
    assert line("vllmdecode-0") == ["python3", "-m", "dynamo.vllm", "--model", "Qwen/Qwen3-0.6B"]
    assert made["vllmdecode-0"]["working_dir"] == "/workspace"
    assert line("vllmprefill-0")[:2] == ["/bin/sh", "-c"]
    assert line("other-0") == ["sleep", "infinity"]


def test_a_dollar_is_not_taken_for_a_variable_of_this_shell(services):
    made = services(("{name: C, value: of the container}", "{name: C, value: a$b}"))
    assert made["vllmprefill-0"]["command"][0].startswith("echo $$HOME; ")
    assert made["vllmdecode-0"]["environment"]["C"] == "a$$b"


def test_variables_in_texts_are_put_in_as_in_a_pod(services):
    words = '[--url, "$(NATS_SERVER)/$(NOBODY)", "$$(NATS_SERVER)", "$(HF_TOKEN)"]'
    made = services(
        ("args: [--model, Qwen/Qwen3-0.6B]", f"args: {words}"),
        ("{name: C, value: of the container}", '{name: C, value: "$(A)/$(Z)"}'),
    )["vllmdecode-0"]
    assert made["command"][1:] == ["nats://nats-server:4222/$$(NOBODY)", "$$(NATS_SERVER)", "${HF_TOKEN}"]
    assert made["environment"]["C"] == "of the graph/$$(Z)"


def test_claims_are_volumes_and_configmaps_are_files_beside_it(document, tmp_path):
    found = document()
    assert found["volumes"] == {"cache": {}, "there": {}}
    assert found["services"]["vllmdecode-0"]["volumes"] == [
        "cache:/models",
        "there:/more",
        "./graph-engine:/opt/configs:ro",
        "/scratch",
    ]
    prepared = prepare.prepare(catalog.read(), Config(str(tmp_path / "graph.yaml")))
    assert compose.files(prepared.graph) == {"graph-engine/engine.yaml": "# of the engine\na: 1\n"}


@pytest.mark.parametrize("program", ["docker compose", "docker-compose"])
def test_each_compose_reads_the_golden_files(program, root):
    path, *words = program.split()
    found = shutil.which(path)
    try:
        if found:
            sh.Command(found)(*words, "version")
    except sh.ErrorReturnCode:
        found = None
    require("compose", None if found else f"there is no `{program}` here")
    files = [path for path in (root / "tests/golden").glob("*.compose.yaml") if not path.read_text().startswith("#")]
    assert files
    for file in files:
        sh.Command(found)(*words, "--file", str(file), "config", "--quiet")


def test_a_probe_of_the_config_is_the_health_check(services):
    own = "readinessProbe: {exec: {command: [sh, -c, 'test $X']}}\n      replicas: 2"
    assert services(("replicas: 2", own))["vllmdecode-0"]["healthcheck"]["test"] == ["CMD", "sh", "-c", "test $$X"]


@pytest.mark.parametrize(
    ("size", "said"),
    [("8Gi", "8gb"), ("1Ti", "1024gb"), ("1.5Gi", "1536mb"), ("512Ki", "512kb"), ("1M", "1000000b"), ("2e9", "1953125kb"), ("100", "100b")],
)  # fmt: skip
def test_a_quantity_is_as_many_bytes_in_compose(services, size, said):
    made = services(("memory: 32Gi", f'memory: "{size}"'))["vllmdecode-0"]
    assert made["mem_limit"] == said


@pytest.mark.parametrize(("cores", "said"), [("500m", 0.5), ("2", 2), ("1.5", 1.5)])
def test_cores_are_a_number(services, cores, said):
    assert services(('limits: {cpu: "8"', f'limits: {{cpu: "{cores}"'))["vllmdecode-0"]["cpus"] == said


@pytest.mark.parametrize("value", ["abc", "-1", "8 Gi", "8GiB"])
def test_what_is_no_quantity_is_refused_with_its_place(services, value):
    with pytest.raises(
        Wrong, match=rf"graph\.yaml:\d+: spec\.services\.VllmDecode\.\S+ is '{value}'; write a quantity"
    ):
        services(('limits: {cpu: "8"', f'limits: {{cpu: "{value}"'))
    with pytest.raises(Wrong, match=rf"sharedMemory\.size is '{value}'; write a quantity"):
        services(("      replicas: 2\n", f'      replicas: 2\n      sharedMemory: {{size: "{value}"}}\n'))


PORTS = "          ports: [{name: side, containerPort: 7000}]\n"


@pytest.mark.parametrize(
    ("probe", "test"),
    [
        ("httpGet: {path: /ready, port: system}", ["CMD-SHELL", "curl -fsS 'http://127.0.0.1:9090/ready'"]),
        ("httpGet: {path: /, port: side}", ["CMD-SHELL", "curl -fsS 'http://127.0.0.1:7000/'"]),
        ("httpGet: {path: /x$y, port: 1, scheme: HTTPS, httpHeaders: [{name: A, value: b}]}", ["CMD-SHELL", "curl -fsSk -H 'A: b' 'https://127.0.0.1:1/x$$y'"]),
        ("tcpSocket: {port: side}", ["CMD", "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/7000"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["service", "container"])
def test_a_probe_asks_what_a_kubelet_would_ask_as_often(services, probe, test, place):
    written = f"readinessProbe: {{{probe}, periodSeconds: 3, timeoutSeconds: 2, failureThreshold: 4}}\n"
    spot = (
        ("      replicas: 2\n", f"      replicas: 2\n      {written}")
        if place == "service"
        else (COMMAND, f"          {written}{COMMAND}")
    )
    made = services(spot, (COMMAND, PORTS + COMMAND))["vllmdecode-0"]["healthcheck"]
    assert made == {"test": test, "interval": "3s", "timeout": "2s", "retries": 4, "start_period": "7200s"}


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        ("grpc: {port: 1}", "VllmDecode has a readinessProbe that is no exec, httpGet or tcpSocket"),
        ("httpGet: {path: /, port: other}", "VllmDecode has a readinessProbe on the port 'other', which no port of it is called"),
    ],
)  # fmt: skip
def test_a_probe_that_nothing_in_the_container_can_ask_is_refused(services, probe, said):
    with pytest.raises(Wrong, match=said):
        services(("      replicas: 2\n", f"      replicas: 2\n      readinessProbe: {{{probe}}}\n"))
