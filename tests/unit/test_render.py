"""The verb render as users type it: YAML on stdout and nothing else, folders, exit codes; test_render_yaml.py has its wrong inputs."""

import io
import json
import sys
from functools import partial

import pytest
import sh
from ruamel.yaml import YAML

from ngc import catalog
from ngc.reference import semantic_version

from .rendered import CONFIG, IMAGE

WORKER = "vllm-agg-vllmdecodeworker"


@pytest.fixture
def render(invoke):
    return partial(invoke, "render")


def read(text):
    return list(YAML(typ="safe").load_all(io.StringIO(text)))


@pytest.fixture
def objects(render):
    """What the verb prints, as data by kind and name."""

    def ask(*words, **environment):
        code, out, err = render(*words, **environment)
        assert (code, err) == (0, "")
        return {(entry["kind"], entry["metadata"]["name"]): entry for entry in read(out)}

    return ask


def images(found):
    return {
        container["image"]
        for (kind, _), entry in found.items()
        if kind == "Deployment"
        for container in entry["spec"]["template"]["spec"]["containers"]
    }


@pytest.mark.parametrize("target", ["dgd", "kubernetes", "compose"])
def test_stdout_is_what_the_golden_file_holds(render, root, target):
    code, out, err = render("--config=vllm-disagg", f"--to={target}")
    assert (code, err) == (0, "")
    assert out == (root / "tests" / "golden" / f"vllm-disagg.{target}.yaml").read_text()


def test_the_target_is_the_operators_object_where_none_is_named(render):
    assert render("--config=trtllm") == render("--config=trtllm", "--to=dgd")


@pytest.mark.parametrize("target", ["dgd", "kubernetes", "compose"])
def test_yaml_has_no_anchors_and_holds_the_same_data_as_json(render, target):
    _, text, _ = render("--config=trtllm-disagg", f"--to={target}")
    code, out, _ = render("--config=trtllm-disagg", f"--to={target}", "--json")
    assert code == 0
    assert [event for event in YAML().parse(text) if getattr(event, "anchor", None)] == []
    data = json.loads(out)
    assert read(text) == (data["items"] if target != "compose" else [data])


def test_files_that_compose_needs_are_said_on_stderr(render):
    code, out, err = render("--config=trtllm", "--to=compose")
    assert code == 0
    assert list(read(out)[0]) == ["services"]
    assert err == "this file needs trtllm-engine/agg.yaml beside it; --out=FOLDER writes them all\n"


def test_out_writes_all_that_compose_needs_and_a_second_time_anew(render, tmp_path):
    folder = tmp_path / "new" / "folder"
    code, out, err = render("--config=trtllm-disagg", "--to=compose", f"--out={folder}")
    files = ["compose.yaml", "trtllm-disagg-engine/decode.yaml", "trtllm-disagg-engine/prefill.yaml"]
    assert (code, out, err) == (0, "".join(f"{folder}/{name}\n" for name in files), "")
    mounted = read((folder / files[0]).read_text())[0]["services"]["trtllmdecodeworker-0"]["volumes"]
    assert mounted == ["./trtllm-disagg-engine:/opt/dynamo/configs:ro"]
    assert "disable_overlap_scheduler: true\n" in (folder / files[2]).read_text()
    (folder / files[1]).write_text("mine")
    (folder / "other").write_text("kept")
    assert (
        render("--config=trtllm-disagg", "--to=compose", f"--out={folder}", "--set=spec.services.Frontend.replicas=2")[
            0
        ]
        == 0
    )
    assert "frontend-1" in read((folder / files[0]).read_text())[0]["services"]
    assert "mine" not in (folder / files[1]).read_text()
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert there == {*files, "other"}  # nothing half-written stays


@pytest.mark.parametrize("target", ["dgd", "kubernetes"])
def test_out_writes_one_file_for_a_cluster(render, tmp_path, target):
    code, out, _ = render("--config=trtllm", f"--to={target}", "--out=here", folder=tmp_path)
    assert (code, out) == (0, "here/trtllm.yaml\n")
    assert (tmp_path / out.strip()).read_text() == render("--config=trtllm", f"--to={target}")[1]


def test_out_that_is_a_file_is_refused(render, tmp_path):
    (tmp_path / "file").write_text("kept")
    code, out, err = render("--config=trtllm", "--out=file", folder=tmp_path)
    assert (code, out, err) == (2, "", "error: --out is file, which is no folder; name one that may be made\n")
    assert (tmp_path / "file").read_text() == "kept"


