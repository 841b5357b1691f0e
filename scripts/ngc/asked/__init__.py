"""What users ask for: every flag declared once, with name, default, kind, help and check, as a field of a frozen dataclass.

Below all modules that do what is asked. Invoke wants the flags of every verb for any of them, so they must be made quickly: without
methods that nobody calls (eq, repr), which Python compiles anew each time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import field
from typing import Any

from ngc.errors import Wrong

PLAN = "print what would be done, and stop"
JSON = "print data for programs"


def flag(help: str, default: Any = None, check: Callable[[str, str], Any] | None = None) -> Any:
    """A flag. Its kind is that of its default, a text's if None; a flag whose default is () may be repeated.

    `check` makes the value of the flag's name and what was typed, and that of the default; it raises Wrong.
    """
    value = default if check is None or default is None else check("the default", default)
    return field(default=value, metadata={"help": help, "typed": default, "check": check})


def argument(help: str) -> Any:
    """A word that must be given, by its place or by its name."""
    return field(metadata={"help": help})


def one_of(*choices: str) -> Callable[[str, str], str]:
    """The value, if it is one of the choices."""

    def check(name: str, text: str) -> str:
        if text not in choices:
            raise Wrong(f"{name} is '{text}'; choose from: {', '.join(choices)}")
        return text

    return check


def number(least: int, most: int = 999_999_999) -> Callable[[str, str], int]:
    """A whole number within bounds.

    A flag whose default is a number is parsed by Invoke, which ends in a traceback for what is none: declare a text.
    """

    def check(name: str, text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise Wrong(f"{name} is '{text}'; write a number from {least} to {most}")
        return int(text)

    return check


def duration(name: str, text: str) -> float:
    """Seconds of a time such as 90, 90s, 30m or 1h. Raises Wrong."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not match:
        raise Wrong(f"{name} is '{text}'; write seconds, or a time such as 90s, 30m or 1h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
