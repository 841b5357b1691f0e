"""bump: files moved to another release in place, with nothing else changed, and nothing done that was asked wrongly."""

import os
import re

import pytest
from invoke.exceptions import Exit
from ruamel.yaml import YAML

from ngc import bump, catalog
from ngc import engine as engines
from ngc.asked.images import Bump
from ngc.errors import Failed, Wrong
from ngc.reference import parse
from ngc.verbs.follow import bump as verb

from .fronting import Front, serving
from .releasing import TRTLLM, VLLM, OldTree, fill, old_tree, push_release, release

TEAM = "nvcr.io/nvidia/ai-dynamo"


@pytest.fixture(scope="module")
def filled(registry):
    """A registry with the repositories of both frameworks; some images are those of their release."""
    fill(registry, "vllm-runtime", VLLM)
    fill(registry, "tensorrtllm-runtime", TRTLLM)
    for name in ("vllm-runtime", "tensorrtllm-runtime"):
        for version in ("0.7.0", "1.3.0"):
            both = {architecture: release(version, architecture) for architecture in ("amd64", "arm64")}
            push_release(registry, f"nvidia/ai-dynamo/{name}", [version], both)
    return registry


@pytest.fixture(autouse=True)
def fresh_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def checkout(root, tmp_path, filled):
    """A tree on 0.6.1.post1, in a git repository of its own."""
    made = OldTree(old_tree(root, tmp_path / "tree"), filled)
    made.git("init", "--quiet")
    made.commit()
    return made


def comments(text):
    return sorted(re.findall(r"#.*", text))


def test_dockerfile_image_yaml_and_configs_name_the_new_release(checkout):
    plan = checkout.bump("vllm", "0.7.0")
    framework = checkout.read().framework("vllm")
    assert str(framework.default_base) == f"{TEAM}/vllm-runtime:0.7.0"
    assert framework.known(framework.default_base).platforms == ("linux/amd64", "linux/arm64")
    assert {str(change.path.relative_to(checkout.root)).partition("/")[0] for change in plan.changes} == {
        "ngc-builds",
        "configs",
    }
    for path in (checkout.root / "configs").glob("vllm*.yaml"):
        images = set(re.findall(r"image: (\S+)", path.read_text()))
        assert images == {f"{TEAM}/vllm-runtime:0.7.0"}, path
    assert "trtllm" not in str([change.path for change in plan.changes]).replace(str(checkout.root), "")


def test_no_comment_is_lost_and_no_line_is_touched_that_does_not_change(checkout):
    before = {
        path: path.read_text() for path in checkout.root.rglob("*") if path.is_file() and ".git" not in path.parts
    }
    checkout.bump("vllm", "1.3.0")
    for path, old in before.items():
        new = path.read_text()
        added = set(comments(new)) - set(comments(old))
        assert not set(comments(old)) - set(comments(new)), path
        assert not added or path.name == "image.yaml"
        kept = [line for line in old.splitlines() if line in new.splitlines()]
        gone = set(old.splitlines()) - set(kept)
        assert all(
            re.search(r"BASE_IMAGE|image:|workingDir|--is-prefill|--is-decode|stand-in:", line) for line in gone
        ), gone


def test_every_file_can_still_be_read_and_says_what_it_said(checkout):
    before = {
        path.name: list(YAML(typ="safe").load_all(path)) for path in (checkout.root / "configs").glob("vllm*.yaml")
    }
    checkout.bump("vllm", "1.3.0")
    checkout.read()
    for name, old in before.items():
        new = list(YAML(typ="safe").load_all(checkout.root / "configs" / name))
        assert len(new) == len(old)
        assert [d.get("metadata") for d in new] == [d.get("metadata") for d in old]


def test_each_release_on_the_way_gives_its_moves_in_order(checkout):
    plan = checkout.bump("vllm", "1.3.0")
    text = checkout.text("configs/vllm-disagg.yaml")
    assert "components/backends" not in text
    assert "--is-prefill-worker" not in text
    services = YAML(typ="safe").load(text)["spec"]["services"]
    args = {key: service["extraPodSpec"]["mainContainer"].get("args", []) for key, service in services.items()}
    nixl = '{"kv_connector":"NixlConnector","kv_role":"kv_both"}'
    assert args["PrefillWorker"][-4:] == ["--disaggregation-mode", "prefill", "--kv-transfer-config", nixl]
    assert args["DecodeWorker"][-4:] == ["--disaggregation-mode", "decode", "--kv-transfer-config", nixl]
    (change,) = [change for change in plan.changes if change.path.name == "vllm-disagg.yaml"]
    order = [line.partition(":")[0] for line in change.said if re.match(r"\d", line)]
    assert order == sorted(order)


def test_two_steps_end_where_one_does(checkout, tmp_path):
    """But for the entry that each step leaves in image.yaml."""
    checkout.bump("vllm", "0.7.0")
    checkout.bump("vllm", "1.3.0")
    one = {path.name: path.read_text() for path in (checkout.root / "configs").glob("*.yaml")}
    checkout.git("checkout", "--quiet", ".")
    checkout.bump("vllm", "1.3.0")
    assert {path.name: path.read_text() for path in (checkout.root / "configs").glob("*.yaml")} == one


