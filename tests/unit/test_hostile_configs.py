"""Configs of strangers: each is read within bounds, refused in a sentence, or becomes what it says; none reaches out of its folder."""

from __future__ import annotations

import re
import resource
import threading
import time
from dataclasses import dataclass

import pytest

from ngc import bases, catalog, yamlfile
from ngc.asked.configs import Config
from ngc.errors import Wrong

SECRET = "nvapi-of-this-shell"
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)
DIGITS = "9" * 5000
IMAGE = "nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.6.1.post1"
NAME, FRONT, REPLICAS = "  name: vllm-agg\n", "    Frontend:\n", "      replicas: 1\n"
WORKING_DIR = "workingDir: /workspace/components/backends/vllm"
MAIN = "        mainContainer:\n"


def mounted(path, volume):
    """A volume in every service."""
    return f"        volumes: [{{name: v, {volume}}}]\n{MAIN}          volumeMounts: [{{name: v, mountPath: {path}}}]\n"


@dataclass(frozen=True)
class Case:
    """configs/vllm-agg.yaml with one edit (`old` to `new`, everywhere), and text behind it.

    `said`: a part of the sentence. `lint`: only validate and up refuse it; `compose`: render refuses it for Compose; `all`: it is
    refused as soon as it is read. "": nothing is wrong with it.
    """

    name: str
    refused: str
    said: str
    old: str = NAME
    new: str = NAME
    behind: str = ""
    encoding: str = "utf-8"
    empty: bool = False

    def data(self, good):
        if self.empty:
            return b""
        assert self.old in good
        return (good.replace(self.old, self.new) + self.behind).encode(self.encoding)


def beside(data, name="good"):
    return f'---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: "{name}"}}\ndata: {{{data}}}\n'


