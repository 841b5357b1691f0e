"""Comments that silence rules: `# allow RULE[, RULE ...]: REASON`, anywhere in a config."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ngc import yamlfile

_COMMENT = re.compile(r"(?:^|(?<=\s))#+\s*allow\b(?P<rest>.*)", re.IGNORECASE)
_RULES = re.compile(r"\s+(?P<rules>[a-z0-9-]+(?:\s*,\s*[a-z0-9-]+)*)\s*(?::\s*(?P<reason>.*))?")


@dataclass(frozen=True)
class Allowance:
    """A comment that begins with the word allow. `rules` is empty where it is not written as one that silences. `line` from 1."""

    line: int
    rules: tuple[str, ...]
    reason: str
    text: str  # all that stands after the word


def read(text: str) -> list[Allowance]:
    """The allowances of a file's text: of its comments only, not of what looks like one inside a value."""
    found = []
    start = 0
    values: list[tuple[int, int]] | None = None
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if match := _COMMENT.search(line):
            if values is None:  # most files have no such comment, and are not scanned for it
                values = list(_values(text))
            at = start + match.start()
            if not any(begin <= at < end for begin, end in values):
                found.append(_read(number, match["rest"].strip("\r\n")))
        start += len(line)
    return found


def silenced(text: str) -> Mapping[str, str]:
    """The rules that a file switches off, each with the reason."""
    return {rule: allowance.reason for allowance in read(text) if allowance.reason for rule in allowance.rules}


def _read(number: int, rest: str) -> Allowance:
    match = _RULES.fullmatch(rest.rstrip())
    names = tuple(re.split(r"\s*,\s*", match["rules"])) if match else ()
    return Allowance(number, names, ((match["reason"] if match else "") or "").strip(), rest.strip())


def _values(text: str) -> Iterator[tuple[int, int]]:
    """Where the values of a YAML text stand: the first position of each, and the one after its last."""
    for token in yamlfile.scalars(text, "a config"):
        start, end = token.start_mark.index, token.end_mark.index
        # Behind the | or > of a text of several lines there may stand a comment.
        yield (text.find("\n", start) if token.style in ("|", ">") else start), end