def test_a_second_run_finds_nothing_to_do(checkout, capsys, monkeypatch):
    checkout.bump("vllm", "1.3.0", pin=True)
    assert checkout.plan("vllm", "1.3.0", pin=True).changes == ()
    assert checkout.plan("vllm", "1.3.0").changes == ()  # the pin of the same tag stays
    run(checkout, monkeypatch, "vllm", "1.3.0")
    assert "nothing to do: vllm is at nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.3.0@sha256:" in capsys.readouterr().out


def test_a_pin_is_tag_and_digest_on_one_line(checkout):
    checkout.bump("vllm", "0.7.0", pin=True)
    (line,) = [
        line for line in checkout.text("ngc-builds/vllm/Dockerfile.runtime").splitlines() if "BASE_IMAGE=" in line
    ]
    image = parse(line.partition("=")[2])
    assert image.tag == "0.7.0"
    both = {name: release("0.7.0", name) for name in ("amd64", "arm64")}
    assert image.digest == push_release(checkout.mirror, "nvidia/ai-dynamo/vllm-runtime", ["0.7.0"], both)
    assert checkout.read().framework("vllm").known(image) is not None
    checkout.bump("vllm", "1.3.0")
    assert "vllm-runtime:1.3.0\n" in checkout.text("ngc-builds/vllm/Dockerfile.runtime")  # a digest is of one tag


@pytest.mark.engine
def test_a_pinned_base_is_found_in_the_engine_once_it_is_pulled(checkout, engine):
    """Engines list such an image by its digest, without the tag."""
    digest = checkout.plan("vllm", "0.7.0", pin=True).image.digest
    name = f"{checkout.mirror}/nvidia/ai-dynamo/vllm-runtime:0.7.0@{digest}"
    try:
        engines.ask(engine, "pull", name)
        assert list(engines.images(engine, [name])) == [name]
        assert engines.images(engine, [name.replace("0.7.0", "0.7.1")]).keys() != set()  # the digest is what counts
    finally:
        engines.ask(engine, "image", "rm", name.replace(":0.7.0@", "@"), fails=False)


def test_a_frozen_repository_is_left_for_its_successor(checkout):
    plan = checkout.bump("trtllm", "0.7.0")
    framework = checkout.read().framework("trtllm")
    assert str(framework.default_base) == f"{TEAM}/tensorrtllm-runtime:0.7.0"
    assert "- 0.7.0: CUDA 13.0; it needs driver 580 or newer" in bump.text(plan)
    assert f"{TEAM}/tensorrtllm-runtime:0.7.0" in checkout.text("configs/trtllm.yaml")
    assert "--disaggregation-mode" in checkout.text("configs/trtllm.yaml")  # its flags did not move


def test_what_a_person_must_look_at_is_listed(checkout):
    text = bump.text(checkout.plan("vllm", "1.3.0")).partition("Look at:")[2]
    assert "- 1.3.0: CUDA 13.0 after 12.8; it needs driver 580 or newer" in text
    assert "- 0.7.0: the image's user is `dynamo`" in text
    assert "- 1.3.0: there is no venv and no /usr/local/ucx" in text
    assert "libnixl is loaded by LD_PRELOAD" not in text  # of the other framework
    assert "1.4.0" not in text
    assert "- this repository was not checked with vllm-runtime:1.3.0: build it and hold it to its contract" in text


def test_what_is_stale_after_a_move_is_listed_with_the_command_for_it(checkout):
    assert "README.md, docs/ and tests/golden: `nox -s tables golden` " in bump.text(checkout.bump("vllm", "0.7.0"))
    assert checkout.plan("vllm", "0.7.0").look == ()  # nothing moved, so nothing is stale


def test_an_entry_says_what_the_registry_says(checkout):
    checkout.bump("vllm", "1.3.0")
    entry = checkout.read().framework("vllm").known(parse(f"{TEAM}/vllm-runtime:1.3.0"))
    assert (entry.key, entry.user, entry.checked) == ("1.3.0", "dynamo", "not at all")


def test_the_stand_in_follows_where_its_layout_is_known(checkout):
    file = checkout.root / "ngc-builds" / "vllm" / "image.yaml"
    extra = (
        f"  0.7.0:\n    reference: {TEAM}/vllm-runtime:0.7.0\n    layout: vllm-0.7.0\n    checked: stand-in layout\n"
    )
    file.write_text(file.read_text() + extra)
    plan = checkout.bump("vllm", "0.7.1")
    assert checkout.read().framework("vllm").stand_in.key == "0.7.0"
    assert "stand-in 0.6.1 -> 0.7.0" in bump.text(plan)


