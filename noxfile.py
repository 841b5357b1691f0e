"""The checks of this repository; `nox` alone runs lint, unit and every test_<framework>.

lint               ruff, mypy, shellcheck, hadolint, yamllint
unit               the code behind the verbs, on trees in temporary folders and on a real engine
test_<framework>   contract tests of the built images of a framework (never builds); -- --base=stand-in
tables             write the tables in README and docs anew
lock               make requirements.lock anew from pyproject.toml
bench              the measured comparisons (docs/BUILD.md keeps results)

Words after -- go to pytest, but for --base=..., which the image tests read.
"""

import sys
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "scripts"))

from ngc import catalog  # noqa: E402  # the path above makes it importable

# In this repository's own environment everything is installed already; any other nox makes an environment per session.
INSIDE = Path(sys.prefix) == ROOT / ".venv"
BACKEND = "none" if INSIDE else "venv"

TABLES = ("-m", "ngc.tables")

nox.options.reuse_venv = "yes"
nox.options.stop_on_first_error = False


def prepare(session: nox.Session) -> None:
    """Install the locked requirements, unless they are here."""
    if not INSIDE:
        session.install("--require-hashes", "--requirement", "requirements.lock")


def split_base(words: list[str]) -> tuple[list[str], list[str]]:
    """(--base options, the other words)."""
    chosen = [word for word in words if word.startswith("--base=")]
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
        name for name in files if Path(name).name.startswith("Dockerfile") and not name.endswith(".dockerignore")
    ]
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("shellcheck", "--external-sources", *shells)
    session.run("hadolint", *dockerfiles)
    session.run("yamllint", "--strict", ".")
    session.run("python", *TABLES, "--check", env={"PYTHONPATH": "scripts"})


@nox.session(venv_backend=BACKEND)
def unit(session: nox.Session) -> None:
    """The code behind the verbs."""
    prepare(session)
    session.run("pytest", "tests/unit", *split_base(session.posargs)[1])


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
def tables(session: nox.Session) -> None:
    """Write the tables in README and docs anew from the tree."""
    prepare(session)
    session.run("python", *TABLES, env={"PYTHONPATH": "scripts"})


@nox.session(venv_backend=BACKEND, default=False)
def lock(session: nox.Session) -> None:
    """Make requirements.lock anew: exact versions with hashes, for every Python from 3.10 on."""
    prepare(session)
    session.run(
        "uv", "pip", "compile", "pyproject.toml", "--group", "checks", "--universal", "--python-version", "3.10",
        "--generate-hashes", "--no-header", "--no-emit-index-url", "--no-emit-find-links", "--quiet", "--output-file", "requirements.lock",
    )  # fmt: skip
