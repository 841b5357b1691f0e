"""Rules about the words of command lines: of the workers' module and of dynamo.frontend. Source: the flags in the tree's tables."""

from __future__ import annotations

from collections.abc import Iterator

from ngc.deploy import serving
from ngc.deploy.commandline import Flag, Table, flags
from ngc.deploy.graph import Service
from ngc.deploy.rules.rule import ERROR, WARNING, Found, Subject, at, rule


def _each(subject: Subject) -> Iterator[tuple[Service, Table, Flag]]:
    for service in subject.graph.services:
        table = subject.table(service)
        if table is not None:
            for flag in flags(service):
                yield service, table, flag


@rule("unknown-flag", ERROR)
def unknown_flag(subject: Subject) -> Iterator[Found]:
    """A flag that the module does not know: the container ends at once, again and again."""
    for service, table, flag in _each(subject):
        if table.name(flag.head) is None and table.abbreviates(flag.head) is None:
            near = table.nearest(flag.head)
            fix = f"write {' or '.join(near)}" if near else "take it out"
            yield Found(flag.keys, f"dynamo.{service.module} has no flag {flag.head}: the container ends at once", fix)


@rule("flag-abbreviated", WARNING)
def flag_abbreviated(subject: Subject) -> Iterator[Found]:
    """A flag by its first letters: it works until another flag begins like it, and the operator does not see it."""
    for _, table, flag in _each(subject):
        if table.name(flag.head) is None and (full := table.abbreviates(flag.head)):
            what = f"{flag.head} is taken as {full} until another flag begins like it, and the operator does not see it"
            yield Found(flag.keys, what, f"write {full}")


@rule("refused-flag", ERROR)
def refused_flag(subject: Subject) -> Iterator[Found]:
    """A flag that this release does not take, for a reason that is known."""
    for _, table, flag in _each(subject):
        name = table.name(flag.head) or ""
        if name in table.refused:
            reason, _, fix = table.refused[name].rpartition("; ")
            yield Found(flag.keys, f"{flag.head}: {reason or fix}", fix if reason else "take it out")


@rule("flag-value", ERROR)
def flag_value(subject: Subject) -> Iterator[Found]:
    """A value outside of those that the flag takes: the container ends at once."""
    for _, table, flag in _each(subject):
        choices = table.choices.get(table.name(flag.head) or "")
        if choices and (not flag.values or flag.values[0] not in choices):
            value = f"'{flag.values[0]}'" if flag.values else "nothing"
            yield Found(
                flag.keys,
                f"{flag.head} is given {value}: the container ends at once",
                f"choose from: {', '.join(choices)}",
            )


@rule("flag-single", ERROR)
def flag_single(subject: Subject) -> Iterator[Found]:
    """Several values for a flag that takes a list, of which Dynamo takes one."""
    for service, table, flag in _each(subject):
        if table.name(flag.head) in table.single and len(flag.values) > 1:
            what = f"dynamo.{service.module} takes one value of {flag.head}, and here are {len(flag.values)}: it ends at once"
            yield Found(flag.keys, what, f"keep {flag.values[0]}")


@rule("flag-together", ERROR)
def flag_together(subject: Subject) -> Iterator[Found]:
    """A flag without another that it needs."""
    for service, table, flag in _each(subject):
        there = {table.name(other.head) for other in flags(service)}
        missing = [name for name in table.together.get(table.name(flag.head) or "", ()) if name not in there]
        if missing:
            yield Found(flag.keys, f"{flag.head} means nothing without {' and '.join(missing)}: the container ends at once",
                        f"add {' and '.join(missing)}, or take it out")  # fmt: skip


@rule("flag-not-separate", WARNING)
def flag_not_separate(subject: Subject) -> Iterator[Found]:
    """Parallelism by a short flag or by `--flag=value`: the operator reads only the long flag and a separate word, and takes it as unset."""
    kinds = ("tensor-parallel", "pipeline-parallel", "data-parallel")
    names = {subject.serving[kind] for kind in kinds if kind in subject.serving}
    for _, table, flag in _each(subject):
        name = table.name(flag.head)
        if name in names and (flag.joined or flag.head != name):
            value = flag.values[0] if flag.values else "N"
            what = f"the operator does not see {flag.head}{'=' if flag.joined else ' '}{value}: for it the parallelism is unset"
            yield Found(flag.keys, what, f'write {name} and "{value}" as separate words')


@rule("served-name", WARNING)
def served_name(subject: Subject) -> Iterator[Found]:
    """A model of Hugging Face served under another name: the frontend tries to download that name (dynamo#4748)."""
    aliases = subject.serving.get("aliases", {})
    for service in subject.workers:
        model, name = (
            serving.flag(service.words, subject.serving.get(key), aliases) for key in ("model", "served-name")
        )
        if model and name and name != model and not model.startswith(("/", ".", "$")):
            keys = next((f.keys for f in flags(service) if name in f.values), at(service))
            what = f"the model is {model} and served as {name}: the frontend looks for {name} at Hugging Face and finds no tokenizer"
            yield Found(keys, what, f"serve it as {model}, or name a folder that frontend and workers both mount")
