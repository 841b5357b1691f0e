"""What a target cannot express is refused with the place and a way out, and never left out without a word."""

import shlex

import pytest

from ngc.asked.configs import Config
from ngc.deploy.composeresources import Host
from ngc.errors import Wrong

from .rendered import CONFIG, IMAGE, changed, objects

REPLICAS = "      replicas: 2\n"
NAME = "  name: graph\nspec:"
POD = "        volumes:\n"
BOTH, ONE = ("kubernetes", "compose"), ("compose",)
CASES = [
    (BOTH, (REPLICAS, REPLICAS + "      multinode: {nodeCount: 2}\n"), "multinode", "VllmDecode "),
    (BOTH, ("    Other:\n", "    Other:\n      componentType: planner\n"), "componentType: planner", "Other is a planner"),
    (BOTH, (REPLICAS, REPLICAS + "      autoscaling: {enabled: true}\n"), "autoscaling", "VllmDecode wants autoscaling"),
    (BOTH, (REPLICAS, REPLICAS + "      ingress: {enabled: true}\n"), "ingress", "VllmDecode wants an ingress"),
    (BOTH, (NAME, NAME.replace("\nspec", '\n  annotations: {nvidia.com/enable-grove: "true"}\nspec')), "enable-grove", "nvidia.com/enable-grove "),
    (BOTH, (NAME, NAME.replace("\nspec", "\n  annotations: {nvidia.com/kai-scheduler-queue: q}\nspec")), "kai-", "nvidia.com/kai-scheduler-queue "),
    (ONE, (POD, "        initContainers: [{name: a, image: b}]\n" + POD), "initContainers", "VllmDecode has more containers"),
    (ONE, ("          env:\n", "          envFrom: [{configMapRef: {name: x}}]\n          env:\n"), "envFrom:", "VllmDecode takes variables"),
    (ONE, ("{name: C, value: of the container}", "{name: C, valueFrom: {fieldRef: {fieldPath: status.podIP}}}"), "podIP", "VllmDecode takes C from fieldRef"),
    (ONE, ("{name: scratch, emptyDir: {}}", "{name: scratch, secret: {secretName: x}}"), "mountPath: /scratch", "VllmDecode mounts /scratch from secret"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "change", "mark", "said"),
    [(target, *case) for targets, *case in CASES for target in targets],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refusal_is_one_sentence_with_file_line_and_a_way_out(tmp_path, monkeypatch, target, change, mark, said):
    monkeypatch.chdir(tmp_path)
    text = changed(change)
    line = text.count("\n", 0, text.index(mark)) + 1
    with pytest.raises(Wrong) as caught:
        objects(tmp_path, target, text)
    assert str(caught.value).startswith(f"graph.yaml:{line}: {said}")
    assert "; " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_refused_elsewhere_goes_to_the_operator_unchanged(tmp_path):
    for targets, change, *_ in CASES:
        found = objects(tmp_path, "dgd", changed(change))
        assert [entry["kind"] for entry in found] == ["ConfigMap", "DynamoGraphDeployment"], targets


def test_the_way_out_that_a_refusal_names_works(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for targets, change, *_ in CASES:
        with pytest.raises(Wrong) as caught:
            objects(tmp_path, "compose", changed(change))
        if " --set " in (said := str(caught.value)) and said.endswith("=null'"):
            setting = shlex.split(said.partition(" --set ")[2])[0]
            assert objects(tmp_path, "compose", changed(change), set=[setting]), targets


@pytest.mark.parametrize("target", BOTH)
def test_a_service_without_an_image_is_refused(tmp_path, target):
    with pytest.raises(Wrong, match=r"graph\.yaml:\d+: Other has no image; name one in extraPodSpec"):
        objects(tmp_path, target, CONFIG.replace(f"image: {IMAGE}\n          command: [sleep", "command: [sleep"))


def test_more_processes_than_one_machine_runs_are_refused_at_once(tmp_path):
    with pytest.raises(Wrong, match="graph has 100003 processes, and Compose is one machine; use fewer replicas"):
        objects(tmp_path, "compose", changed((REPLICAS, "      replicas: 100000\n")))


@pytest.mark.parametrize("target", BOTH)
def test_what_is_switched_off_is_not_refused(tmp_path, target):
    off = "      autoscaling: {enabled: false}\n      ingress: {enabled: false}\n"
    grove = NAME.replace("\nspec", '\n  annotations: {nvidia.com/enable-grove: "false"}\nspec')
    assert objects(tmp_path, target, changed((REPLICAS, REPLICAS + off), (NAME, grove)))


@pytest.mark.parametrize("key", ["etcd", "Nats"])
def test_a_service_that_would_take_the_name_of_etcd_or_nats_is_refused(tmp_path, key):
    with pytest.raises(Wrong, match=f"{key} would be named graph-{key.lower()}, .*; give the service another key"):
        objects(tmp_path, "kubernetes", CONFIG.replace("    Other:", f"    {key}:"))


def test_more_gpus_than_a_machine_has_are_refused_with_who_wants_them(tmp_path):
    from ngc import catalog
    from ngc.deploy import compose, prepare

    (tmp_path / "graph.yaml").write_text(CONFIG)
    prepared = prepare.prepare(catalog.read(), Config(str(tmp_path / "graph.yaml")))
    with pytest.raises(
        Wrong, match=r"graph needs 5 GPUs \(vllmdecode-0 2, vllmdecode-1 2, vllmprefill-0 1\) and 2 are"
    ):
        compose.document(prepared, Host(gpus=(0, 1)))
