"""What every verb shares: how it is declared, and how an error reaches the user."""

from __future__ import annotations

import functools
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from invoke.exceptions import Exit
from invoke.tasks import task

from ngc.errors import Failed, Wrong

FRAMEWORK = "only this framework; may be repeated (default: all)"
TARGET = "only this target; may be repeated (default: all)"
BASE = "what to build on: ngc, stand-in, or an image reference with one --framework (default: ngc, or the variable NGC_BASE)"
TAG = "tag of the images, replacing the whole tag (default: the base's version)"
PLAN = "print what would be done, and stop"
JSON = "print data for programs"


def verb(help: dict[str, str], iterable: Sequence[str] = (), **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Declare a verb: an Invoke task whose errors are one sentence on stderr and an exit code.

    0 done, 1 it failed, 2 asked wrongly, 130 interrupted.
    """

    def declare(function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def guarded(*arguments: Any, **keywords: Any) -> Any:
            try:
                result = function(*arguments, **keywords)
            except (Wrong, Failed) as error:
                _flushed()
                raise Exit(f"error: {error}", code=error.code) from None
            except KeyboardInterrupt:
                _flushed()
                raise Exit("interrupted", code=130) from None
            except BrokenPipeError:
                _flushed()
                raise Exit(code=1) from None
            if not _flushed():
                raise Exit(code=1)
            return result

        declared: Any = task(guarded, help=help, iterable=list(iterable), auto_shortflags=False, **options)
        return declared

    return declare


def _flushed() -> bool:
    """Write out what is left of stdout; False, and nothing is said of it now or at the end, if its reader is gone (| head)."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return False
    return True


def one_of(flag: str, value: str, choices: Sequence[str]) -> str:
    """The value, if it is one of the choices. Raises Wrong."""
    if value not in choices:
        raise Wrong(f"{flag} is '{value}'; choose from: {', '.join(choices)}")
    return value


def duration(flag: str, text: str) -> float:
    """Seconds of a time such as 90, 90s, 30m or 1h. Raises Wrong."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(text))
    if not match:
        raise Wrong(f"{flag} is '{text}'; write seconds, or a time such as 90s, 30m or 1h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
