"""The flags in a service's command line, each with its values and its place in the file."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

from ngc.deploy.graph import Service
from ngc.deploy.paths import Keys

_MODULE = re.compile(r"dynamo\.\w+")
_FLAG = re.compile(r"--?[A-Za-z]")
_SHELL = re.compile(r"[0-9]?[<>|&;].*")  # what ends a program's words in a shell's text
# The engine-flags file's names of kinds, in the words of rules.values.
_ENGINE_KINDS = {"human_int": "size", "bool": "switch", "store_true": "switch", "str": "text", "json": "json or text"}


@dataclass(frozen=True)
class Flag:
    """A flag as it is written. `head` is without the value of `--flag=value`; `values` are the words up to the next flag."""

    head: str
    joined: bool  # --flag=value
    values: tuple[str, ...]
    keys: Keys
    shell: bool = False  # in a shell's text, where other commands may follow


@dataclass(frozen=True)
class Table:
    """What a module's command line takes: `flags` of its own and `engine` ones, with their short names, and what is known of some."""

    flags: Collection[str]
    engine: Collection[str] = ()
    complete: bool = True  # False: it takes others too, and which is not known
    aliases: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)  # what a flag's value must be, as rules.values knows it
    optional: Collection[str] = ()  # flags of an engine, which may be given None or nothing as a value
    choices: Mapping[str, list[str]] = field(default_factory=dict)
    below: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # a flag's number: less than {flag}'s
    variables: Mapping[str, str] = field(default_factory=dict)  # of the environment, that stand for a flag
    together: Mapping[str, list[str]] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    single: Collection[str] = ()

    def name(self, head: str) -> str | None:
        """The flag's own name; None for a flag that is not known, or known only by its first letters."""
        head = self.aliases.get(head, head)
        if head in self.flags or head in self.refused or head in self.kinds:
            return head
        if not self.engine:
            return None
        # An engine's parser also takes underscores, --no-x, and --x.key for a field of a JSON value.
        plain = head.partition(".")[0].replace("_", "-")
        for name in (plain, plain.replace("--no-", "--", 1)):
            if name in self.engine or name in self.flags:
                return name
        return None

    def abbreviates(self, head: str) -> str | None:
        """The one flag that begins like this: Python's argparse takes it."""
        found = [name for name in {*self.flags, *self.engine} if head.startswith("--") and name.startswith(head)]
        return found[0] if len(found) == 1 else None

    def nearest(self, head: str) -> list[str]:
        known = sorted({*self.flags, *self.engine, *self.aliases})
        return get_close_matches(head, known, 3, 0.8) or get_close_matches(head, known, 3)


def table(data: Mapping[str, Any], engine: str = "") -> Table:
    """A table from `serving` of image.yaml or from frontend.yaml. `engine`: the text of the engine-flags file."""
    rows = [line.split("\t") for line in engine.splitlines() if line and not line.startswith("#")]
    names = [row[0].split() for row in rows]
    kinds = {
        row[0].split()[0]: _ENGINE_KINDS.get(row[1], "some" if row[1].startswith("list:") else row[1]) for row in rows
    }
    choices = {row[0].split()[0]: [str(each) for each in json.loads(row[3])] for row in rows if row[3] != "null"}
    sizes = {data[key]: "int 1+" for key in ("tensor-parallel", "pipeline-parallel", "data-parallel") if key in data}
    return Table(
        flags=frozenset(data.get("flags", ())),
        engine=frozenset(kinds),
        complete="flags" in data,
        aliases={**{alias: first for first, *more in names for alias in more}, **data.get("aliases", {})},
        kinds={**kinds, **sizes, **data.get("flags", {})},
        optional=frozenset(kinds.keys() - sizes.keys()),
        choices={**choices, **data.get("choices", {})},
        below=data.get("below", {}),
        variables=data.get("variables", {}),
        together=data.get("together", {}),
        refused=data.get("refused", {}),
        single=frozenset(data.get("single", ())),
    )


def words(service: Service) -> list[tuple[str, Keys]]:
    """The words of a service's command line and where each stands; those of a shell's text all stand where the text does."""
    main = ("spec", "services", service.key, "extraPodSpec", "mainContainer")
    places: list[Keys] = [(*main, "command", number) for number in range(len(service.command))]
    places += [(*main, "args", number) for number in range(len(service.args))]
    found = service.words
    if found == (*service.command, *service.args):
        return list(zip(found, places, strict=True))
    return [(word, places[-1] if places else main) for word in found]


def flags(service: Service) -> list[Flag]:
    """The flags that the service's module is given."""
    found = words(service)
    start = next((n + 1 for n, (word, _) in enumerate(found) if _MODULE.fullmatch(word)), len(found))
    end = next((n for n, (word, _) in enumerate(found) if n >= start and _SHELL.fullmatch(word)), len(found))
    return list(_flags(found[start:end], service.words != (*service.command, *service.args)))


def _flags(found: list[tuple[str, Keys]], shell: bool) -> Iterator[Flag]:
    starts = [number for number, (word, _) in enumerate(found) if _FLAG.match(word)]
    for start, end in pairwise([*starts, len(found)]):
        word, keys = found[start]
        head, equals, value = word.partition("=")
        rest = tuple(word for word, _ in found[start + 1 : end])
        yield Flag(head, bool(equals), ((value, *rest) if equals else rest), keys, shell)
