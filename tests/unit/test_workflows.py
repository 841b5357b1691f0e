"""The workflows for a user's own runners: pinned, with few rights, and made of commands that exist. actionlint is in lint."""

import os
import re
import shlex
import sys

import pytest
import sh
from invoke.parser import Parser
from markdown_it import MarkdownIt
from ruamel.yaml import YAML

from ngc import listing


@pytest.fixture(scope="module")
def workflows(root):
    """File name -> its data."""
    return {path.name: YAML(typ="safe").load(path) for path in sorted((root / ".github" / "workflows").glob("*.yml"))}


def commands(workflows):
    """(file, words) of every command in a run step that starts a script or a verb of ours."""
    for name, data in workflows.items():
        for job in data["jobs"].values():
            for step in job["steps"]:
                text = step.get("run", "").replace("\\\n", " ").replace("2>&1", "")
                for found in re.findall(r"(?:\.venv/bin/(?:invoke|nox)|scripts/[\w-]+\.sh)[^|;&)>\n]*", text):
                    yield name, shlex.split(re.sub(r"\$\{\w+:\+(.*?)\}", r"\1", found))


def test_the_four_workflows_are_there(workflows):
    assert set(workflows) == {"bump.yml", "checks.yml", "stand-in.yml", "gpu.yml"}


