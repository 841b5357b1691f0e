"""--set: what it changes, what it leaves alone, and what it says to a wrong path or value."""

import io

import pytest
from ruamel.yaml import YAML

from ngc import catalog
from ngc.deploy import edit, graph, paths
from ngc.errors import Wrong

CONFIG = catalog.ROOT / "configs" / "vllm-agg.yaml"
WORKER = "spec.services.VllmDecodeWorker"
ARGS = f"{WORKER}.extraPodSpec.mainContainer.args"


def written(edited):
    text = io.StringIO()
    YAML().dump(edited.data, text)
    return text.getvalue().splitlines()


def changed(*sets):
    """The lines that a --set drops and adds."""
    before, after = written(graph.load(CONFIG)), written(edit.apply(graph.load(CONFIG), sets))
    return [line.strip() for line in before if line not in after], [
        line.strip() for line in after if line not in before
    ]


def value(path, *sets):
    node = edit.apply(graph.load(CONFIG), sets).data
    for key in paths.parse(path):
        node = node[key]
    return graph.plain(node)


@pytest.mark.parametrize(
    ("setting", "path", "expected"),
    [
        ("spec.services.Frontend.replicas=2", None, 2),
        (f"{WORKER}.resources.limits.gpu=2", None, "2"),
        (f'{WORKER}.resources.limits.gpu="2"', None, "2"),
        (f"{WORKER}.resources.limits={{gpu: 2, cpu: 1.5}}", None, {"gpu": "2", "cpu": "1.5"}),
        (f"{WORKER}.dynamoNamespace=true", None, "true"),
        (f"{ARGS}[1]=a/b", None, "a/b"),
        (f"{ARGS}[+]=--enforce-eager", f"{ARGS}[4]", "--enforce-eager"),
        (f"{ARGS}[4]=7", None, "7"),
        (f'{ARGS}[+]={{"a": 1}}', f"{ARGS}[4]", '{"a": 1}'),
        (f"{ARGS}[+]=a=b: c", f"{ARGS}[4]", "a=b: c"),
        (f"{ARGS}=[a, 1]", None, ["a", "1"]),
        ("spec.envs[+]={name: A, value: 1}", "spec.envs[0]", {"name": "A", "value": "1"}),
        ('metadata.annotations["nvidia.com/enable-grove"]=false', None, "false"),
        (r"metadata.annotations.nvidia\.com/enable-grove=false", None, "false"),
        (f"{WORKER}.sharedMemory.size=16Gi", None, "16Gi"),
        (f"{WORKER}.sharedMemory.disabled=true", None, True),
        (f"{WORKER}.autoscaling.behavior.scaleUp.x=3", None, 3),
    ],
)
def test_a_field_takes_the_value_as_its_kind(setting, path, expected):
    assert value(path or paths.split(setting)[0], setting) == expected


def test_only_the_field_changes_and_comments_stay():
    assert changed(f"{WORKER}.replicas=3") == ([], ["replicas: 3"])
    assert any(
        "requests of a worker that goes" in line for line in written(edit.apply(graph.load(CONFIG), [f"{ARGS}[1]=x"]))
    )


@pytest.mark.parametrize(("one", "other"), [(0, 1), (1, 0)])
def test_what_two_services_share_by_an_anchor_changes_in_one(one, other):
    keys = ("VllmDecodeWorker", "VllmPrefillWorker")
    path = f"spec.services.{keys[one]}.extraPodSpec.mainContainer.lifecycle.preStop.exec.command[2]"
    edited = edit.apply(graph.load(graph.find("vllm-disagg")), [f"{path}=sleep 9"])
    hooks = {s.key: s.main["lifecycle"]["preStop"]["exec"]["command"][2] for s in edited.workers}
    assert (hooks[keys[one]], hooks[keys[other]]) == ("sleep 9", "dynamo-drain || sleep 5")