CASES = [
    # Bounds of YAML.
    Case("aliases that multiply", "all", "more than 8,000 values, each alias counted", new=NAME + "  annotations:\n" + "".join(f"    {line}\n" for line in BOMB.splitlines())),
    Case("aliases that multiply in a document of their own", "all", "more than 8,000 values", behind="---\n" + BOMB),
    Case("an alias inside its anchor", "all", "the alias *x stands inside of what it is an alias of", new=NAME + "  annotations: &x\n    y: *x\n"),
    Case("an alias of nothing", "all", "the alias *x has no anchor before it", new=NAME + "  annotations: *x\n"),
    Case("a number of thousands of digits", "all", "a number has 5000 digits", REPLICAS, f"      replicas: {DIGITS}\n"),
    Case("lists in lists", "all", "more than 100 deep", new=NAME + "  annotations: " + "[" * 5000 + "]" * 5000 + "\n"),
    Case("mappings in mappings", "all", "more than 100 deep", new=NAME + "  annotations: " + "{a: " * 5000 + "}" * 5000 + "\n"),
    Case("a thousand services", "all", "more than 8,000 values", behind="".join(f"    S{n}: {{replicas: 1, args: [a, b, c, d, e]}}\n" for n in range(1000))),
    Case("a file of two megabytes", "all", "more than 1 MiB", behind="# " + "x" * 2**21),
    Case("NUL", "all", ":7: the character U+0000 may not stand in YAML", new="  name: vl\0lm\n"),
    Case("a control character", "all", "the character U+001B may not stand", new="  name: a\x1b[2J\n"),
    Case("a byte order mark inside", "all", ":8: the character U+FEFF", "spec:\n", "\ufeffspec:\n"),
    Case("Latin-1", "all", ":7: the byte 0xe9 is no UTF-8; save the file as UTF-8", new="  name: vl\xe9m\n", encoding="latin-1"),
    Case("UTF-16", "all", ":1: the byte 0xff is no UTF-8", encoding="utf-16"),
    Case("a tag of Python", "all", "the tag !!python/object/apply:os.system is none", new="  name: !!python/object/apply:os.system ['touch PWNED']\n"),
    Case("a tag of nobody", "all", "the tag !foo is none", new="  name: !foo bar\n"),
    Case("a tag for bytes", "all", "the tag !!binary is none", REPLICAS, "      replicas: !!binary aGVsbG8=\n"),
    Case("a list as a key", "all", "a list stands where a key must", FRONT, "    [a, b]: {}\n" + FRONT),
    Case("a mapping as a key", "all", "a mapping stands where a key must", FRONT, "    ? {a: b}\n    : c\n" + FRONT),
    Case("nothing as a key", "all", "nothing stands where a key must", FRONT, "    null: {}\n" + FRONT),
    Case("a key that stands twice", "all", ":8: the key 'name' stands twice", new="  name: other\n" + NAME),
    Case("<< of a text", "all", ":7: << merges what is no mapping", new="  <<: abc\n" + NAME),
    Case("<< of numbers", "all", ":7: << merges what is no mapping", new="  <<: [1, 2]\n" + NAME),
    Case("a tab", "all", "cannot start any token", new="\tname: vllm-agg\n"),
    Case("infinity", "all", ".inf is a number that JSON has no words for", REPLICAS, "      replicas: .inf\n"),
    # No graph, or none of its kind.
    Case("apiVersion is a list", "all", "apiVersion is ['x'], and configs here are", "apiVersion: nvidia.com/v1alpha1", "apiVersion: [x]"),
    Case("kind is a list", "all", "holds 0 objects of kind DynamoGraphDeployment", "kind: DynamoGraphDeployment", "kind: [DynamoGraphDeployment]"),
    Case("metadata is a text", "all", "metadata.name is missing", "metadata:\n" + NAME, "metadata: abc\n"),
    Case("a document that is a list", "all", "a document has no kind", behind="---\n- a\n"),
    Case("an object without metadata", "all", "ConfigMap has no metadata", behind="---\napiVersion: v1\nkind: ConfigMap\n"),
    Case("a ConfigMap whose data are a list", "all", "data of ConfigMap is no mapping", behind="---\nkind: ConfigMap\nmetadata: {name: a}\ndata: [b]\n"),
    Case("services is a list", "all", "spec.services has no service", "  services:\n", "  services: []\n  others:\n"),
    Case("nothing in it", "all", "holds 0 objects of kind DynamoGraphDeployment (it is empty)", empty=True),
    Case("envs is a mapping", "kinds", "spec.envs: a mapping is refused", "spec:\n", "spec:\n  envs: {a: b}\n"),
    Case("a probe that asks a number", "kinds", "exec: 5 is refused",
         "        exec:\n          command: [sh, -c, \"curl", '        exec: 5\n        x:\n          command: [sh, -c, "curl'),
    Case("a service that is a number", "kinds", "Frontend2: 5 is refused", FRONT, "    Frontend2: 5\n" + FRONT),
    Case("an amount that no computer can write", "compose", "limits.memory is '1e99999999'",
         "      componentType: frontend\n", '      componentType: frontend\n      resources: {limits: {memory: "1e99999999"}}\n'),
    Case("replicas is a date", "kinds", "replicas: '2020-01-01' is refused", REPLICAS, "      replicas: 2020-01-01\n"),
    # Names, keys and paths.
    Case("a key that climbs", "compose", "the key '../../../../pwned'", behind=beside('"../../../../pwned": PWNED')),
    Case("a key that is absolute", "compose", "the key '/tmp/pwned'", behind=beside('"/tmp/pwned": PWNED')),
    Case("a ConfigMap named ..", "compose", "a ConfigMap is named '..'", behind=beside("pwned: PWNED", "..")),
    Case("a ConfigMap named .", "compose", "a ConfigMap is named '.'", behind=beside('"compose.yaml": PWNED', ".")),
    Case("a ConfigMap where a file of ours is", "only compose", "a ConfigMap is named 'compose.json'", behind=beside("a: b", "compose.json")),
    Case("a name that climbs", "kubernetes", "'../../pwned.yaml' is no name of a file below", new="  name: ../../pwned\n"),
    Case("a name that is absolute", "kubernetes", "'/tmp/pwned.yaml' is no name of a file below", new="  name: /tmp/pwned\n"),
    Case("a name like an option", "lint", "'--privileged' is refused as a name", new='  name: "--privileged"\n'),
    Case("a name that drives a terminal", "lint", r"'a\x1b]0;PWN\x07' is refused as a name", new='  name: "a\\x1b]0;PWN\\x07"\n'),
    Case("variables with = and a newline in their names", "lint", r"spec.envs[0].name: 'A\nB=C' is refused",
         "spec:\n", 'spec:\n  envs: [{name: "A\\nB=C", value: x}, {name: "", value: y}]\n'),
    Case("an image that is an option", "prepared", "'--privileged' is not an image reference", IMAGE, '"--privileged"'),
    Case("an image that is an option, and allowed", "allowed", "'--help' is not an image reference", IMAGE, '"--help"', behind="# allow image-name: trust me\n"),
    Case("an image with a variable", "prepared", "is not an image reference", IMAGE, '"x/${NGC_API_KEY}:y"'),
    Case("a folder with a colon", "compose", "'/y:ro' has a colon", MAIN, mounted("'/y:ro'", "emptyDir: {}")),
    Case("a folder of the host with a colon", "only compose", "'/etc:/x' has a colon", MAIN, mounted("/y", "hostPath: {path: '/etc:/x'}")),
    Case("a folder of the host that climbs", "lint", "'/a/../etc' is refused", MAIN, mounted("/y", "hostPath: {path: /a/../etc}")),
    Case("a billion processes", "only compose", "has 1000000998 processes, and Compose is one machine", REPLICAS, "      replicas: 500000499\n"),
    # Nothing is wrong with these, but each must stay what it is.
    Case("a byte order mark in front", "", "", "# One pool", "\ufeff# One pool"),
    Case("a folder named after a variable", "", "", WORKING_DIR, 'workingDir: "/${NGC_API_KEY}/$NGC_API_KEY"'),
    Case("arguments for a shell", "", "",
         "            - --model\n", '            - --served-model-name\n            - "$(touch PWNED)`id`${NGC_API_KEY}"\n            - --model\n'),
    Case("an argument of two lines", "", "", "            - --model\n", '            - "a\\nb: c"\n            - --model\n'),
    Case("a Secret beside it", "", "", behind="---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n"),
    Case("an octal number", "", "", REPLICAS, "      replicas: 0o17\n"),
]  # fmt: skip
WHERE = {  # which of validate (1: it has findings), render for Kubernetes, render for Compose, and up refuse it
    "all": (2, 2, 2),
    "prepared": (1, 2, 2),
    "allowed": (0, 2, 2),
    "kinds": (1, 2, 2),
    "kubernetes": (1, 2, 0),
    "compose": (1, 0, 2),
    "only compose": (0, 0, 2),
    "lint": (1, 0, 0),
    "": (0, 0, 0),
}


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_config_of_a_stranger_ends_in_a_sentence_and_reaches_nothing(case, verbs, root, tmp_path):
    work = tmp_path / "a" / "b" / "c"
    work.mkdir(parents=True)
    path = work / "config.yaml"
    path.write_bytes(case.data((root / "configs" / "vllm-agg.yaml").read_text()))
    here = {"folder": work, "NGC_API_KEY": SECRET, "NGC_ENGINE": "no-such-engine"}
    validate, kubernetes, compose = WHERE[case.refused]
    ran = []
    for code, *words in (
        (validate, "validate", "--config=./config.yaml"),
        (kubernetes, "render", "--config=./config.yaml", "--to=kubernetes", "--out=out-kubernetes"),
        (compose, "render", "--config=./config.yaml", "--to=compose", "--out=out-compose"),
        (2, "up", "--config=./config.yaml"),
    ):
        begun = time.monotonic()
        said = verbs(*words, **here)
        assert time.monotonic() - begun < 4, words  # 2 on a machine with nothing else to do
        text = said.out + said.err
        assert said.code == code, (words, text[-2000:])
        assert "Traceback" not in text and SECRET not in text and "\x1b" not in text
        if code:
            assert said.err.startswith("error: ") or words[0] == "validate"
            ran.append(text)
    assert any(case.said in text for text in ran)
    if case.refused:
        assert "no-such-engine" not in ran[-1]  # up has refused it before it asked anybody
    assert not [name for name in files(tmp_path) if "pwned" in name.lower()]
    written = [text.read_text() for folder in work.glob("out-*") for text in folder.rglob("*") if text.is_file()]
    assert not any(SECRET in text for text in written)
    outside = [name for name in files(tmp_path) if not name.startswith(("a/b/c/out-", "home/", "."))]
    assert outside == ["a/b/c/config.yaml"]


