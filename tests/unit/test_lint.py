"""What the lint finds in configs: each rule on a config that breaks it alone, and nothing in good ones."""

import shutil
from pathlib import Path

import pytest

from ngc import catalog, docs
from ngc.asked.configs import Config
from ngc.deploy import graph, lint, prepare
from ngc.deploy.rules.rule import ERROR, INFO, RULES, Found
from ngc.errors import Failed, Wrong

from .linting import CASES, GOOD


@pytest.mark.parametrize("framework", GOOD)
def test_a_good_config_has_no_finding(report, framework):
    assert report(GOOD[framework]) == lint.Report((), ())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rule_finds_what_is_wrong_and_where(report, case):
    findings = report(case.text).findings
    assert {finding.rule for finding in findings} == {case.rule, *case.also}
    found = next(finding for finding in findings if finding.rule == case.rule)
    assert (found.field, found.line) == (case.field, case.line)
    assert found.what
    assert found.fix
    assert found.severity == RULES[case.rule].severity


def test_every_rule_has_a_config_that_breaks_it():
    assert {case.rule for case in CASES} == RULES.keys() - {"server"}


def test_every_rule_says_what_happens():
    assert [rule.id for rule in lint.rules() if len(rule.about) < 30] == []
    assert all(rule.id == rule.id.lower() and "_" not in rule.id for rule in lint.rules())


