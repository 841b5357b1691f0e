"""What an engine says of an image, as it says it: more than the code behind the verbs needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ngc import engine as engines
from ngc.engine import Engine


def config_of(client: Engine, reference: str) -> Mapping[str, Any]:
    """The config of an image: Env, User, Entrypoint, ..."""
    answer = json.loads(engines.ask(client, "image", "inspect", client.local(reference)) or "[]")
    return dict(answer[0]["Config"])


def variables(lines: list[str] | tuple[str, ...] | None) -> dict[str, str]:
    """Variables of a config, in its order."""
    return dict(line.partition("=")[::2] for line in lines or ())


def differences(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, str]:
    """Where two mappings differ, in words; empty when they are equal."""
    return {
        name: f"{found.get(name, 'nothing')!r} instead of {wanted.get(name, 'nothing')!r}"
        for name in {**wanted, **found}
        if wanted.get(name) != found.get(name)
    }