def test_without_a_layout_the_stand_in_stays_and_that_is_said(checkout):
    plan = checkout.bump("vllm", "0.7.0.post2")
    assert checkout.read().framework("vllm").stand_in.key == "0.6.1"
    assert "the stand-in stays at 0.6.1: ngc-builds/stand-in has no layout for 0.7.0.post2" in bump.text(plan)


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("latest", r"--to is 'latest'; write a release such as 1\.6\.2"),
        ("0.6.0", r"vllm stands on 0\.6\.1\.post1, and 0\.6\.0 is older; bump does not go back"),
        ("9.0.0", r"release 9\.0\.0 is not in releases\.yaml.*it knows 0\.6\.0, .*1\.6\.2"),
        ("0.8.1-cuda13", r"vllm-runtime:0\.8\.1-cuda13 is known to be broken: the container does not start"),
        ("0.8.1.post2", r"has no tag 0\.8\.1\.post2; newer than what is here it has 0\.7\.0, .*1\.6\.2"),
    ],
)
def test_what_is_asked_wrongly_is_refused_with_what_there_is(checkout, to, said):
    before = {path: path.read_bytes() for path in checkout.root.rglob("*.yaml")}
    with pytest.raises(Wrong, match=said):
        checkout.plan("vllm", to)
    assert {path: path.read_bytes() for path in checkout.root.rglob("*.yaml")} == before


def test_a_config_that_is_newer_is_not_taken_back(checkout):
    file = checkout.root / "configs" / "vllm-disagg.yaml"
    file.write_text(file.read_text().replace("vllm-runtime:0.6.1.post1", "vllm-runtime:1.0.0"))
    with pytest.raises(
        Wrong, match=r"vllm-disagg\.yaml: Frontend is at 1\.0\.0, newer than 0\.7\.0; bump does not go back"
    ):
        checkout.plan("vllm", "0.7.0")


def run(checkout, monkeypatch, framework, to, **flags):
    read = catalog.read
    monkeypatch.setattr(catalog, "read", lambda root=checkout.root: read(root))
    verb.body(None, framework=framework, to=to, mirror=checkout.mirror, **flags)


def test_a_file_that_was_edited_by_hand_is_left_alone_unless_forced(checkout, monkeypatch, capsys):
    file = checkout.root / "ngc-builds" / "vllm" / "Dockerfile.runtime"
    file.write_text(file.read_text() + "# mine\n")
    before = checkout.git("diff")
    with pytest.raises(Exit) as refused:
        run(checkout, monkeypatch, "vllm", "0.7.0")
    assert refused.value.code == 2
    assert "ngc-builds/vllm/Dockerfile.runtime has changes that are not committed" in refused.value.message
    assert checkout.git("diff") == before
    run(checkout, monkeypatch, "vllm", "0.7.0", force=True)
    assert file.read_text().startswith(f"ARG BASE_IMAGE={TEAM}/vllm-runtime:0.7.0\n")
    assert file.read_text().endswith("# mine\n")


def test_edits_in_files_that_do_not_change_do_not_matter(checkout, monkeypatch, capsys):
    file = checkout.root / "ngc-builds" / "vllm" / "Dockerfile.dev"
    file.write_text(file.read_text() + "# mine\n")
    run(checkout, monkeypatch, "vllm", "0.7.0")
    assert "ngc-builds/vllm/Dockerfile.runtime" in capsys.readouterr().out


def test_the_plan_is_a_diff_that_git_applies_and_changes_nothing(checkout, monkeypatch, capsys, tmp_path):
    run(checkout, monkeypatch, "vllm", "1.3.0", plan=True)
    said = capsys.readouterr()
    assert checkout.git("status", "--porcelain") == ""
    assert "Look at:" in said.err
    (tmp_path / "x.diff").write_text(said.out)
    checkout.git("apply", str(tmp_path / "x.diff"))
    assert checkout.plan("vllm", "1.3.0").changes == ()


def test_the_verb_needs_to_know_what_and_where_to(checkout):
    with pytest.raises(Exit) as ended:
        verb.body(None)
    assert ended.value.code == 2
    assert "add --framework=NAME and --to=RELEASE" in ended.value.message


def test_a_registry_that_has_no_time_leaves_its_last_tags(checkout, capsys):
    with serving(Front(checkout.mirror)) as front:
        bump.make(checkout.read(), Bump("vllm", "0.7.0", mirror=front.host))
        front.status = 429
        plan = bump.make(checkout.read(), Bump("vllm", "0.7.0", mirror=front.host))
        assert "this is its answer of" in capsys.readouterr().err
        assert plan.changes
        with pytest.raises(Failed, match=r"answered 429 .* --pin needs its digest; try again later"):
            bump.make(checkout.read(), Bump("vllm", "0.7.0", pin=True, mirror=front.host))


def test_all_files_are_changed_or_none(checkout, monkeypatch):
    before = {
        path: path.read_bytes() for path in checkout.root.rglob("*") if path.is_file() and ".git" not in path.parts
    }
    plan, write = checkout.plan("vllm", "1.3.0"), os.open
    count = iter(range(2))

    def full(path, flags, *more):
        if flags & os.O_EXCL and next(count, None) is None:
            raise OSError(28, "no space left")
        return write(path, flags, *more)

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OSError, match="no space left"):
        bump.apply(plan)
    assert {p: p.read_bytes() for p in checkout.root.rglob("*") if p.is_file() and ".git" not in p.parts} == before
