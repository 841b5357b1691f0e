"""What a run of the contract tests holds images to, gives their containers and says at its end; the tests themselves are in tests/images."""

import json
import sys
from xml.etree import ElementTree

import pytest
import sh

from ngc import engine, running, testing, testreport
from ngc.asked.images import Images
from ngc.engine import Engine, Found
from ngc.errors import Wrong
from ngc.testing import Subject

OURS = {"ngc-dynamo.name": "dynamo-alpha-dev", "ngc-dynamo.target": "dev"}


@pytest.fixture
def here(monkeypatch):
    """Let the engine have one image of these labels."""

    def have(name, labels):
        image = Found("sha256:1", labels, "", "linux/amd64", (), (name,), (), (), 1, "")
        monkeypatch.setattr(engine, "any_client", lambda: Engine("docker"))
        monkeypatch.setattr(engine, "images", lambda *_: {name: image})

    return have


@pytest.mark.parametrize(
    ("name", "labels", "target", "entry"),
    [
        ("old/custom:1", {}, "runtime", None),
        ("ours:1", {**OURS, testing.BASE_NAME_LABEL: "registry.invalid/test/alpha:1.0.0"}, "dev", "1.0.0"),
        ("registry.invalid/test/alpha:1.0.0", {}, "base", "1.0.0"),
        (
            "stand:1",
            {"ngc-dynamo.stand-in": "true", "ngc-dynamo.stands-for": "registry.invalid/test/alpha:1.0.0.post1"},
            "base",
            "1.0.0.post1",
        ),
    ],
)
def test_any_image_is_held_to_what_it_says_it_is(tree, here, name, labels, target, entry):
    here(name, labels)
    (subject,) = testing.given(tree.read(), Images(["alpha"]), name)
    assert (subject.target, subject.entry) == (target, entry)


def test_what_an_image_is_held_to_can_be_said(tree, here):
    here("old/custom:1", {})
    (subject,) = testing.given(
        tree.read(), Images(["alpha"], ["dev"], "registry.invalid/test/alpha:1.0.0"), "old/custom:1"
    )
    assert (subject.target, subject.entry) == ("dev", "1.0.0")
    assert testing.given(tree.read(), Images(["alpha"], ["base"]), "old/custom:1")[0].target == "base"


LIMITS = """\
Limit                     Soft Limit           Hard Limit           Units
Max stack size            8388608              unlimited            bytes
Max open files            1024                 20000                files
Max locked memory         8388608              8388608              bytes
"""


@pytest.mark.parametrize("process", ["17", "self"], ids=["docker", "podman"])
def test_limits_that_the_engine_cannot_give_are_left_out_and_said(tmp_path, monkeypatch, process):
    """Even root may lack the right to raise a limit; a container that asks for it does not start at all."""
    (tmp_path / process).mkdir()
    (tmp_path / process / "comm").write_text("dockerd\n")
    (tmp_path / process / "limits").write_text(LIMITS)
    (tmp_path / process / "status").write_text("CapEff:\t000001fffeffffff\n")
    client = Engine("docker") if process == "17" else Engine("podman", podman=True)
    most = running.hard_limits(client, tmp_path)
    assert most == {"Max open files": 20000, "Max locked memory": 8388608}
    monkeypatch.setattr(running, "hard_limits", lambda _: most)
    options = running.options(client, gpu=True)
    assert [word for word in options.words if "=" in word and "nvidia" not in word] == ["stack=67108864:67108864"]
    assert options.left_out == (
        "ulimit memlock=-1: this host allows 8388608 at most",
        "ulimit nofile=65536: this host allows 20000 at most",
    )


def test_an_engine_that_may_raise_limits_gives_all(tmp_path):
    (tmp_path / "17").mkdir()
    (tmp_path / "17" / "comm").write_text("dockerd\n")
    (tmp_path / "17" / "limits").write_text(LIMITS)
    (tmp_path / "17" / "status").write_text("CapEff:\t000001ffffffffff\n")
    assert running.hard_limits(Engine("docker"), tmp_path) == {}
    assert running.hard_limits(Engine("docker"), tmp_path / "nowhere") == {}


CONFTEST = """
import pytest
from ngc import testreport
from ngc.testing import Subject

SUBJECTS = [Subject("vllm", "runtime", "image:1", None, ENTRY)]

def pytest_addoption(parser):
    parser.addoption("--report-json")

def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(testreport.Plugin(SUBJECTS, config.getoption("--report-json")))

def pytest_collection_modifyitems(items):
    for item in items:
        item.user_properties += [("image", "image:1"), ("group", "common")]
        item.add_marker(pytest.mark.xdist_group("one"))
"""
TESTS = """
import pytest

def test_good(): pass
def test_bad(): assert 0
def test_lacking(): pytest.skip("no GPU")
@pytest.fixture
def late():
    yield
    raise RuntimeError
def test_bad_at_its_end(late): pass
def test_figure(request):
    request.node.user_properties += [("gigabytes", 7), ("note", "left out: memlock")]
"""