def test_the_graph_is_made_anew():
    edited = edit.apply(
        graph.load(CONFIG), [f"{WORKER}.replicas=3", f"{WORKER}.resources.limits.gpu=4", f"{ARGS}[+]=--x"]
    )
    (worker,) = edited.workers
    assert (worker.replicas, worker.gpus, worker.args[-1]) == (3, 4, "--x")


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("spec.services.Frontned.replicas=2", "there is no service 'Frontned'; write Frontend"),
        ("spec.services.Xyz.replicas=2", "there is no service 'Xyz'; choose from: Frontend, VllmDecodeWorker"),
        ("spec.services.frontend.replicas=2", "there is no service 'frontend'; write Frontend"),
        ("spec.services.Frontend.replica=2", "there is no field 'spec.services.Frontend.replica'; write replicas"),
        ("spec.services.Frontend.image=x", "write it as spec.services.Frontend.extraPodSpec.mainContainer.image"),
        (f"{WORKER}.gpu=2", f"write it as {WORKER}.resources.requests.gpu or {WORKER}.resources.limits.gpu"),
        ("services.Frontend.replicas=2", "there is no field 'services'; write it as spec.services"),
        ("spec.services.Frontend.replicas=two", "takes a whole number, and this is 'two'; write a number such as 2"),
        ("spec.services.Frontend.replicas=", "takes a whole number, and this is nothing; write a number such as 2"),
        (f"{WORKER}.sharedMemory.disabled=maybe", "takes true or false, and this is 'maybe'"),
        (f"{ARGS}=text", "takes a list, and this is 'text'; write a list such as [a, b]"),
        (f"{ARGS}[9]=x", "has 4 elements; write a number below 4, or [+] to append"),
        ("spec.envs[3].name=x", "spec.envs is empty; write [+] to append"),
        (f"{ARGS}.x=1", "is a list; name an element as [0], or append one with [+]"),
        ("spec.services[0].replicas=1", "spec.services is a mapping; name a field of it after a dot"),
        ("spec.services.Frontend.replicas.x=1", "spec.services.Frontend.replicas is no list or mapping; set it as a whole"),
        (f"{WORKER}.multinode.nodeCount=1", "1 is refused by the API server; write 2 or more"),
        (f"{WORKER}.resources.limits={{gpuu: 2}}", "there is no field 'gpuu' here"),
        ("kind=Deployment", "write one of: DynamoGraphDeployment"),
        (f"{WORKER}.replicas=[", "mend the YAML"),
        ("spec.services.Frontend.replicas", "write PATH=VALUE, such as --set spec.services.Frontend.replicas=2"),
        ("spec..replicas=1", "cannot read '..replicas'"),
        ("=1", "write PATH=VALUE"),
    ],
)  # fmt: skip
def test_a_wrong_path_or_value_is_one_sentence_with_the_right_ones(setting, said):
    with pytest.raises(Wrong) as raised:
        edit.apply(graph.load(CONFIG), [setting])
    assert str(raised.value).startswith(f"--set {setting}: " if not setting.startswith("spec..") else "--set spec..")
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_null_takes_a_field_out_and_its_text_is_quoted():
    dropped, added = changed("spec.services.Frontend.readinessProbe=null")
    assert added == []
    assert "readinessProbe:" in dropped
    assert [s.key for s in edit.apply(graph.load(CONFIG), ["spec.services.Frontend=null"]).services] == [
        "VllmDecodeWorker"
    ]
    assert value(ARGS, f"{ARGS}[0]=null") == value(ARGS)[1:]
    assert value(f"{ARGS}[1]", f'{ARGS}[1]="null"') == "null"
    assert changed(f"{WORKER}.multinode=null") == ([], [])  # it is not there


def test_what_several_settings_make_together_must_be_right_in_any_order():
    settings = [f"{WORKER}.envs[+].value=x", f"{WORKER}.envs[0].name=A"]
    assert value(f"{WORKER}.envs", *settings) == [{"value": "x", "name": "A"}]
    with pytest.raises(Wrong, match=r"envs\[\+\]\.value=x: .*'name' is missing"):
        edit.apply(graph.load(CONFIG), [settings[0], f"{WORKER}.replicas=2"])


def test_a_fault_that_was_there_before_is_not_the_edits(tmp_path):
    (tmp_path / "old.yaml").write_text(CONFIG.read_text().replace("replicas: 1", "replicaz: 1"))
    edited = edit.apply(graph.load(tmp_path / "old.yaml"), [f"{WORKER}.replicas=2"])
    assert edited.data["spec"]["services"]["VllmDecodeWorker"]["replicas"] == 2


def test_with_crds_the_whole_schema_says_what_fits(monkeypatch, crds_folder):
    probe = f"{WORKER}.extraPodSpec.mainContainer.startupProbe.httpGet"
    settings = [f"{probe}.port=9090", f"{probe}.pth=/live"]
    edit.apply(graph.load(CONFIG), settings)  # our model is open below a probe
    monkeypatch.setenv("DYNAMO_CRDS", str(crds_folder))
    with pytest.raises(Wrong, match=r"there is no field '.*pth'; write path"):
        edit.apply(graph.load(CONFIG), settings)
    with pytest.raises(Wrong, match="takes a whole number, and this is 'no'"):
        edit.apply(graph.load(CONFIG), [f"{WORKER}.autoscaling.maxReplicas=no"])


@pytest.mark.parametrize(
    "keys", [("spec", "a", 0, "b"), ("metadata", "labels", "a.b/c"), ("x", paths.APPEND), ("a", "with space")]
)
def test_a_path_that_is_written_reads_as_the_same(keys):
    assert paths.parse(paths.text(keys)) == keys
