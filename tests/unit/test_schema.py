"""Configs against the schemas of real CRDs, in the folder of folders that DYNAMO_CRDS's parent is: one per version of Dynamo."""

import pytest

from ngc import catalog
from ngc.deploy import fields, graph, schema
from ngc.deploy.graph import plain
from ngc.errors import Wrong

from ..conftest import crds as named
from ..conftest import require

CONFIGS = sorted((catalog.ROOT / "configs").glob("*.yaml"))
TYPOS = {
    "spec": ("backendFramework:", "backendFramwork:", "write backendFramework"),
    "service": ("replicas:", "replicaz:", "write replicas"),
    "pod": ("workingDir:", "workingdir:", "write workingDir"),
}


def folders():
    """The folder that DYNAMO_CRDS names, and those beside it: CRDs of other versions."""
    folder = named()
    return sorted(path for path in folder.parent.iterdir() if path.is_dir()) if folder else []


@pytest.fixture(params=folders() or [None], ids=lambda path: path.name if path else "none")
def crds(request):
    require("crds", None if request.param else f"{schema.VARIABLE} names no folder of Dynamo's CRDs")
    return schema.of(request.param, fields.API_VERSION)


@pytest.fixture
def read(tmp_path):
    """The object of a text, plain."""

    def load(text):
        (tmp_path / "config.yaml").write_text(text)
        return plain(graph.load(tmp_path / "config.yaml").data)

    return load


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_our_configs_are_valid_under_every_crd(crds, path):
    assert list(schema.problems(crds, plain(graph.load(path).data))) == []


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_our_configs_are_valid_under_our_model(path):
    assert list(schema.problems(fields.MODEL, plain(graph.load(path).data))) == []


@pytest.mark.parametrize("depth", TYPOS)
def test_a_typo_is_found_at_every_depth(crds, read, depth):
    old, new, fix = TYPOS[depth]
    found = list(schema.problems(crds, read(CONFIGS[2].read_text().replace(old, new))))
    assert {(problem.rule, problem.keys[-1], problem.fix) for problem in found} == {("unknown-field", new[:-1], fix)}


def test_all_typos_are_found_at_once_each_with_its_path(crds, read):
    text = CONFIGS[2].read_text()
    for old, new, _ in TYPOS.values():
        text = text.replace(old, new, 1)
    text = text.replace("preStop: {exec:", "preStop: {exek:")
    paths = {problem.keys for problem in schema.problems(crds, read(text))}
    main = ("spec", "services", "Frontend", "extraPodSpec", "mainContainer")
    assert {
        ("spec", "backendFramwork"),
        ("spec", "services", "Frontend", "replicaz"),
        (*main, "workingdir"),
        (*main, "lifecycle", "preStop", "exek"),
    } <= paths


def test_our_model_says_of_fields_what_the_crd_of_0_6_1_says():
    folder = next((path for path in folders() if path.name == "0.6.1"), None)
    require("crds", None if folder else f"{schema.VARIABLE} names no folder beside one called 0.6.1")
    different = []

    def compare(model, crd, place):
        if "properties" in model and not model.get(fields.OPEN_KEY):
            different.extend((place, name) for name in model["properties"].keys() ^ crd["properties"].keys())
        if model.get("type") not in (None, crd.get("type")):
            different.append((place, model["type"]))
        if "properties" in model and set(model.get("required", ())) ^ set(crd.get("required", ())):
            different.append((place, "required"))
        for key, child in model.get("properties", {}).items():
            compare(child, crd["properties"][key], f"{place}.{key}")
        for key in ("items", "additionalProperties"):
            if key in model:
                compare(model[key], crd[key], f"{place}[]")

    compare(fields.MODEL["properties"]["spec"], schema.of(folder, fields.API_VERSION)["properties"]["spec"], "spec")
    assert different == []


CRD = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec:
  group: nvidia.com
  names:
    kind: DynamoGraphDeployment
  versions:
    - {name: v1, served: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object}}}}}
    - {name: v0, served: false, schema: {openAPIV3Schema: {type: object, properties: {}}}}
"""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "names .*/crds, which is no folder"),
        ("a: b\n", "names .*/crds, which has no CRD of DynamoGraphDeployment"),
        ("kind: DynamoGraphDeployment\n- [\n", r"crd\.yaml:2: .*; mend the YAML"),
        (CRD, r"serve nvidia\.com/v1, not 'nvidia\.com/v1alpha1'; write one of those as apiVersion"),
    ],
)
def test_a_folder_without_the_schema_is_one_sentence(tmp_path, monkeypatch, content, said):
    folder = tmp_path / "crds"
    if content:
        folder.mkdir()
        (folder / "crd.yaml").write_text(content)
    monkeypatch.setenv(schema.VARIABLE, str(folder))
    with pytest.raises(Wrong, match=said):
        schema.current(fields.API_VERSION)
    monkeypatch.delenv(schema.VARIABLE)
    assert schema.current(fields.API_VERSION) is None


LIMITED = {
    "type": "object",
    "required": ["a", "b"],
    "properties": {
        "a": {"type": "integer", "minimum": 1, "maximum": 3},
        "b": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 3, "default": "x"},
        "c": {"x-kubernetes-int-or-string": True},
        "d": {"type": "array", "maxItems": 2, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
              "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
        "e": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"f": {"type": "boolean"}}},
        "g": {"enum": ["x", "y"]},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"a": 1}, []),
        ({"a": 1, "c": "x", "d": [{"name": "p"}, {"name": "q"}], "e": {"other": 1, "f": True}, "g": "x"}, []),
        ({"a": 1, "c": 2, "b": None, "g": None}, []),
        ({}, [("missing-field", ())]),
        ({"a": 0}, [("field-value", ("a",))]),
        ({"a": 4}, [("field-value", ("a",))]),
        ({"a": 2.0}, []),
        ({"a": 2.5}, [("field-type", ("a",))]),
        ({"a": True}, [("field-type", ("a",))]),
        ({"a": 1, "b": "A"}, [("field-value", ("b",))]),
        ({"a": 1, "b": "abcd"}, [("field-value", ("b",))]),
        ({"a": 1, "c": True}, [("field-type", ("c",))]),
        ({"a": 1, "d": [{"name": "p"}, {"name": "p"}]}, [("field-value", ("d", 1))]),
        ({"a": 1, "d": [{}, {"name": "p"}, {"name": "q"}]}, [("field-value", ("d",))]),
        ({"a": 1, "d": [None]}, [("field-type", ("d", 0))]),
        ({"a": 1, "e": {"f": "yes"}}, [("field-type", ("e", "f"))]),
        ({"a": 1, "g": "z"}, [("field-value", ("g",))]),
        ({"a": "x", "h": 1}, [("field-type", ("a",)), ("unknown-field", ("h",))]),
    ],
)
def test_a_value_is_held_to_its_schema(data, found):
    assert [(problem.rule, problem.keys) for problem in schema.problems(LIMITED, data)] == found