@pytest.mark.parametrize("path", sorted(Path(catalog.ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_our_own_configs_have_nothing_but_good_to_know(table, path):
    assert [str(f) for f in lint.check(table, graph.load(path)).findings if f.severity != INFO] == []


@pytest.mark.parametrize("path", sorted(Path(catalog.ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_our_own_configs_are_as_good_with_the_built_image(table, path):
    findings = lint.check(table, prepare.prepare(table, Config(str(path))).graph).findings
    assert [f for f in findings if f.severity != INFO or f.rule == "image-tag"] == []


PLANNER = """\
    Planner:
      componentType: planner
      replicas: 1
      extraPodSpec:
        mainContainer:
          image: registry.example.com/dynamo-vllm-runtime:0.6.1-post1
          command: [python3, -m, planner_sla]
"""


@pytest.mark.parametrize(
    "changes", [[], [("replicas: 1\n      res", "replicas: 0\n      res")], [("replicas: 1\n", "replicas: 0\n")]]
)
def test_what_a_planner_scales_may_begin_with_none(report, changes):
    text = GOOD["vllm"].replace("---\n", f"{PLANNER}---\n", 1)
    for old, new in changes:
        text = text.replace(old, new)
    assert report(text).findings == ()


def test_what_scales_itself_may_begin_with_none(report):
    new = "replicas: 0\n      autoscaling: {enabled: true, minReplicas: 1, maxReplicas: 3}\n      res"
    assert report(GOOD["vllm"].replace("replicas: 1\n      res", new)).findings == ()


@pytest.mark.parametrize("framework", GOOD)
@pytest.mark.parametrize("where", ["spec", "services"])
def test_one_namespace_of_all_services_is_good(report, framework, where):
    entry = "envs: [{name: DYN_NAMESPACE, value: ours}]"
    if where == "spec":
        text = GOOD[framework].replace("spec:\n", f"spec:\n  {entry}\n", 1)
    else:
        text = GOOD[framework].replace("      replicas: 1\n", f"      replicas: 1\n      {entry}\n")
    assert report(text).findings == ()


def test_quantities_are_kubernetes_own(report):
    for size in ("1Ti", "1.5Gi", '"0.5"', "8G", '"1e3"', "12E", '"512Mi"', "8"):
        text = GOOD["vllm"].replace(
            "replicas: 1\n      res", f"replicas: 1\n      sharedMemory: {{size: {size}}}\n      res", 1
        )
        assert (size, report(text).findings) == (size, ())


@pytest.mark.parametrize(
    ("gpus", "said"),
    [
        ("0", "tensor parallel 2 needs 2 GPUs, and it has 0: the engine does not start"),
        ("3", "tensor parallel 2 needs 2 GPUs, and it has 3: 1 of them is reserved and idle"),
        ("4", "tensor parallel 2 needs 2 GPUs, and it has 4: 2 of them are reserved and idle"),
    ],
)
def test_numbers_of_gpus_are_sentences(report, gpus, said):
    (found,) = report(GOOD["vllm"].replace('gpu: "2"', f'gpu: "{gpus}"', 2)).findings
    assert found.what == said


def test_a_worker_without_parallelism_needs_one_gpu(report):
    text = (
        GOOD["vllm"]
        .replace('            - --tensor-parallel-size\n            - "2"\n', "")
        .replace('gpu: "2"', 'gpu: "1"')
    )
    assert report(text).findings == ()
    (found,) = report(text.replace('gpu: "1"', 'gpu: "0"', 2)).findings
    assert str(found).endswith(
        'it needs 1 GPU, and it has 0: the engine does not start; write gpu: "1" in limits and requests'
    )


def test_an_engine_file_of_the_image_may_hold_anything(report):
    assert report(GOOD["trtllm"].replace("/opt/configs/engine.yaml", "/workspace/engine.yaml")).findings == ()


def test_overrides_count_as_the_engine_file_does(report):
    words = """- --override-engine-args
            - '{"cache_transceiver_config": {"backend": "UCX"}, "disable_overlap_scheduler": true}'
            - --disaggregation-mode"""
    text = GOOD["trtllm"].replace(
        "    cache_transceiver_config: {backend: DEFAULT}\n    disable_overlap_scheduler: true\n", ""
    )
    assert report(text.replace("- --disaggregation-mode", words)).findings == ()


def test_what_a_server_says_again_is_left_out(table, tmp_path):
    (tmp_path / "config.yaml").write_text(GOOD["vllm"].replace("replicas: 1", "replicas: two", 1))
    replicas, name = (("spec", "services", "Frontend", field) for field in ("replicas", "serviceName"))
    said = [("server", Found(keys, "refused", "mend it")) for keys in (replicas, name, ())]
    findings = lint.check(table, graph.load(tmp_path / "config.yaml"), said).findings
    assert [(f.rule, f.field.rpartition(".")[2]) for f in findings] == [
        ("server", ""),
        ("server", "serviceName"),
        ("field-type", "replicas"),
    ]


def test_of_a_mocker_no_gpu_and_no_flags_are_asked(report):
    worker = "{componentType: worker, replicas: 1, extraPodSpec: {mainContainer: {image: 'a/b:1.2.3', command: [python3, -m, dynamo.mocker, --x]}}}"
    text = GOOD["vllm"]
    text = text[: text.index("    Decode:")].replace("  backendFramework: vllm\n", "") + f"    Mocker: {worker}\n"
    findings = report(text.replace("0.6.1-post1", "1.2.3")).findings
    assert {finding.rule for finding in findings} == {"no-pre-stop"}


@pytest.mark.parametrize(
    "new",
    [
        "services: {A: text}",
        "services: {A: {extraPodSpec: {mainContainer: {image: 3, args: text}}, envs: {}, resources: []}}",
    ],
)
def test_configs_of_wrong_kinds_are_findings_and_no_crash(report, new):
    text = GOOD["vllm"]
    start, end = text.index("  services:"), text.index("---\n")
    findings = report(text[:start] + f"  {new}\n" + text[end:]).findings
    assert "field-type" in {f.rule for f in findings}
    assert all(f.severity == ERROR for f in findings if f.rule == "field-type")


def test_the_engine_files_of_configs_come_from_base_configs(root, tmp_path):
    builds = root / "ngc-builds"
    for path in (root / "configs").glob("*.yaml"):
        assert docs.with_engine_files(path, builds) == path.read_text()
    stale = tmp_path / "stale.yaml"
    good = (root / "configs" / "trtllm.yaml").read_text()
    stale.write_text(good.replace("max_batch_size: 64", "max_batch_size: 63"))
    assert docs.with_engine_files(stale, builds) == good
    stale.write_text(good.replace("  agg.yaml: |", "  ag.yaml: |"))
    with pytest.raises(Wrong, match=r"stale\.yaml:9: .*/trtllm has no ag\.yaml; the block may name: agg\.yaml, decode"):
        docs.with_engine_files(stale, builds)


def test_a_stale_engine_file_fails_the_check(root, tmp_path):
    (tmp_path / "configs").mkdir()
    shutil.copytree(root / "docs", tmp_path / "docs")
    shutil.copy(root / "README.md", tmp_path)
    text = (root / "configs" / "trtllm.yaml").read_text()
    (tmp_path / "configs" / "trtllm.yaml").write_text(text.replace("backend: pytorch", "backend: other"))
    with pytest.raises(Failed, match=r"trtllm\.yaml: its block of engine files is stale; run `nox -s tables`"):
        docs.main(check=True, root=tmp_path)
    docs.main(check=False, root=tmp_path)
    docs.main(check=True, root=tmp_path)
