"""Rules about the words of command lines: of the workers' module and of dynamo.frontend. Source: the flags in the tree's tables."""

from __future__ import annotations

from collections.abc import Iterator

from ngc.deploy import serving
from ngc.deploy.commandline import Flag, Table, flags
from ngc.deploy.graph import Service
from ngc.deploy.rules import values
from ngc.deploy.rules.rule import ERROR, WARNING, Found, Subject, at, rule, variable


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
        if table.complete and table.name(flag.head) is None and table.abbreviates(flag.head) is None:
            near = table.nearest(flag.head)
            fix = f"write {' or '.join(near)}" if near else "take it out"
            yield Found(flag.keys, f"dynamo.{service.module} has no flag {flag.head}: the container ends at once", fix)


@rule("flag-abbreviated", WARNING)
def flag_abbreviated(subject: Subject) -> Iterator[Found]:
    """A flag by its first letters: it works until another flag begins like it, and the operator does not see it."""
    for _, table, flag in _each(subject):
        if table.complete and table.name(flag.head) is None and (full := table.abbreviates(flag.head)):
            what = f"{flag.head} is taken as {full} until another flag begins like it, and the operator does not see it"
            yield Found(flag.keys, what, f"write {full}")


@rule("refused-flag", ERROR)
def refused_flag(subject: Subject) -> Iterator[Found]:
    """A flag that this release does not take, or that means nothing in a container, for a reason that is known."""
    for _, table, flag in _each(subject):
        name = table.name(flag.head) or ""
        if name in table.refused:
            reason, _, fix = table.refused[name].rpartition("; ")
            yield Found(flag.keys, f"{flag.head}: {reason or fix}", fix if reason else "take it out")


@rule("flag-value", ERROR)
def flag_value(subject: Subject) -> Iterator[Found]:
    """A value that the flag does not take, none where it needs one, or one where it takes none: the container ends at once."""
    off = subject.serving.get("connector-off", {})
    for _, table, flag in _each(subject):
        name = table.name(flag.head) or table.abbreviates(flag.head) or ""
        if name in table.refused or "." in flag.head:  # --x.key=value is one field of a JSON value
            continue
        fix = _fix(table, name, flag)
        if name == off.get("flag") and len(flag.values) > 1 and not flag.shell:
            alone = next((value for value in flag.values if value.lower() in off["values"]), None)
            fix = f"{alone} stands alone: take it or the others out" if alone and not fix else fix
        if fix:
            given = " ".join(flag.values[:1] if flag.shell else flag.values)
            said = f"'{given}'" if flag.values else "nothing"
            yield Found(flag.keys, f"{flag.head} is given {said}: the container ends at once", fix)


def _fix(table: Table, name: str, flag: Flag) -> str | None:
    """What to write in place of a flag's values, None for good ones."""
    kind = table.kinds.get(name, "text" if name in table.choices else "")
    # In a shell's text other words may follow that are no values.
    given = (
        flag.values[: int(flag.joined or kind != "switch")]
        if flag.shell and kind not in ("list", "some")
        else flag.values
    )
    empty = name in table.optional and name not in table.choices and given[:1] in (("",), ("None",))
    return values.fix(kind, given, table.choices.get(name, ())) if kind and not empty else None


@rule("variable-value", ERROR)
def variable_value(subject: Subject) -> Iterator[Found]:
    """A variable that stands for a flag, with a value that the flag does not take: the container ends at once, or the default is taken without a word."""
    for service in subject.graph.services:
        table = subject.table(service)
        for name, flag in (table.variables if table else {}).items():
            said = variable(subject.graph, service, name)
            choices = table.choices.get(flag, ()) if table else ()
            given = table is not None and any(table.name(other.head) == flag for other in flags(service))
            if table is None or said is None or (choices and given):
                continue
            if fix := values.fix(table.kinds.get(flag, "text"), [said[0]], choices):
                outcome = (
                    f"it is no {flag}, and the default is taken without a word"
                    if choices
                    else "the container ends at once"
                )
                yield Found(said[1], f"{name} is '{said[0]}': {outcome}", fix)


@rule("flag-below", ERROR)
def flag_below(subject: Subject) -> Iterator[Found]:
    """Two flags of a range, the lower not below the upper: the container ends at once."""
    for service in subject.graph.services:
        table = subject.table(service)
        for name, upper in (table.below if table else {}).items():
            least, most = (
                _number(service, name, upper["defaults"][0]),
                _number(service, upper["flag"], upper["defaults"][1]),
            )
            keys = next((f.keys for f in flags(service) if f.head in (name, upper["flag"])), None)
            if keys and least is not None and most is not None and least >= most:
                what = f"{name} is {least} and {upper['flag']} is {most}: the container ends at once"
                yield Found(keys, what, f"write {upper['flag']} above {name}, both where only one is given")


def _number(service: Service, name: str, default: int) -> int | None:
    """The number that a flag is given; None where it is none, which flag-value says."""
    value = serving.flag(service.words, name, {})
    return default if value is None else int(value) if value.isdecimal() else None


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
