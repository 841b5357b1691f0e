"""doctor, setup."""

from __future__ import annotations

from invoke.exceptions import Exit

from ngc.asked.images import Doctor, Setup
from ngc.verbs.flags import verb


@verb(Doctor)
def doctor(asked: Doctor) -> None:
    """What this machine has and lacks, each with its fix; exit 1 if nothing can be built."""
    from dataclasses import asdict
    from json import dumps

    from ngc import machine

    checks = machine.checks()
    if asked.json:
        print(dumps([asdict(check) for check in checks], indent=2))
    else:
        for check in checks:
            print(f"{check.state:4}  {check.name}: {check.detail}" + (f"\n      fix: {check.fix}" if check.fix else ""))
    if any(check.state == "fail" for check in checks):
        raise Exit(code=1)


@verb(Setup)
def setup(asked: Setup) -> None:
    """Install and start what building needs (Debian, Ubuntu)."""
    from ngc import setup

    setup.setup(asked.yes, asked.plan)
