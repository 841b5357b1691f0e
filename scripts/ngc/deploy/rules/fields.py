"""Rules about fields and their kinds, by the CRD where DYNAMO_CRDS names one, else by our model; and about comments that silence rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ngc import yamlfile
from ngc.deploy import allowing, schema
from ngc.deploy import quantity as quantities
from ngc.deploy.paths import Keys
from ngc.deploy.rules.rule import ERROR, RULES, WARNING, Found, Subject, at, entries, get, in_main, rule


def _problems(name: str) -> Callable[[Subject], Iterator[Found]]:
    def look(subject: Subject) -> Iterator[Found]:
        for problem in subject.problems:
            if problem.rule == name:
                yield Found(problem.keys, problem.what, problem.fix)
        if name == schema.MISSING and subject.graph.data.get("apiVersion") is None:
            yield Found(
                ("apiVersion",),
                "apiVersion is missing; the API server refuses it",
                "add apiVersion: nvidia.com/v1alpha1",
            )

    return look


for _name, _about in (
    (schema.UNKNOWN, "A field that does not exist: refused under strict validation, else dropped without a word"),
    (schema.KINDS, "A value of another kind than the field takes, such as a number for gpu or text for replicas: the API server refuses it"),
    (schema.MISSING, "A required field that is missing: the API server refuses it"),
    (schema.VALUE, "A value outside of what the field takes: the API server refuses it"),
):  # fmt: skip
    _look = _problems(_name)
    _look.__doc__ = _about
    rule(_name, ERROR)(_look)


def _quantities(subject: Subject) -> Iterator[tuple[Keys, Any]]:
    """Every field that takes a quantity, but for numbers of GPUs, which have rules of their own."""
    for number, claim in enumerate(entries(subject.graph.spec.get("pvcs"))):
        yield ("spec", "pvcs", number, "size"), claim.get("size")
    for service in subject.graph.services:
        yield at(service, "sharedMemory", "size"), get(service.spec, "sharedMemory", "size")
        for kind in ("requests", "limits"):
            for place, data in ((at(service), service.spec), (in_main(service), service.main)):
                found = get(data, "resources", kind)
                more = get(found, "custom")
                for name, value in found.items() if isinstance(found, Mapping) else ():
                    yield (*place, "resources", kind, str(name)), None if name in ("custom", "gpu") else value
                for name, value in more.items() if isinstance(more, Mapping) else ():
                    yield (*place, "resources", kind, "custom", str(name)), value


@rule("quantity", ERROR)
def quantity(subject: Subject) -> Iterator[Found]:
    """A quantity that Kubernetes cannot read: the API server refuses it, or the graph stays pending."""
    refused = {problem.keys for problem in subject.problems}
    for keys, value in _quantities(subject):
        if not isinstance(value, (str, int, float)) or keys in refused:
            continue
        number = quantities.parse(str(value))
        if number is None or number < 0:
            sample = 'cores such as "2" or "500m"' if keys[-1] == "cpu" else "a size such as 8Gi or 512Mi"
            sample = 'a number such as "1"' if "/" in str(keys[-1]) else sample
            yield Found(keys, f"'{value}' is no quantity: it is refused, or the graph stays pending", f"write {sample}")


@rule("server", ERROR)
def server(_: Subject) -> Iterator[Found]:
    """The API server refused the object in a strict dry run (only with --context)."""
    yield from ()  # deploy.dryrun finds these


@rule("unknown-rule", WARNING)
def unknown_rule(subject: Subject) -> Iterator[Found]:
    """A comment allows a rule that does not exist: it silences nothing."""
    for comment in _comments(subject):
        for name in comment.rules if comment.reason else ():
            if name not in RULES:
                near = schema.nearest(name, sorted(RULES))
                fix = near if near.startswith("write ") else "docs/VALIDATE.md lists the rules"
                yield Found((), f"'allow {name}' silences nothing: there is no such rule", fix, comment.line)


@rule("no-reason", WARNING)
def no_reason(subject: Subject) -> Iterator[Found]:
    """A comment allows a rule and does not say why: it silences nothing."""
    for comment in _comments(subject):
        if not comment.reason and any(name in RULES for name in comment.rules):
            names = ", ".join(comment.rules)
            yield Found(
                (), f"'allow {names}' silences nothing without a reason", f"write # allow {names}: REASON", comment.line
            )


@rule("allow-unread", WARNING)
def allow_unread(subject: Subject) -> Iterator[Found]:
    """A comment that would allow a rule and is not written as such a comment is: it silences nothing."""
    for comment in _comments(subject):
        named = [word for word in re.findall(r"[a-z0-9-]+", comment.text) if word in RULES]
        if not comment.rules and (named or comment.text.startswith(":")):
            names = ", ".join(dict.fromkeys(named)) or "RULE"
            yield Found((), f"'allow{'' if comment.text.startswith(':') else ' '}{comment.text}' silences nothing as it is written",
                        f"write # allow {names}: REASON", comment.line)  # fmt: skip


def _comments(subject: Subject) -> list[allowing.Allowance]:
    """The comments of the file that allow something. A config that was changed by --set has those of its file."""
    return allowing.read(yamlfile.read(subject.graph.path, yamlfile.CONFIG))
