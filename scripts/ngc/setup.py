"""Installing and starting what building needs, on Debian and Ubuntu."""

from __future__ import annotations

import re
import shlex
import sys
import time

from ngc import machine
from ngc.errors import Failed, Wrong

LIMIT = 60.0  # seconds until a started engine must answer


def setup(yes: bool, show: bool) -> None:
    """Do what `machine.setup_actions` says, or print it. Raises Failed for the first command that fails."""
    actions = machine.setup_actions(_candidate)
    for action in actions:
        print(f"# {action.why}\n{shlex.join(action.command)}", file=sys.stdout if show else sys.stderr)
    if show or not actions:
        if not actions:
            print("nothing to set up: this machine can build", file=sys.stderr)
        return
    if not yes:
        _confirm()
    for action in actions:
        _run(action.command)
    _wait()


def _confirm() -> None:
    if not sys.stdin.isatty():
        raise Wrong(
            "setup changes this machine and there is no terminal to ask on; add --yes to go ahead, or --plan to see"
        )
    if input("go ahead? [y/N] ").strip().lower() not in ("y", "yes"):
        raise Failed("nothing was done")


def _run(command: tuple[str, ...]) -> None:
    import sh

    try:
        sh.Command(command[0])(*command[1:], _err_to_out=True, _tty_out=False)
    except sh.ErrorReturnCode as error:
        print(error.stdout.decode(errors="replace"), file=sys.stderr)
        raise Failed(f"`{shlex.join(command)}` ended with {error.exit_code}; its output above says why") from None


def _wait() -> None:
    """Wait until the engine answers. Raises Failed with what it last said."""
    deadline = time.monotonic() + LIMIT
    while True:
        check = machine.engine_check()
        if check.state == "pass":
            print(f"the engine answers: {check.detail}", file=sys.stderr)
            return
        if time.monotonic() > deadline:
            raise Failed(
                f"the engine does not answer after {LIMIT:.0f} s: {check.detail}; /var/log/dockerd.log or `journalctl -u docker` says why"
            )
        time.sleep(0.2)


def _candidate(package: str) -> str | None:
    """The version apt would install, None if it knows no such package."""
    import sh

    try:
        text = str(sh.Command("apt-cache")("policy", package, _tty_out=False))
    except (sh.CommandNotFound, sh.ErrorReturnCode):
        return None
    match = re.search(r"Candidate: (\S+)", text)
    return match[1] if match and match[1] != "(none)" else None
