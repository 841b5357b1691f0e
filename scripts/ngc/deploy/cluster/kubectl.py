"""Which cluster is meant, and every call of kubectl: context and namespace are on each, and the kubeconfig is never changed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ngc.errors import Failed, Wrong

PROGRAM = "kubectl"
OLDEST = (1, 25)  # the first whose --validate=strict asks the server
PROBE = (
    10.0  # seconds for the first question to a server; whether it may be asked does not matter, only that it answers
)
_PLATFORM = "install the Dynamo platform, or deploy plain objects with --to=kubernetes"
CALL = 30.0  # seconds for one call that does not wait


@dataclass(frozen=True)
class Cluster:
    """A namespace of a cluster, named outright."""

    context: str
    namespace: str
    server: str

    @property
    def words(self) -> tuple[str, ...]:
        """The beginning of every command line."""
        return (PROGRAM, "--context", self.context, "--namespace", self.namespace)

    def __str__(self) -> str:
        return f"context {self.context}, server {self.server}, namespace {self.namespace}"


@dataclass(frozen=True)
class Done:
    """What a call of kubectl ended with."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The output as JSON."""
        return json.loads(self.out)

    @property
    def forbidden(self) -> bool:
        return "(Forbidden)" in self.err or "is forbidden" in self.err


class Unreachable(Failed):
    """The API server does not answer: it may do so again."""


def choose(context: str | None, namespace: str | None) -> Cluster:
    """The cluster that is meant, which answers. A context that was not named and is not the only one: asks on a terminal.

    Raises Wrong for an unclear choice, Unreachable for a server that does not answer.
    """
    check_program()
    view = _view()
    contexts = {entry["name"]: entry.get("context") or {} for entry in view.get("contexts") or []}
    names = ", ".join(contexts)
    if not contexts:
        raise Wrong(
            "kubectl knows no context; set KUBECONFIG to a file that has one, or make one with `kubectl config set-context`"
        )
    if context is None:
        context = next(iter(contexts)) if len(contexts) == 1 else _ask(contexts, str(view.get("current-context") or ""))
    if context not in contexts:
        raise Wrong(f"unknown context '{context}'; choose from: {names}")
    servers = {entry["name"]: (entry.get("cluster") or {}).get("server", "") for entry in view.get("clusters") or []}
    chosen = contexts[context]
    name = namespace or chosen.get("namespace") or "default"
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name):
        raise Wrong(f"--namespace is '{name}'; write lower-case letters, digits and dashes, 63 at most")
    cluster = Cluster(context, name, servers.get(chosen.get("cluster"), "unknown"))
    call(cluster, "get", "--raw", "/version", f"--request-timeout={PROBE:.0f}s", timeout=PROBE)
    return cluster


def check_program() -> tuple[int, ...]:
    """kubectl's version. Raises Wrong where there is none, or one that is too old."""
    if shutil.which(PROGRAM) is None:
        raise Wrong("there is no kubectl on PATH; install it by kubernetes.io/docs/tasks/tools (1.25 or newer)")
    version = client_version()
    if version < OLDEST:
        raise Wrong(
            f"kubectl is {'.'.join(map(str, version))}; 1.25 is the oldest that lets the server check strictly: update it"
        )
    return version


def client_version() -> tuple[int, ...]:
    """kubectl's own version as numbers, () if it does not say one."""
    import sh

    try:
        text = str(sh.Command(PROGRAM)("version", "--client", "--output", "json", _tty_out=False))
    except sh.ErrorReturnCode as error:
        text = str(error.stdout)
    match = re.search(r'"gitVersion":\s*"v(\d+)\.(\d+)', text)
    return tuple(map(int, match.groups())) if match else ()


def _view() -> dict[str, Any]:
    import sh

    try:
        data = json.loads(str(sh.Command(PROGRAM)("config", "view", "--output", "json", _tty_out=False)))
    except sh.ErrorReturnCode as error:
        raise Wrong(f"kubectl cannot read its configuration: {_last(error.stderr.decode(errors='replace'))}") from None
    return data if isinstance(data, dict) else {}


def _ask(contexts: Sequence[str] | dict[str, Any], current: str) -> str:
    """Let a person say which cluster. Raises Wrong without a terminal: nothing is deployed to where one merely was last."""
    names = list(contexts)
    if not sys.stdin.isatty():
        raise Wrong(f"there are {len(names)} contexts; name one with --context: {', '.join(names)}")
    for number, name in enumerate(names, 1):
        print(f"{number:3}  {name}{'  (current)' if name == current else ''}", file=sys.stderr)
    print("which context? number or name: ", end="", file=sys.stderr, flush=True)
    said = sys.stdin.readline().strip()
    return names[int(said) - 1] if said.isdecimal() and 0 < int(said) <= len(names) else said