@pytest.fixture
def run(tmp_path, root):
    """Run tests of our own with the plugin; (exit code, output, our report)."""

    def call(tests, *words, entry="'1.0'"):
        (tmp_path / "conftest.py").write_text(CONFTEST.replace("ENTRY", entry))
        (tmp_path / "test_it.py").write_text(tests)
        done = sh.Command(sys.executable)(
            "-m", "pytest", "-c", "/dev/null", "--rootdir", str(tmp_path), "-p", "no:cacheprovider", "-rfE",
            "--report-json=deep/report.json", *words, str(tmp_path),
            _cwd=str(tmp_path), _env={"PYTHONPATH": str(root / "scripts"), "PATH": "/usr/bin:/bin"}, _ok_code=list(range(256)), _return_cmd=True,
            _tty_out=False,
        )  # fmt: skip
        return done.exit_code, done.stdout.decode(), json.loads((tmp_path / "deep" / "report.json").read_text())

    return call


@pytest.mark.parametrize("words", [(), ("-n", "2", "--dist", "loadgroup")])
def test_the_end_of_a_run_is_one_table_with_the_reasons_of_all_skips(run, words):
    code, out, report = run(TESTS, *words)
    assert code == 1
    lines = out.splitlines()
    assert "image:1  common       2       2        1" in lines
    assert "skipped (common 1): no GPU" in lines
    assert "left out: memlock" in lines
    assert " passed" in lines[-1]
    assert report["groups"] == [{"image": "image:1", "group": "common", "passed": 2, "failed": 2, "skipped": 1}]
    by_name = {test["id"].partition("::")[2].partition("@")[0]: test for test in report["tests"]}
    assert by_name["test_bad_at_its_end"]["outcome"] == "failed"
    assert {name: test["phase"] for name, test in by_name.items() if test["phase"]} == {
        "test_bad": "call",
        "test_bad_at_its_end": "teardown",
    }
    assert by_name["test_bad"]["reason"] == "assert 0"
    assert by_name["test_lacking"]["reason"] == "no GPU"
    assert by_name["test_figure"]["measured"]["gigabytes"] == 7
    assert report["executed"] is True


def test_what_images_say_drives_no_terminal_and_stands_escaped_in_junit(run, tmp_path):
    """A skip's reason, a failure, captured output and what a test measured may all hold text of an image."""
    tests = """
import pytest
SAID = "\\x1b]0;PWN\\x07<&\\u202e"
def test_bad(): print(SAID); pytest.fail(SAID)
def test_lacking(): pytest.skip(SAID + chr(10) + "forged")
def test_figure(request): request.node.user_properties += [("version", SAID), ("note", SAID)]
"""
    _, out, report = run(tests, f"--junitxml={tmp_path / 'junit.xml'}")
    shown = r"\x1b]0;PWN\x07<&\u202e"
    assert rf"skipped (common 1): {shown}\nforged" in out.splitlines()
    assert shown in out.splitlines()
    assert out.count(shown) >= 4
    assert set("\x1b\x07\u202e") & set(out + (tmp_path / "junit.xml").read_text()) == set()
    said = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert {(p.get("name"), p.get("value")) for p in said.iter("property")} >= {("version", shown)}
    assert next(said.iter("failure")).get("message") is not None
    assert [test["measured"] for test in report["tests"] if test["measured"]] == [{"version": shown}]


@pytest.mark.parametrize("tests", ["", "import pytest\ndef test_it(): pytest.skip('no GPU')\n"])
def test_a_run_that_executed_no_test_has_failed(run, tests):
    code, out, report = run(tests)
    assert code == 1
    assert testreport.NOTHING_RAN in out
    assert report["executed"] is False


def test_an_unknown_base_is_said_to_be_held_to_its_own_config_alone(run):
    _, out, report = run("def test_it(): pass", entry="None")
    sentence = "image:1: its base (not named) is not known to image.yaml; it was held to its own config alone"
    assert sentence in out.splitlines()
    assert report["notes"] == [sentence]


def test_nothing_is_said_of_a_known_base():
    assert testreport.Summary([Subject("vllm", "runtime", "image:1", None, "1.0")]).unknown() == []


def test_a_report_is_named_after_its_kind(tmp_path):
    options = testing.report_options([f"{tmp_path}/a.xml", f"{tmp_path}/b.json"])
    assert options == [f"--junitxml={tmp_path}/a.xml", f"--report-json={tmp_path}/b.json"]
    with pytest.raises(Wrong, match=r"ends in \.xml \(JUnit\) or \.json"):
        testing.report_options(["a.html"])
