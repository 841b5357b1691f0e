"""However a removal or a rollback ends, it says what was changed, and the same command goes on."""

from __future__ import annotations

import os
import shutil
import signal

import pytest

from .meeting import PATIENT, one_sentence, running, until

DEPLOY = ("deploy", "--config=vllm-agg", "--base=stand-in", "--allow-stand-in", "--to=kubernetes", PATIENT)


def test_an_api_server_that_goes_away_while_removing(verbs, at, namespace, images, tmp_path):
    """It says that something may be gone, and the same command removes the rest."""
    assert verbs(*DEPLOY, *at(namespace)).code == 0
    broken = tmp_path / "kubectl"
    broken.write_text(
        f"""#!/bin/sh
case " $* " in
  *" delete "*) echo "Unable to connect to the server: dial tcp: connection refused" >&2; exit 1 ;;
esac
exec {shutil.which("kubectl")} "$@"
"""
    )
    broken.chmod(0o755)
    said = verbs("undeploy", *at(namespace), PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert said.code == 1
    last = one_sentence(said)
    assert "does not answer" in last
    assert "vllm-agg may be removed in part; run the same command again to wait for the rest" in last
    again = verbs("undeploy", *at(namespace))
    assert again.code == 0, again.err


@pytest.mark.parametrize("verb", ["rollback", "undeploy"])
def test_ctrl_c_at_the_start_says_that_nothing_was_changed(verbs, at, namespace, verb):
    with running(verbs, verb, *at(namespace)) as child:
        until(child, "context ")
        os.killpg(child.pid, signal.SIGINT)
        rest = child.stderr.read()
        assert child.wait(60) == 130, rest
    assert rest.strip().splitlines()[-1] == "error: interrupted: nothing was changed"
