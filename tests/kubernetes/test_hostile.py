"""Wrong input and clusters that say no: one sentence, what was and was not changed, the exit code; and again, it finishes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ngc.deploy.cluster import kubectl

from .meeting import PATIENT, one_sentence, running, until

DEPLOY = ("deploy", "--config=vllm-agg", "--base=stand-in", "--allow-stand-in", "--to=kubernetes")


def nothing_there(namespace) -> bool:
    return not kubectl.get(namespace, "deployments,services,pods")


@pytest.fixture
def program(tmp_path) -> Path:
    """A folder that is put before PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def test_no_kubectl(verbs, cluster, program):
    python = program / "python3"
    python.symlink_to(sys.executable)
    said = verbs(*DEPLOY, PATH=str(program))
    assert (said.code, "there is no kubectl on PATH" in one_sentence(said)) == (2, True)


def test_a_kubectl_that_is_too_old(verbs, cluster, program):
    old = program / "kubectl"
    old.write_text('#!/bin/sh\necho \'{"clientVersion": {"gitVersion": "v1.24.17"}}\'\n')
    old.chmod(0o755)
    said = verbs(*DEPLOY, PATH=f"{program}{os.pathsep}{os.environ['PATH']}")
    assert (said.code, "kubectl is 1.24; 1.25 is the oldest" in one_sentence(said)) == (2, True)
    doctor = verbs("doctor", PATH=f"{program}{os.pathsep}{os.environ['PATH']}")
    assert "kubectl: kubectl is 1.24; 1.25 is the oldest" in doctor.out


def test_no_context(verbs, cluster, tmp_path):
    empty = tmp_path / "config"
    empty.write_text("apiVersion: v1\nkind: Config\n")
    said = verbs(*DEPLOY, KUBECONFIG=str(empty))
    assert (said.code, "kubectl knows no context" in one_sentence(said)) == (2, True)


def test_an_unknown_context_lists_the_contexts(verbs, cluster):
    said = verbs(*DEPLOY, "--context=nowhere")
    assert (said.code, f"unknown context 'nowhere'; choose from: {cluster.context}" in one_sentence(said)) == (2, True)


def test_one_of_several_contexts_must_be_named_and_the_file_stays_as_it_was(verbs, cluster, tmp_path):
    view = kubectl.ask(cluster, "config", "view", "--raw", "--flatten", "--output", "json").data
    view["contexts"].append({"name": "second", "context": view["contexts"][0]["context"]})
    file = tmp_path / "config"
    file.write_text(json.dumps(view))
    said = verbs(*DEPLOY, KUBECONFIG=str(file))
    assert said.code == 2
    assert f"there are {len(view['contexts'])} contexts; name one with --context" in one_sentence(said)
    assert file.read_text() == json.dumps(view)


def test_a_namespace_that_is_missing(verbs, cluster):
    said = verbs(*DEPLOY, f"--context={cluster.context}", "--namespace=ngc-test-not-there")
    assert said.code == 1
    assert "create namespace ngc-test-not-there" in said.err
    assert "nothing was changed" in one_sentence(said)


def test_a_stand_in_is_refused_unless_told(verbs, at, namespace):
    said = verbs(*(word for word in DEPLOY if word != "--allow-stand-in"), *at(namespace))
    assert (said.code, "serves nothing real; add --allow-stand-in" in one_sentence(said)) == (2, True)
    assert nothing_there(namespace)


def test_a_user_without_rights(verbs, at, namespace, viewer, images):
    view = json.loads(kubectl.ask(namespace, "config", "view", "--raw", "--output", "json").out)
    assert view
    context = re.search(r'current-context"?:\s*"?([\w.@/-]+)', Path(viewer).read_text())
    said = verbs(*DEPLOY, f"--context={context[1]}", f"--namespace={namespace.namespace}", KUBECONFIG=viewer)
    assert said.code == 1
    assert re.search(r"^fail +rights: ", said.err, re.M)
    assert "nothing was changed" in one_sentence(said)
    assert nothing_there(namespace)


def test_a_quota_that_is_used_up(verbs, at, namespace, images):
    kubectl.ask(namespace, "create", "quota", "none", "--hard=count/deployments.apps=1")
    said = verbs(*DEPLOY, *at(namespace), "--timeout=20")
    assert said.code == 1
    assert "quota is used up" in one_sentence(said)
    kubectl.ask(namespace, "delete", "quota", "none")
    again = verbs(*DEPLOY, *at(namespace))
    assert again.code == 0, again.err


def test_pods_that_no_node_has_room_for(verbs, at, namespace, images):
    said = verbs(*DEPLOY, *at(namespace), "--set=spec.services.VllmDecodeWorker.replicas=500")
    assert said.code == 1
    assert re.search(r"^fail +gpus: needs VllmDecodeWorker 500 x 1", said.err, re.M)
    assert "nothing was changed" in one_sentence(said)
    assert nothing_there(namespace)


