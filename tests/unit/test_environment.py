"""What a shell has set, and what lies in its user's home, reaches no test."""

import os
import subprocess
import sys
from pathlib import Path

from ngc import files

from ..conftest import CALLER, CERTIFICATES, KEPT

SET = {
    "NGC_BASE": "stand-in",
    "NGC_CA": "/nowhere",
    "NGC_ENGINE": "/bin/false",
    "HTTPS_PROXY": "http://127.0.0.1:1",
    "DYNAMO_CRDS": "/nowhere",
    "DOCKER_CONFIG": "/nowhere",
    "KUBECONFIG": "/nowhere",
    "HF_TOKEN": "hf_caller",
    "XDG_CACHE_HOME": "/dev/null",
    "PYTHONUNBUFFERED": "1",
}


def test_only_what_says_where_things_are_is_left():
    own = {name for name in os.environ if not name.startswith("PYTEST_")}
    assert own <= {*KEPT, *CERTIFICATES, "HOME", "LANG"}
    assert Path.home() != Path(CALLER.get("HOME", "/"))
    assert files.state("tests").is_relative_to(Path.home())


def test_nothing_more_is_left_where_the_caller_has_set_all_there_is(root):
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "only_what_says", __file__]
    done = subprocess.run(words, cwd=root, env={**os.environ, **SET}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