@pytest.mark.parametrize("field", ["workingDir", "hostPath", "mountPath", "command", "args", "env", "probe"])
def test_compose_fills_no_variable_into_what_a_config_says(field, verbs, root, tmp_path):
    """Compose reads $NAME in any text of its file; only secrets that the config asks for are references there."""
    variable = "$NGC_API_KEY ${NGC_API_KEY} $${NGC_API_KEY}".replace(" ", "/" if field.endswith("Path") else " ")
    edits = {
        "workingDir": (WORKING_DIR, f"workingDir: '/{variable}'"),
        "hostPath": (MAIN, mounted("/y", f"hostPath: {{path: '/{variable}'}}")),
        "mountPath": (MAIN, mounted(f"'/{variable}'", "emptyDir: {}")),
        "command": (WORKING_DIR, f"command: [sh, '{variable}']"),
        "args": ("            - --model\n", f"            - '{variable}'\n            - --model\n"),
        "env": ("spec:\n", f"spec:\n  envs: [{{name: A, value: '{variable}'}}]\n"),
        "probe": ('[sh, -c, "curl -fsS', f"[sh, '{variable}', \"curl -fsS"),
    }  # fmt: skip
    good = (root / "configs" / "vllm-agg.yaml").read_text()
    assert edits[field][0] in good
    (tmp_path / "config.yaml").write_text(good.replace(*edits[field], 1))
    said = verbs("render", "--config=./config.yaml", "--to=compose", folder=tmp_path, NGC_API_KEY=SECRET)
    assert said.code == 0, said.err
    lines = [line for line in said.out.splitlines() if "NGC_API_KEY" in line]
    assert lines
    assert all("$" not in line.replace("$$", "") for line in lines)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (BOMB, "more than 8,000 values"),
        ("[" * 5000, "more than 100 deep"),
        ("{a: !!python/name:os.system x}", "the tag !!python/name:os.system is none"),
        (f"{{a: {DIGITS}}}", "a number has 5000 digits"),
        ("a: b\n---\nc: d", "holds 2 documents"),
        ("{a: b, a: c}", "the key 'a' stands twice"),
    ],
    ids=lambda value: value[:20],
)
def test_a_setting_is_held_to_the_same_bounds(value, said, verbs):
    path = "spec.services.Frontend.extraPodSpec.mainContainer.startupProbe"
    begun = time.monotonic()
    found = verbs("validate", "--config=vllm-agg", f"--set={path}={value}", f"--set={path}={value}")
    assert (found.code, found.out) == (2, "")
    assert found.err.startswith(f"error: --set {path}=")
    assert said in found.err
    assert len(found.err) < 1000
    assert time.monotonic() - begun < 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "image.yaml:5: it has more than 100,000 values"),
        ("a: " + "[" * 5000, "image.yaml:1: lists and mappings stand more than 100 deep"),
        (f"a: {DIGITS}", "image.yaml:1: a number has 5000 digits"),
        ("a: &x [*x]", "image.yaml:1: the alias *x stands inside"),
    ],
    ids=["bomb", "deep", "digits", "itself"],
)
def test_the_tables_of_a_tree_are_held_to_bounds_too(text, said, tree):
    (tree.builds / "alpha" / "image.yaml").write_text(text)
    with pytest.raises(Wrong, match=re.escape(said)):
        tree.read()
    table = catalog.Catalog(tree.builds, ())
    (tree.builds / "releases.yaml").write_text(text)
    with pytest.raises(Wrong, match=re.escape(said.replace("image.yaml", "releases.yaml"))):
        bases.read_releases(table)


