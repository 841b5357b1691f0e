"""doctor, setup."""

from __future__ import annotations

import json as jsons

from invoke.exceptions import Exit

from ngc.verbs.common import JSON, PLAN, verb


@verb(help={"json": JSON})
def doctor(c, json=False):  # type: ignore[no-untyped-def]
    """What this machine has and lacks, each with its fix; exit 1 if nothing can be built."""
    from dataclasses import asdict

    from ngc import machine

    checks = machine.checks()
    if json:
        print(jsons.dumps([asdict(check) for check in checks], indent=2))
    else:
        for check in checks:
            print(f"{check.state:4}  {check.name}: {check.detail}" + (f"\n      fix: {check.fix}" if check.fix else ""))
    if any(check.state == "fail" for check in checks):
        raise Exit(code=1)


@verb(help={"yes": "do it without asking", "plan": PLAN})
def setup(c, yes=False, plan=False):  # type: ignore[no-untyped-def]
    """Install and start what building needs (Debian, Ubuntu)."""
    from ngc import setup as setups

    setups.setup(yes, plan)