def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it(root):
    used = [
        line.strip().removeprefix("- ")
        for path in (root / ".github" / "workflows").glob("*.yml")
        for line in path.read_text().splitlines()
        if "uses:" in line
    ]
    assert used
    assert [line for line in used if not re.fullmatch(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


def test_no_workflow_may_more_than_read_but_the_job_that_opens_a_pull_request(workflows):
    assert [data["permissions"] for data in workflows.values()] == [{"contents": "read"}] * len(workflows)
    more = {
        (file, name) for file, data in workflows.items() for name, job in data["jobs"].items() if "permissions" in job
    }
    assert more == {("bump.yml", "propose")}
    rights = workflows["bump.yml"]["jobs"]["propose"]["permissions"]
    assert rights == {"contents": "write", "pull-requests": "write", "actions": "read"}


def test_the_job_that_may_write_runs_nothing_that_was_moved_and_has_no_secret(workflows):
    """What a newer base brings was run by a job without rights; this one takes its patch and its report."""
    job = workflows["bump.yml"]["jobs"]["propose"]
    assert "secrets." not in str(job)
    text = "\n".join(step.get("run", "") for step in job["steps"])
    assert not re.search(r"\.venv|scripts/|docker|python", text)
    assert "git apply --index bump/bump.patch" in text
    assert "gh pr create" in text
    assert "--body-file bump/report.md" in text


def test_what_is_newer_is_moved_to_rebuilt_tested_and_reported(workflows):
    said = [" ".join(words) for name, words in commands(workflows) if name == "bump.yml" and "venv.sh" not in words[0]]
    assert said == [
        ".venv/bin/invoke outdated --json",
        ".venv/bin/invoke outdated --framework=$FRAMEWORK",
        ".venv/bin/invoke bump --framework=$FRAMEWORK --to=$TO",
        ".venv/bin/nox -s tables golden",
        "scripts/build-all.sh --framework=$FRAMEWORK",
        ".venv/bin/invoke test --framework=$FRAMEWORK --report=reports/contract.xml --report=reports/contract.json",
    ]


def test_what_is_proposed_has_its_tables_and_golden_files(workflows):
    """Tables first: they write engine files into configs, which the golden files come from."""
    (move,) = [step["run"] for step in workflows["bump.yml"]["jobs"]["move"]["steps"] if step.get("name") == "Move"]
    steps = ("invoke bump", "nox -s tables golden", "git diff --binary >bump/bump.patch")
    assert [found for line in move.splitlines() for found in steps if found in line] == list(steps)


def test_no_checkout_leaves_its_token_behind(workflows):
    steps = [step for data in workflows.values() for job in data["jobs"].values() for step in job["steps"]]
    checkouts = [step for step in steps if "checkout" in step.get("uses", "")]
    assert checkouts
    assert {step["with"]["persist-credentials"] for step in checkouts} == {False}


def test_nothing_from_outside_is_pasted_into_a_script(workflows):
    """`${{ ... }}` in a script is replaced before the shell sees it: a name with quotes in it would run."""
    steps = [step for data in workflows.values() for job in data["jobs"].values() for step in job["steps"]]
    assert [step["run"] for step in steps if "${{" in step.get("run", "")] == []


def test_secrets_reach_only_the_steps_that_need_them(workflows):
    for data in workflows.values():
        for job in data["jobs"].values():
            assert "secrets." not in str(job.get("env", ""))
    assert "secrets." not in str([workflows["checks.yml"], workflows["stand-in.yml"]])


def test_a_login_is_the_jobs_own_and_goes_before_anything_that_was_built_runs(workflows):
    """Only its own steps see it; the runner's logins, which `push` needs, stay as they are."""
    own = {"DOCKER_CONFIG": "${{ runner.temp }}/docker-config"}
    seen = 0
    for data in workflows.values():
        for job in data["jobs"].values():
            steps = job["steps"]
            for number in [n for n, step in enumerate(steps) if "docker login" in step.get("run", "")]:
                seen += 1
                assert own.items() <= steps[number]["env"].items()
                last = next(n for n, step in enumerate(steps) if step.get("run") == 'rm -rf "$DOCKER_CONFIG"')
                assert (steps[last]["if"], steps[last]["env"]) == ("always()", own)
                assert own.items() <= steps[last - 1]["env"].items()
                assert not any("invoke test" in step.get("run", "") for step in steps[:last])
                assert not any("DOCKER_CONFIG" in str(step) for step in steps[last + 1 :])
            assert "docker logout" not in str(steps)
    assert seen == 2


def test_no_text_of_a_build_leaves_its_fence_in_the_report(workflows, tmp_path):
    (step,) = [
        step for step in workflows["bump.yml"]["jobs"]["move"]["steps"] if step.get("name") == "Write the report"
    ]
    said = "step 1\n```\n# forged <img src=x>\n`````` \n~~~\n\n@everyone"
    (tmp_path / "bump").mkdir()
    (tmp_path / "bump" / "build.txt").write_text(said)
    (tmp_path / "bump" / "moved.txt").write_text("long\n" * 10_000 + "x" * 100_000)
    environment = {"FRAMEWORK": "vllm", "TO": "1.0.0", "BUILD": "failure", "TEST": "", "GITHUB_STEP_SUMMARY": "summary"}
    sh.Command("bash")(
        "-eo", "pipefail", "-c", step["run"], _cwd=str(tmp_path), _env={**environment, "PATH": os.environ["PATH"]}
    )
    text = (tmp_path / "bump" / "report.md").read_text()
    tokens = MarkdownIt().parse(text)
    fences = [token.content for token in tokens if token.type == "fence"]
    assert fences[1:] == [f"{said}\n", "not run\n", "not run\n"]
    assert "forged" not in "".join(token.content for token in tokens if token.type == "inline")
    assert len(text) < 65536, "GitHub takes no longer text"
    assert (tmp_path / "bump" / "draft").exists()


def test_every_script_and_verb_of_a_workflow_exists(root, workflows):
    sys.path.insert(0, str(root))
    try:
        from tasks import namespace
    finally:
        sys.path.remove(str(root))
    seen = set()
    for _, words in commands(workflows):
        seen.add(words[0])
        if words[0].endswith("invoke"):
            Parser(contexts=namespace.to_contexts()).parse_argv(words[1:])
        elif words[0].startswith("scripts/"):
            assert (root / words[0]).is_file()
    assert seen >= {".venv/bin/invoke", ".venv/bin/nox", "scripts/build-all.sh", "scripts/test-all.sh"}


def test_the_stand_in_is_built_and_tested_by_the_readmes_two_commands(workflows):
    said = [shlex.join(words) for name, words in commands(workflows) if name == "stand-in.yml"]
    assert said == ["scripts/build-all.sh --setup --base=stand-in", "scripts/test-all.sh --base=stand-in"]


def test_without_the_secret_the_gpu_job_is_skipped_and_the_run_says_so(workflows):
    jobs = workflows["gpu.yml"]["jobs"]
    assert jobs["contract"]["if"] == "needs.images.outputs.ready == 'true'"
    (key,) = [step for step in jobs["images"]["steps"] if step.get("id") == "key"]
    assert "::notice::skipped: this repository has no secret NGC_API_KEY" in key["run"]


def test_the_gpu_matrix_has_what_the_list_has(tree, workflows):
    (list_step,) = [step for step in workflows["gpu.yml"]["jobs"]["images"]["steps"] if step.get("id") == "list"]
    (fields,) = re.findall(r"\{((?:\w+, )+\w+)\}", list_step["run"])
    assert set(fields.split(", ")) <= listing.rows(tree.read(), "ngc")[0].keys()


def test_a_broken_image_can_be_opened_for_it_is_kept_before_it_is_tested(workflows):
    names = [step.get("name", "") for step in workflows["gpu.yml"]["jobs"]["contract"]["steps"]]
    tested = names.index("Hold it to its contract, GPU tests included")
    assert names.index("Push before testing") < tested
    assert names.index("Keep the image") < tested
