"""What the lint finds in configs: each rule on a config that breaks it alone, and nothing in good ones."""

from pathlib import Path

import pytest

from ngc import catalog, enginefiles, tables
from ngc.deploy import graph, lint, prepare
from ngc.deploy.rules.rule import ERROR, INFO, RULES, Found
from ngc.errors import Failed, Wrong

from .linting import CASES, GOOD


@pytest.fixture(scope="module")
def table():
    return catalog.read()


@pytest.fixture
def report(table, tmp_path, monkeypatch):
    """Lint a text."""
    monkeypatch.delenv("DYNAMO_CRDS", raising=False)

    def check(text):
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return lint.check(table, graph.load(path))

    return check


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
def test_our_own_configs_have_nothing_but_good_to_know(table, path, monkeypatch):
    monkeypatch.delenv("DYNAMO_CRDS", raising=False)
    assert [str(f) for f in lint.check(table, graph.load(path)).findings if f.severity != INFO] == []


@pytest.mark.parametrize("path", sorted(Path(catalog.ROOT / "configs").glob("*.yaml")), ids=lambda path: path.stem)
def test_our_own_configs_are_as_good_with_the_built_image(table, path, monkeypatch):
    for variable in ("DYNAMO_CRDS", "NGC_BASE"):
        monkeypatch.delenv(variable, raising=False)
    findings = lint.check(table, prepare.prepare(table, str(path)).graph).findings
    assert [f for f in findings if f.severity != INFO or f.rule == "image-tag"] == []


def test_a_comment_silences_a_rule_and_is_counted(report):
    bad = GOOD["vllm"].replace("replicas: 1", "replicas: two", 1)
    silenced = report(f"# allow field-type: the server is ours\n{bad}")
    assert (silenced.findings, [f.rule for f in silenced.silenced]) == ((), ["field-type"])
    assert not silenced.failed
    assert lint.summary([silenced]) == "1 config: 1 silenced"
    assert report(bad).failed


def test_a_shells_text_is_read_as_words(report):
    text = GOOD["vllm"].replace(
        "command: [python3, -m, dynamo.frontend]\n          args: [--router-mode, kv]",
        'command: [/bin/sh, -c]\n          args: ["python3 -m dynamo.frontend --router-mode kw && echo --done"]',
    )
    (found,) = report(text).findings
    assert (found.rule, found.field) == ("flag-value", "spec.services.Frontend.extraPodSpec.mainContainer.args[0]")


@pytest.mark.parametrize(
    "word", ["--no-enable-prefix-caching", "--max_model_len=99", "-q", "--compilation-config.level=3", "--connector"]
)
def test_what_an_engines_parser_takes_is_known(report, word):
    text = GOOD["vllm"].replace("- --model\n", f"- {word}\n            - --model\n", 1)
    assert report(text).findings == ()


def test_nearest_flags_are_named(report):
    text = GOOD["vllm"].replace("--tensor-parallel-size", "--tensr-parallel-size", 1)
    (found,) = [f for f in report(text).findings if f.rule == "unknown-flag"]
    assert found.fix.startswith("write --tensor-parallel-size")


def test_a_role_may_be_written_with_an_equals_sign(report):
    text = GOOD["trtllm"].replace("mode\n            - decode\n", "mode=decode\n")
    assert report(text).findings == ()


def test_what_a_server_says_again_is_left_out(table, tmp_path, monkeypatch):
    monkeypatch.delenv("DYNAMO_CRDS", raising=False)
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
        assert enginefiles.filled(path, builds) == path.read_text()
    stale = tmp_path / "stale.yaml"
    good = (root / "configs" / "trtllm.yaml").read_text()
    stale.write_text(good.replace("max_batch_size: 64", "max_batch_size: 63"))
    assert enginefiles.filled(stale, builds) == good
    stale.write_text(good.replace("  agg.yaml: |", "  ag.yaml: |"))
    with pytest.raises(Wrong, match=r"stale\.yaml:9: .*/trtllm has no ag\.yaml; the block may name: agg\.yaml, decode"):
        enginefiles.filled(stale, builds)


def test_a_stale_engine_file_fails_the_check(root, tmp_path, monkeypatch):
    for name in ("docs", "configs"):
        (tmp_path / name).mkdir()
    (tmp_path / "README.md").write_text("")
    text = (root / "configs" / "trtllm.yaml").read_text()
    (tmp_path / "configs" / "trtllm.yaml").write_text(text.replace("backend: pytorch", "backend: other"))
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    with pytest.raises(Failed, match=r"trtllm\.yaml: its block of engine files is stale; run `nox -s tables`"):
        tables.main(check=True)
    tables.main(check=False)
    tables.main(check=True)
