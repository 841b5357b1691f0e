"""What a check of a cluster says, and what a question to it came back with: an answer, nothing there, or not for this login."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from ngc.deploy.cluster import kubectl
from ngc.deploy.cluster.kubectl import Cluster

PASS, WARN, FAIL, UNKNOWN = "pass", "warn", "fail", "unknown"
LIMIT = "--request-timeout=20s"  # of each question: a cluster that is away is said to be so, not waited for
AT_ONCE = 8  # calls of kubectl
T = TypeVar("T")


@dataclass(frozen=True)
class Check:
    """One line of a preflight.

    `state`: pass; warn, it may work; fail, it would not; unknown, it cannot be told from here. `fix` is a command, or a change of the config.
    """

    name: str
    state: str
    detail: str
    fix: str = ""


@dataclass(frozen=True)
class Answer:
    """`out` is what kubectl printed; None where it was not told, and `why` says in words why not, `fix` what would change that."""

    out: str | None
    missing: bool = False  # the thing asked for by name is not there
    why: str = ""
    fix: str = ""

    @property
    def rows(self) -> list[list[str]]:
        """Lines as columns."""
        return [line.split("\t") for line in (self.out or "").splitlines() if line.strip()]


def ask(cluster: Cluster, *words: str, text: str | None = None) -> Answer:
    """Ask one thing. What kubectl printed is never part of `why`: it may hold a secret. Raises Unreachable."""
    done = kubectl.call(cluster, *words, LIMIT, text=text)
    if done.code == 0:
        return Answer(done.out)
    if done.forbidden:
        return _forbidden(cluster, done.err, words)
    if "NotFound" in done.err or "the server doesn't have a resource type" in done.err:
        return Answer(None, missing=True, why="it is not there")
    lines = [line.strip() for line in done.err.splitlines() if line.strip() and not line.startswith("Warning:")]
    return Answer(
        None, why=f"`kubectl {words[0]}` said: {lines[-1] if lines else f'nothing, and ended with {done.code}'}"
    )


def together(tasks: Mapping[str, Callable[[], T]]) -> dict[str, T]:
    """Do what does not depend on each other side by side; the first failure is raised."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        started = {name: pool.submit(task) for name, task in tasks.items()}
        return {name: future.result() for name, future in started.items()}


def not_told(name: str, answer: Answer, then: str) -> Check:
    """The check of a question that got no answer. `then` is what is therefore not known."""
    return Check(name, WARN, f"{answer.why}: {then}", answer.fix)


def columns(*fields: str) -> str:
    """The output option for a list: a line for each object, columns between tabs. A field that is a mapping is written as JSON."""
    inside = '{"\\t"}'.join(f"{{{field}}}" if not field.startswith("{") else field for field in fields)
    return f'--output=jsonpath={{range .items[*]}}{inside}{{"\\n"}}{{end}}'


def values(text: str) -> Iterator[Any]:
    """The JSON values of a column, of which there may be none or several."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        yield value
        while at < len(text) and text[at] == " ":
            at += 1


def mapping(text: str) -> dict[str, Any]:
    """A column that is one mapping, {} where it is empty."""
    return next((value for value in values(text) if isinstance(value, dict)), {})


def grant(cluster: Cluster, user: str, verbs: str, resources: str, wide: bool, role: str | None = None) -> str:
    """The command by which somebody who may gives a user the right to do something, here or in every namespace."""
    role = role or _name(f"{verbs}-{resources}")
    place = () if wide else ("--namespace", cluster.namespace)
    words, prefix = ("kubectl", "--context", cluster.context, *place, "create"), "cluster" if wide else ""
    made = (*words, f"{prefix}role", role, f"--verb={verbs}", f"--resource={resources}")
    bound = (*words, f"{prefix}rolebinding", _name(f"{role}-{user}"), f"--{prefix}role={role}", f"--user={user}")
    return f"{shlex.join(made)} && {shlex.join(bound)}"


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:60].strip("-")


def command(cluster: Cluster, *words: str) -> str:
    """A kubectl command for people, with context and namespace."""
    return shlex.join([*cluster.words, *words])


def _forbidden(cluster: Cluster, err: str, words: tuple[str, ...]) -> Answer:
    match = re.search(r'User "([^"]*)" cannot (\w+) resource "([^"]*)" in API group "([^"]*)"(.*)', err)
    if not match:
        return Answer(None, why=f"this login may not run `kubectl {' '.join(words[:2])}`")
    user, verb, resource, group, where = match.groups()
    wide = "at the cluster scope" in where
    place = "in all namespaces" if wide and "--all-namespaces" in words else ""
    what = f"{resource}.{group}" if group else resource
    why = " ".join(filter(None, (f"this login ({user}) may not {verb} {resource}", place)))
    return Answer(None, why=why, fix=grant(cluster, user, verb, what, wide))