def test_the_image_is_the_built_one_and_says_what_it_stands_on(objects):
    plain = ("--config=vllm-agg", "--to=kubernetes")
    built = f"dynamo-vllm-runtime:{semantic_version(catalog.read().framework('vllm').default_base.tag)}"
    assert images(objects(*plain)) == {built}
    (name,) = images(objects(*plain, "--base=stand-in"))
    assert name.startswith("dynamo-vllm-runtime:")
    assert name.endswith("-stand-in")
    assert images(objects(*plain, NGC_BASE="stand-in")) == {name}
    assert images(objects(*plain, "--registry=registry.example.com:5000/team")) == {
        f"registry.example.com:5000/team/{built}"
    }


def test_image_replaces_every_image_of_the_graph_etcd_and_nats_included(objects, render):
    assert images(objects("--config=vllm-disagg", "--to=kubernetes", f"--image={IMAGE}")) == {IMAGE}
    _, out, _ = render("--config=vllm-disagg", "--to=compose", f"--image={IMAGE}")
    assert {service["image"] for service in read(out)[0]["services"].values()} == {IMAGE}


def test_a_namespace_is_in_every_object_and_without_one_in_none(objects):
    words = ("--config=trtllm-disagg", "--to=kubernetes", "--metrics=podmonitor")
    found = objects(*words, "--namespace=here")
    assert {kind for kind, _ in found} == {"ConfigMap", "Deployment", "Service", "PodMonitor"}
    assert {entry["metadata"]["namespace"] for entry in found.values()} == {"here"}
    graph = objects("--config=trtllm", "--to=dgd", "--namespace=here")
    assert {entry["metadata"]["namespace"] for entry in graph.values()} == {"here"}
    assert not any("namespace" in entry["metadata"] for entry in objects(*words).values())


def test_metrics_are_found_by_annotations_or_by_a_podmonitor(objects):
    words = ("--config=vllm-agg", "--to=kubernetes")

    def annotations(found, name):
        return found["Deployment", name]["spec"]["template"]["metadata"].get("annotations", {})

    assert annotations(objects(*words), WORKER) == {}
    marked = objects(*words, "--metrics=annotations")
    for name, port in ((WORKER, "9090"), ("vllm-agg-frontend", "8000")):
        assert annotations(marked, name) == {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": port,
            "prometheus.io/path": "/metrics",
        }
    assert annotations(marked, "vllm-agg-etcd") == {}
    found = objects(*words, "--metrics=podmonitor")
    monitor = found["PodMonitor", "vllm-agg"]["spec"]
    labels = found["Deployment", WORKER]["spec"]["template"]["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    assert {(end["port"], end["path"]) for end in monitor["podMetricsEndpoints"]} == {
        ("http", "/metrics"),
        ("system", "/metrics"),
    }


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("replicas: 2", "replicas: two", "spec.services.VllmDecode.replicas: 'two' is refused"),
        ("replicas: 2", "replicas: -1", "VllmDecode has -1 replicas; write 0 or more"),
        ('{gpu: "1"}', "{gpu: 1}", "spec.services.VllmPrefill.resources.requests.gpu: "),
        ("args: [--model, Qwen/Qwen3-0.6B]", "args: --model", "args: "),
        ("volumeMounts:\n        - {name: cache", "volumeMounts: x\n      ignored:\n        - {name: cache", "volumeMounts: 'x'"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("target", ["kubernetes", "compose"])
def test_a_value_of_another_kind_is_refused_and_not_rendered_as_something_else(
    render, tmp_path, target, old, new, said
):
    (tmp_path / "mine.yaml").write_text(CONFIG.replace(old, new, 1))
    line = (tmp_path / "mine.yaml").read_text().count("\n", 0, CONFIG.index(old)) + 1
    code, out, err = render("--config=mine.yaml", f"--to={target}", folder=tmp_path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: mine.yaml:{line}: ")
    assert said in err


@pytest.mark.parametrize("reader", ["true", "head -n 1"])
@pytest.mark.parametrize(
    "words", ["render --config=vllm-disagg --to=kubernetes", "validate", "list", "validate --config=none"]
)
def test_a_reader_that_leaves_early_is_no_error(root, words, reader):
    line = f"{sys.executable} -m invoke --search-root {root} {words} | {reader}"
    done = sh.Command("sh")("-c", line, _cwd="/", _return_cmd=True, _tty_out=False)
    said = done.stderr.decode()
    assert "Error" not in said and "Exception" not in said
    assert len(said.splitlines()) <= 1