def test_a_crash_loop_is_told_with_its_cause(verbs, at, namespace, images):
    """By a value that only the pod could know: one that the lint can read is refused before."""
    said = verbs(
        *DEPLOY, *at(namespace), PATIENT,
        "--set=spec.services.VllmDecodeWorker.extraPodSpec.mainContainer.args[+]=--max-model-len",
        "--set=spec.services.VllmDecodeWorker.extraPodSpec.mainContainer.args[+]=$(NOT_SET)",
    )  # fmt: skip
    assert said.code == 1
    assert "VllmDecodeWorker does not come up: its container ended" in one_sentence(said)
    assert "--max-model-len" in said.err
    again = verbs(*DEPLOY, *at(namespace))
    assert again.code == 0, again.err


def test_an_api_server_that_goes_away_while_applying(verbs, at, namespace, images, program):
    """A kubectl that loses the server at the first change, as one does whose server dies just then."""
    real = shutil.which("kubectl")
    broken = program / "kubectl"
    broken.write_text(
        f"""#!/bin/sh
case " $* " in
  *" --dry-run"*) ;;
  *" apply "*) echo "Unable to connect to the server: dial tcp: connection refused" >&2; exit 1 ;;
esac
exec {real} "$@"
"""
    )
    broken.chmod(0o755)
    said = verbs(*DEPLOY, *at(namespace), PATH=f"{program}{os.pathsep}{os.environ['PATH']}")
    assert said.code == 1
    last = one_sentence(said)
    assert "does not answer" in last
    assert "revision 1 may be applied in part; run the same command again, it goes on" in last
    again = verbs(*DEPLOY, *at(namespace))
    assert again.code == 0, again.err


class Line:
    """A TCP line to the API server that can be cut and joined again."""

    def __init__(self, server: str) -> None:
        where = urlsplit(server)
        self._to = (where.hostname, where.port or 443)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cut = threading.Event()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self.cut.is_set():
                    near.close()
                    continue
                far = socket.create_connection(self._to)
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    @staticmethod
    def _pump(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def away(self) -> None:
        self.cut.set()
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.away()
        self._listener.close()


@pytest.fixture
def line(cluster, tmp_path) -> Iterator[tuple[Line, str]]:
    """A line to the API server, and a kubeconfig that goes over it."""
    cable = Line(cluster.server)
    view = kubectl.ask(cluster, "config", "view", "--raw", "--minify", "--flatten", "--output", "json").data
    entry = view["clusters"][0]["cluster"]
    entry.setdefault("tls-server-name", urlsplit(cluster.server).hostname)
    entry["server"] = f"https://127.0.0.1:{cable.port}"
    file = tmp_path / "config"
    file.write_text(json.dumps(view))
    yield cable, str(file)
    cable.close()


def test_an_api_server_that_is_not_there(verbs, line, namespace):
    cable, config = line
    cable.away()
    said = verbs(*DEPLOY, f"--context={namespace.context}", f"--namespace={namespace.namespace}", KUBECONFIG=config)
    assert said.code == 1
    assert "does not answer" in said.err
    assert nothing_there(namespace)


def test_an_api_server_that_goes_away_while_waiting(verbs, at, line, namespace, images):
    cable, config = line
    with running(verbs, *DEPLOY, *at(namespace), KUBECONFIG=config) as child:
        until(child, "waiting until it serves")
        cable.away()
        until(child, "API server: does not answer")
        cable.cut.clear()
        rest = child.stderr.read()
        assert child.wait(120) == 0, rest


@pytest.mark.parametrize("at_line", ["context ", "waiting until it serves"])
def test_ctrl_c_says_what_was_changed_and_the_same_command_finishes(verbs, at, namespace, images, at_line):
    with running(verbs, *DEPLOY, *at(namespace)) as child:
        until(child, at_line)
        os.killpg(child.pid, signal.SIGINT)
        rest = child.stderr.read()
        assert child.wait(60) == 130, rest
    last = rest.strip().splitlines()[-1]
    assert "interrupted" in last
    assert "Traceback" not in rest
    if at_line.startswith("waiting"):
        assert "revision 1 is applied and stays; run the same command again to go on waiting" in last
    again = verbs(*DEPLOY, *at(namespace))
    assert again.code == 0, again.err


def test_a_deploy_that_is_killed_while_it_applies_finishes_next_time(verbs, at, namespace, images):
    with running(verbs, *DEPLOY, *at(namespace)) as child:
        until(child, "image: ")
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(30)
    again = verbs(*DEPLOY, *at(namespace))
    assert again.code == 0, again.err
    status = json.loads(verbs("status", "--json", *at(namespace)).out)
    assert (status["healthy"], status["revision"]) == (True, 1)
