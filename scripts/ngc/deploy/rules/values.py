"""What a flag's or a variable's value must be. The kinds that the tree's tables name:

switch        no value at all
text          any one word
int, float    a number; `int 1+` from 1 on, `int 0-65535` from 0 to 65535
size          a whole number, also as 8k or 1.5M
list, some    words, of which there may be none, or must be one
json          a JSON mapping, or an empty word; `json or text`: one, where the word begins like one
endpoint      a.b.c; `address`: the same with or without dyn:// in front, or an empty word
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence

_NUMBER = re.compile(r"(?P<type>int|float)(?: (?P<least>\d+)(?:\+|-(?P<most>\d+)))?")
_WORD = r"[A-Za-z_]\w*"


def fix(kind: str, values: Sequence[str], choices: Sequence[str] = ()) -> str | None:
    """What to write in place of a flag's values; None for good ones, and for what a shell or Kubernetes fills in."""
    if any("$" in value or "`" in value for value in values):
        return None
    if kind == "switch":
        return "write it without a value" if values else None
    if kind == "some":  # an engine's list; its choices may be joined by commas
        return None if values else f"write {wanted(kind)}"
    if kind == "list":
        good = not choices or all(value in choices or value.lower() in choices for value in values)
    elif len(values) > 1:
        return f"keep {values[0]}"
    else:
        good = bool(values) and _fits(kind, values[0], choices)
    return None if good else f"choose from: {', '.join(choices)}" if choices else f"write {wanted(kind)}"


def _fits(kind: str, value: str, choices: Sequence[str]) -> bool:
    if choices:
        return value in choices
    if match := _NUMBER.fullmatch(kind):
        number = _parsed(int if match["type"] == "int" else float, value)
        least, most = (float(match[end]) if match[end] else None for end in ("least", "most"))
        return number is not None and (least is None or number >= least) and (most is None or number <= most)
    if kind == "size":
        return re.fullmatch(r"[-+]?[\d_]+|[\d.]+[kmgtKMGT]", value) is not None
    if kind in ("json", "json or text"):
        return _is_mapping(value) if kind == "json" else value[:1] != "{" or _is_mapping(value)
    if kind == "endpoint":
        return re.fullmatch(rf"{_WORD}\.{_WORD}\.{_WORD}", value) is not None
    return kind != "address" or not value or len(value.removeprefix("dyn://").split(".")) == 3


def _parsed(of: Callable[[str], float], value: str) -> float | None:
    try:
        return of(value)
    except ValueError:
        return None


def _is_mapping(value: str) -> bool:
    try:
        return not value or isinstance(json.loads(value), dict)
    except json.JSONDecodeError:
        return False


def wanted(kind: str) -> str:
    """A kind, in a sentence."""
    if match := _NUMBER.fullmatch(kind):
        name = "a whole number" if match["type"] == "int" else "a number"
        if match["most"]:
            return f"{name} from {match['least']} to {match['most']}"
        return f"{name}, {match['least']} or more" if match["least"] else name
    return {
        "size": "a whole number, or one such as 8k",
        "json": 'a JSON mapping such as {"name": 1}',
        "json or text": 'a JSON mapping such as {"name": 1}',
        "endpoint": "namespace.component.endpoint, such as dynamo.backend.generate",
        "address": "dyn://namespace.component.endpoint",
    }.get(kind, "a value behind it")