def call(cluster: Cluster, *words: str, text: str | None = None, timeout: float = CALL) -> Done:
    """Run kubectl; any exit code is an answer. Raises Unreachable when the API server does not answer."""
    command = (*cluster.words, *words)
    try:
        # Not by sh: its time limit costs 0.1 s a call, ten times as much as starting kubectl does.
        done = subprocess.run(
            command, input=text or "", capture_output=True, text=True, errors="replace", timeout=timeout
        )
    except subprocess.TimeoutExpired:
        raise _away(cluster, f"no answer within {timeout:.0f} s") from None
    made = Done(done.returncode, done.stdout, done.stderr)
    if made.code and (why := _unreachable(made.err)):
        raise _away(cluster, why)
    return made


def _away(cluster: Cluster, why: str) -> Unreachable:
    return Unreachable(
        f"the API server of context {cluster.context} does not answer at {cluster.server}: {why}; check the network and the context"
    )


def ask(cluster: Cluster, *words: str, text: str | None = None, timeout: float = CALL) -> Done:
    """As `call`, and a failure is raised as Failed with one sentence."""
    done = call(cluster, *words, text=text, timeout=timeout)
    if done.code:
        raise Failed(explain(cluster, done, words))
    return done


def get(cluster: Cluster, *words: str) -> list[dict[str, Any]]:
    """Objects of `kubectl get ... -o json`; [] where there are none, also for kinds that the cluster does not have."""
    done = call(cluster, "get", *words, "--ignore-not-found", "--output", "json")
    if done.code:
        if "the server doesn't have a resource type" in done.err or "NotFound" in done.err:
            return []
        raise Failed(explain(cluster, done, ("get", *words)))
    data = json.loads(done.out) if done.out.strip() else {}
    found = data.get("items", [data]) if data else []
    return list(found)


def explain(cluster: Cluster, done: Done, words: Sequence[str]) -> str:
    """One sentence for a failed call, with the fix where it is known."""
    text = _last(done.err or done.out)
    if done.forbidden:
        who = re.search(r'User "([^"]*)"', done.err)
        what = re.search(r'cannot (\w+) resource "([^"]*)"', done.err)
        may = f"{what[1]} {what[2]}" if what else f"run `kubectl {' '.join(words[:2])}`"
        return f"{who[1] if who else 'this user'} may not {may} in namespace {cluster.namespace}; ask for the right (docs/KUBERNETES.md lists them), or choose another --context"
    if re.search(r"Unauthorized|must be logged in|token has expired|credentials", done.err):
        return f"the cluster of context {cluster.context} does not accept this login; log in again"
    if missing := re.search(r'namespaces "([^"]+)" not found', done.err):
        return f"namespace {missing[1]} is not there; `kubectl --context {cluster.context} create namespace {missing[1]}` makes it"
    if missing := re.search(r'no matches for kind "([^"]+)"(?: in version "([^"]+)")?', done.err):
        kind = f"{missing[1]}{f' of {missing[2]}' if missing[2] else ''}"
        return f"the cluster has no {kind}: {_kind_from(missing[1])}"
    if failed := re.search(r"conversion webhook for ([^,\s]+), Kind=(\w+) failed: (.+)", done.err):
        return (
            f"the cluster keeps {failed[2]} in another version than {failed[1].rpartition('/')[2]}, and what converts it does not answer "
            f"({failed[3].strip()}): is the operator that brought the kind installed and running? Else {_PLATFORM}"
        )
    if failed := re.search(r'failed calling webhook "([^"]+)": (.+)', done.err):
        return f"the webhook {failed[1]} of the cluster does not answer ({failed[2].strip()}): is what it belongs to running? Ask who runs the cluster"
    return f"`kubectl {shlex.join(words)}` failed: {text}"


def _kind_from(kind: str) -> str:
    """What to do about a kind that a cluster lacks."""
    if kind == "PodMonitor":
        return "install the Prometheus operator, or use --metrics=annotations"
    return _PLATFORM if kind.startswith("Dynamo") else "install what brings it, or take it out of the config"


def _unreachable(err: str) -> str | None:
    # The server answers that a webhook of its does not.
    err = "\n".join(line for line in err.splitlines() if "webhook" not in line)
    match = re.search(
        r"connection refused|i/o timeout|no such host|connection reset by peer|TLS handshake timeout|network is unreachable|"
        r"no route to host|context deadline exceeded|Client\.Timeout exceeded|http2: client connection lost|EOF$|"
        r"the server is currently unable to handle the request|etcdserver: request timed out|apiserver not ready",
        err, re.M,
    )  # fmt: skip
    return match[0] if match else None


def _last(text: str) -> str:
    lines = [
        line.strip() for line in text.splitlines() if line.strip() and not line.startswith(("Warning:", "WARNING:"))
    ]
    return (lines[-1] if lines else "it said nothing").removeprefix("error: ").removeprefix("Error from server ")
