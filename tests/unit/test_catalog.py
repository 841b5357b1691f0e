import json
import sys

import fastjsonschema
import pytest

from ngc import catalog, imageyaml, listing
from ngc.errors import Wrong


def test_a_folder_with_an_image_yaml_is_a_framework_and_its_dockerfiles_are_images(tree):
    found = tree.read()
    assert [image.key for image in found.images] == ["alpha-runtime", "alpha-dev", "beta-runtime", "beta-dev"]
    assert found.framework("alpha").images[1].parent == "runtime"
    assert found.framework("alpha").images[0].budget == 1_000_000


def test_a_new_folder_adds_images_rows_and_sessions_with_no_python_change(tree, root, tmp_path):
    tree.add_framework("sglang")
    found = tree.read()
    assert [image.key for image in found.images if image.framework == "sglang"] == ["sglang-runtime", "sglang-dev"]
    rows = listing.rows(found, "stand-in")
    assert {"dynamo-sglang-runtime:1.0.0-stand-in", "dynamo-sglang-dev:1.0.0-stand-in"} <= {r["image"] for r in rows}
    # The real noxfile and the real modules over that tree.
    import sh

    for name in ("noxfile.py", "scripts"):
        (tree.root / name).symlink_to(root / name)
    listed = json.loads(str(sh.Command(sys.executable)("-c", NOX_NAMES, str(tree.root))))
    assert "test_sglang" in listed


def test_the_schema_that_editors_use_is_itself_valid_and_accepts_the_real_tables(root):
    schema = json.loads((root / "ngc-builds" / imageyaml.SCHEMA).read_text())
    fastjsonschema.compile(schema)
    assert catalog.read(root).images


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("budget: 1MB", "budget: lots", r"image\.yaml:4: budget is 'lots'; write a size such as 50MB or 1\.2GB"),
        ("layout: test-1.0.0", "layuot: x", r"image\.yaml:9: unknown key 'layuot'; choose from: reference, version"),
        ("purpose: for tests\n", "", r"image\.yaml:1: the file has no 'purpose'; add it"),
        ("stand-in: 1.0.0", "stand-in: 2.0.0", r"image\.yaml:2: '2\.0\.0' is not an entry of `bases` with a layout"),
        ("  dev: {", "  dve: {", r"image\.yaml:5: there is no Dockerfile\.dve beside it"),
        ("bases:", "bases: [", r"image\.yaml:\d+: .*; mend the YAML"),
        ("platforms: [linux/amd64]", "platforms: linux", r"image\.yaml:11: platforms is 'linux'; write a list of"),
    ],
)
def test_a_broken_image_yaml_is_named_with_file_line_and_what_was_expected(tree, old, new, said):
    path = tree.builds / "alpha" / "image.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(Wrong, match=said):
        tree.read()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "ARG BASE_IMAGE=a/b:1.0.0\nFROM ${BASE_IMAGE}\nRNU true\n",
            r"Dockerfile\.runtime:3: 'RNU' is not a Dockerfile",
        ),
        ("ARG BASE_IMAGE=a/b:1.0.0\n", "there is no FROM"),
        ("FROM a/b:1.0.0\n", "neither ARG BASE_IMAGE nor ARG PARENT_IMAGE"),
        ("ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n", "ARG BASE_IMAGE has no default"),
    ],
)
def test_a_dockerfile_that_cannot_be_used_is_named_with_its_fix(tree, text, said):
    (tree.builds / "alpha" / "Dockerfile.runtime").write_text(text)
    with pytest.raises(Wrong, match=said):
        tree.read()


def test_an_unknown_framework_or_target_lists_the_right_ones(tree):
    with pytest.raises(Wrong, match="unknown framework 'gamma'; choose from: alpha, beta"):
        tree.read().select(["gamma"])
    with pytest.raises(Wrong, match="unknown target 'prod'; choose from: runtime, dev"):
        tree.read().select([], ["prod"])


def test_an_empty_selection_repeats_the_filters(tree):
    (tree.builds / "alpha" / "Dockerfile.extra").write_text("ARG PARENT_IMAGE\nFROM ${PARENT_IMAGE}\n")
    with pytest.raises(Wrong, match="no image matches --framework beta --target extra"):
        tree.read().select(["beta"], ["extra"])


def test_parents_in_a_circle_are_refused(tree):
    folder = tree.builds / "alpha"
    (folder / "Dockerfile.extra").write_text("ARG PARENT_IMAGE\nFROM ${PARENT_IMAGE}\n")
    text = (folder / "image.yaml").read_text()
    text = text.replace("  dev: {", "  extra: {parent: dev}\n  dev: {parent: extra, ")
    (folder / "image.yaml").write_text(text)
    with pytest.raises(Wrong, match="form a circle"):
        tree.read()


def test_every_default_base_is_nvidias_and_known(root):
    for framework in catalog.read(root).frameworks:
        assert str(framework.default_base).startswith("nvcr.io/nvidia/ai-dynamo/")
        assert framework.known(framework.default_base) is not None


def test_the_frozen_base_says_what_it_lacks_and_what_to_take(root):
    (frozen,) = [b for f in catalog.read(root).frameworks for b in f.bases if "frozen" in (b.note or "")]
    assert "tensorrtllm-runtime:" in frozen.note
    assert frozen.lacks("nixl")
    assert not frozen.lacks("etcd")


NOX_NAMES = """
import json, sys
root = sys.argv[1]
sys.path.insert(0, root + "/scripts")
from pathlib import Path
from ngc import catalog
import functools
catalog.read = functools.partial(catalog.read, Path(root))
import runpy, nox.registry
runpy.run_path(root + "/noxfile.py")
print(json.dumps(list(nox.registry.get())))
"""


def test_every_entry_with_a_layout_has_a_stand_in_of_its_own(root):
    from ngc import bases, catalog

    for framework in catalog.read(root).frameworks:
        layouts = {base.key for base in framework.bases if base.layout}
        made = bases.stand_ins(framework)
        assert {base.key for base in made.values()} <= layouts
        assert all(name.startswith(f"dynamo-stand-in-{framework.name}:") for name in made)
        assert len(made) >= 4
