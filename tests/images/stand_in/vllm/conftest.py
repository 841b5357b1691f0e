"""The words that tell a worker its part, in the release that the stand-in stands for."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ngc.catalog import Base


@dataclass(frozen=True)
class Words:
    """For the prefill worker, for a decode worker as upstream's deployments have it, and for one that cannot read."""

    prefill: tuple[str, ...]
    decode: tuple[str, ...]
    explicit: tuple[str, ...]
    unlinked: tuple[str, ...]
    wrong: tuple[str, ...]  # a flag that this release refuses
    refusal: str


@pytest.fixture(scope="module")
def words(known: Base) -> Words:
    """Up to 0.9 decode needs no word and NIXL none; from 1.0.0 on both must be asked for."""
    serving = known.serving
    prefill, decode = tuple(serving["roles"]["prefill"]), tuple(serving["roles"]["decode"])
    if connector := tuple(serving.get("connector", ())):
        asked = (*decode, *connector)
        gone = ("--connector", "nixl")
        return Words((*prefill, *connector), asked, asked, decode, gone, "unrecognized arguments: --connector")
    config = ("--kv-transfer-config", '{"kv_connector": "NixlConnector", "kv_role": "kv_both"}')
    return Words(prefill, (), decode, ("--connector", "none"), config, "Cannot specify both")
