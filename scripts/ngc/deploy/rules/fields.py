"""Rules about fields and their kinds, by the CRD where DYNAMO_CRDS names one, else by our model; and about comments that silence rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from ngc.deploy import fields, schema
from ngc.deploy.graph import plain
from ngc.deploy.rules.rule import ERROR, RULES, WARNING, Found, Subject, rule

_ALLOW = re.compile(r"#\s*allow\s+(?P<rule>[a-z0-9-]+)\s*(?::|$)(?P<reason>.*)")


def _problems(name: str) -> Callable[[Subject], Iterator[Found]]:
    def look(subject: Subject) -> Iterator[Found]:
        data = subject.graph.data
        rules = schema.current(str(data.get("apiVersion"))) or fields.MODEL
        for problem in schema.problems(rules, plain(data)):
            if problem.rule == name:
                yield Found(problem.keys, problem.what, problem.fix)

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


@rule("server", ERROR)
def server(_: Subject) -> Iterator[Found]:
    """The API server refused the object in a strict dry run (only with --context)."""
    yield from ()  # deploy.dryrun finds these


@rule("unknown-rule", WARNING)
def unknown_rule(subject: Subject) -> Iterator[Found]:
    """A comment allows a rule that does not exist: it silences nothing."""
    for number, name, reason in _comments(subject):
        if reason and name not in RULES:
            near = schema.nearest(name, sorted(RULES))
            fix = near if near.startswith("write ") else "docs/VALIDATE.md lists the rules"
            yield Found((), f"'allow {name}' silences nothing: there is no such rule", fix, number)


@rule("no-reason", WARNING)
def no_reason(subject: Subject) -> Iterator[Found]:
    """A comment allows a rule and does not say why: it silences nothing."""
    for number, name, reason in _comments(subject):
        if not reason and name in RULES:
            yield Found(
                (), f"'allow {name}' silences nothing without a reason", f"write # allow {name}: REASON", number
            )


def _comments(subject: Subject) -> Iterator[tuple[int, str, str]]:
    """(line, rule, reason) of each comment that allows something."""
    for number, line in enumerate(subject.graph.path.read_text().splitlines(), 1):
        if match := _ALLOW.search(line):
            yield number, match["rule"], match["reason"].strip()
