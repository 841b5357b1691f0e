"""What every verb shares: how it takes its flags, and how an error reaches the user."""

from __future__ import annotations

import errno
import functools
import inspect
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, TypeVar

from invoke.exceptions import Exit
from invoke.tasks import task

from ngc.errors import Ended, Failed, Wrong

T = TypeVar("T")


def verb(asked: type[T]) -> Callable[[Callable[[T], None]], Any]:
    """Declare a verb: an Invoke task that takes the flags of a dataclass, and whose errors are one sentence on stderr and an exit code.

    0 done, 1 it failed, 2 asked wrongly, 130 interrupted (128 and the signal's number). What it prints cannot drive a terminal.
    """
    known = [each for each in fields(asked) if each.metadata]  # type: ignore[arg-type]

    def declare(body: Callable[[T], None]) -> Any:
        @functools.wraps(body)
        def call(_: Any, **given: Any) -> None:
            from ngc import output

            output.guard()
            _heed_signals()
            try:
                body(asked(**{each.name: _value(each, given[each.name]) for each in known if each.name in given}))
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

        # Invoke reads names, defaults and kinds from a signature.
        signature = [inspect.Parameter("c", inspect.Parameter.POSITIONAL_ONLY), *map(_parameter, known)]
        call.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
        texts = {each.name: each.metadata["help"] for each in known}
        repeated = [each.name for each in known if each.metadata.get("typed") == ()]
        declared: Any = task(call, help=texts, iterable=repeated, auto_shortflags=False)
        return declared

    return declare


def _parameter(flag: Field[Any]) -> inspect.Parameter:
    """A flag as Invoke takes it, with its default as it would be typed; what has none is a word by its place."""
    typed = inspect.Parameter.empty if flag.default is MISSING else flag.metadata["typed"]
    return inspect.Parameter(flag.name, inspect.Parameter.KEYWORD_ONLY, default=None if typed == () else typed)


def _value(flag: Field[Any], typed: Any) -> Any:
    """What was typed, checked. Raises Wrong."""
    check = flag.metadata.get("check")
    return typed if check is None or typed is None else check(f"--{flag.name.replace('_', '-')}", typed)


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