def test_releases_that_are_no_mapping_are_one_sentence(tree):
    (tree.builds / "releases.yaml").write_text("- a\n")
    with pytest.raises(Wrong, match=r"releases\.yaml:1: it holds no mapping"):
        bases.read_releases(catalog.Catalog(tree.builds, ()))


@pytest.mark.parametrize(
    "text",
    ["- a\n" * 2**20, "a: |\n" + " x\n" * 10**6, "\n" * 2**21, "#" * 2**21, "---\n" * 2**19, "- " * 2**20, '"' * 2**18, "? " * 2**19],
    ids=lambda text: repr(text[:8]),
)  # fmt: skip
def test_whatever_a_text_holds_it_is_read_or_refused_in_little_time_and_memory(text):
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        yamlfile.load_all(text, "a text")
    except Wrong as error:
        assert str(error).startswith("a text: ")
    assert time.monotonic() - begun < 4  # 1 on a machine with nothing else to do
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def test_an_engine_file_out_of_bounds_is_a_finding(verbs, root, tmp_path):
    text = (root / "configs" / "trtllm.yaml").read_text()
    inside = "".join(f"    {line}\n" for line in BOMB.splitlines())
    changed = re.sub(r"(?m)^  [\w.-]+\.yaml: \|\n", lambda key: key[0] + inside, text)
    assert changed != text
    (tmp_path / "config.yaml").write_text(changed)
    said = verbs("validate", "--config=./config.yaml", folder=tmp_path)
    assert said.code == 1
    assert "engine-file" in said.out


def test_two_renderings_into_one_folder_at_once_end_well(root, tmp_path):
    from ngc.deploy import prepare, render

    prepared = prepare.prepare(catalog.read(root), Config("trtllm", base="stand-in"))
    objects = render.render(prepared, render.COMPOSE)
    failed = []

    def write():
        try:
            for _ in range(20):
                render.write(prepared, objects, render.COMPOSE, tmp_path / "out")
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    found = files(tmp_path / "out")
    assert "compose.yaml" in found
    assert not [name for name in found if "staged" in name]


def test_a_file_that_lies_where_something_is_staged_is_not_written_to(verbs, tmp_path):
    """A link that somebody put there before would lead the text elsewhere."""
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    for name in (".compose.yaml.staged", ".compose.yaml.new", "compose.yaml"):
        (out / name).symlink_to(elsewhere)
    assert verbs("render", "--config=vllm-agg", "--to=compose", f"--out={out}").code == 0
    assert not elsewhere.exists()
    assert (out / "compose.yaml").is_file() and not (out / "compose.yaml").is_symlink()
