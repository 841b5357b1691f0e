"""What every verb shares: how it is declared, and how an error reaches the user."""

from __future__ import annotations

import errno
import functools
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from invoke.exceptions import Exit
from invoke.tasks import task

from ngc import output
from ngc.errors import Ended, Failed, Wrong

FRAMEWORK = "only this framework; may be repeated (default: all)"
TARGET = "only this target; may be repeated (default: all)"
BASE = "what to build on: ngc, stand-in, or an image reference with one --framework (default: ngc, or the variable NGC_BASE)"
BASE_OF_CONFIG = "what the built images stand on: ngc, stand-in, or an image reference (default: the config's own image, or the variable NGC_BASE)"
TAG = "tag of the images, replacing the whole tag (default: the base's version)"
PLAN = "print what would be done, and stop"
JSON = "print data for programs"


def verb(help: dict[str, str], iterable: Sequence[str] = (), **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Declare a verb: an Invoke task whose errors are one sentence on stderr and an exit code.

    0 done, 1 it failed, 2 asked wrongly, 130 interrupted (128 and the signal's number). What it prints cannot drive a terminal.
    """

    def declare(function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def guarded(*arguments: Any, **keywords: Any) -> Any:
            output.guard()
            _heed_signals()
            try:
                result = function(*arguments, **keywords)
                _flush()
            except (Wrong, Failed) as error:
                with suppress(OSError):
                    _flush()
                raise Exit(output.harmless(f"error: {error}"), code=error.code) from None
            except KeyboardInterrupt as error:
                with suppress(OSError):
                    _flush()
                raise Exit("interrupted", code=128 + getattr(error, "number", signal.SIGINT)) from None
            except BrokenPipeError:  # the reader has what it wanted (| head)
                _drop_stdout()
                raise Exit(code=1) from None
            except OSError as error:
                if error.errno not in _REMEDIES:
                    raise
                if error.filename is None:
                    _drop_stdout()
                where = error.filename or "the output"
                said = f"error: {where}: {error.strerror}; {_REMEDIES[error.errno]}"
                raise Exit(output.harmless(said), code=1) from None
            finally:
                output.unguard()
            return result

        declared: Any = task(guarded, help=help, iterable=list(iterable), auto_shortflags=False, **options)
        return declared

    return declare


def _heed_signals() -> None:
    """Let SIGTERM and SIGHUP end a verb as Ctrl-C does, unless whoever started us wanted them ignored (nohup)."""

    def end(number: int, _: object) -> None:
        raise Ended(number)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:
                signal.signal(number, end)


_REMEDIES = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some of your quota there",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "choose another place, or get the right to it",
    errno.EPERM: "choose another place, or get the right to it",
    errno.ENOTDIR: "choose another place",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def _flush() -> None:
    """Write what stdout holds, before stderr says how it ended. Raises OSError, once: what is left is dropped."""
    try:
        print(end="", flush=True)
    except OSError:
        _drop_stdout()
        raise


def _drop_stdout() -> None:
    """Let what stdout holds go nowhere, or Python fails once more at exit, in words of its own."""
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def one_of(flag: str, value: str, choices: Sequence[str]) -> str:
    """The value, if it is one of the choices. Raises Wrong."""
    if value not in choices:
        raise Wrong(f"{flag} is '{value}'; choose from: {', '.join(choices)}")
    return value


def number(flag: str, text: str, least: int, most: int = 999_999_999) -> int:
    """A whole number within bounds. Raises Wrong.

    A flag whose default is a number is parsed by Invoke, which ends in a traceback for what is none: declare a text, and ask here.
    """
    if not re.fullmatch(r"[0-9]{1,9}", str(text)) or not least <= int(text) <= most:
        raise Wrong(f"{flag} is '{text}'; write a number from {least} to {most}")
    return int(text)


def duration(flag: str, text: str) -> float:
    """Seconds of a time such as 90, 90s, 30m or 1h. Raises Wrong."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(text))
    if not match:
        raise Wrong(f"{flag} is '{text}'; write seconds, or a time such as 90s, 30m or 1h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]
