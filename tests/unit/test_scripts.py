"""The commands that people know from the old tree, run from their folders on the stand-in. Builds what is not built yet."""

import os
import re

import pytest
import sh

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1800)]


def run(script, *words, cwd, codes=(0,), **environment):
    return sh.env(
        str(script),  # by env, so that ./NAME is looked for in `cwd`
        *words,
        _cwd=str(cwd),
        _env={**os.environ, **environment},
        _ok_code=list(codes),
        _return_cmd=True,
        _err_to_out=False,
        _tty_out=False,
    )


def frameworks(root):
    return sorted(path.parent.name for path in (root / "ngc-builds").glob("*/image.yaml"))


def test_each_framework_builds_by_the_script_in_its_folder(root, engine):
    for name in frameworks(root):
        done = run(f"./build-{name}.sh", "runtime", "--base=stand-in", cwd=root / "ngc-builds" / name)
        assert f"dynamo-{name}-runtime:" in done.stdout.decode()


def test_the_script_of_a_framework_lists_its_targets_when_it_is_given_none(root):
    for name in frameworks(root):
        done = run(f"./build-{name}.sh", cwd=root / "ngc-builds" / name, codes=[2])
        assert "targets: benchmark dev runtime" in done.stderr.decode()


def test_a_copied_script_takes_its_framework_from_its_folder(root, tmp_path):
    texts = {(root / "ngc-builds" / name / f"build-{name}.sh").read_text() for name in frameworks(root)}
    assert len(texts) == 1, "one text serves all folders"
    text = texts.pop()
    assert not [name for name in frameworks(root) if name in text]


def test_build_all_and_test_all_work_from_the_folder_of_links_and_from_elsewhere(root, engine, tmp_path):
    done = run("./build-all.sh", "--base=stand-in", cwd=root / "ngc-builds" / "scripts")
    assert done.stdout.decode().count("up to date") >= 2
    done = run(
        root / "scripts" / "test-all.sh", "--base=stand-in", "-k", "version", cwd=tmp_path, NOXSESSION="test_vllm"
    )
    assert " passed" in done.stdout.decode()
    assert not re.search(r"\d+ failed", done.stdout.decode())


def test_a_dockerfile_builds_with_docker_alone(root, engine, unique):
    """House rule: no tool of ours is needed, on the BuildKit inside docker 20.10."""
    for name in frameworks(root):
        base = f"dynamo-stand-in-{name}:0.6.1"
        words = [
            "build",
            "-f",
            f"ngc-builds/{name}/Dockerfile.runtime",
            "--build-arg",
            f"BASE_IMAGE={base}",
            "-t",
            f"{unique}:1",
        ]
        docker = sh.Command(engine.client)
        docker(*words, "ngc-builds", _cwd=str(root), _env=engine.environment)
        docker("image", "rm", f"{unique}:1")


def test_a_child_without_its_parent_argument_fails_loudly(root, engine):
    name = frameworks(root)[0]
    with pytest.raises(sh.ErrorReturnCode, match="should not be blank"):
        sh.Command(engine.client)(
            "build", "-f", f"ngc-builds/{name}/Dockerfile.dev", "ngc-builds", _cwd=str(root), _env=engine.environment
        )
