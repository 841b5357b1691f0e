"""The argument parser, over dynamo.vllm 0.6.1's: takes the words by which Dynamo tells a worker its part from 1.0.0 on.

The release that is stood in for decides: from 1.4.0 on the old words are gone. parser.py is the parser of 0.6.1's layouts.
"""

import json
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from vllm.parser import FlexibleArgumentParser as _Parser

# What a worker of 0.6.1 is told instead.
_MODES = {"agg": [], "prefill": ["--is-prefill-worker"], "decode": ["--is-decode-worker"]}
_CONNECTORS = {"NixlConnector": "nixl", "LMCacheConnectorV1": "lmcache"}


class FlexibleArgumentParser(_Parser):
    """Takes --disaggregation-mode and --kv-transfer-config; without the latter there is no connector."""

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        """As the parser below, after the words of this release became those of 0.6.1."""
        words = [self._dashes(word) for word in (sys.argv[1:] if args is None else args)]
        gone = ["--connector"]
        if _release() >= (1, 4):
            gone += ["--is-prefill-worker", "--is-decode-worker"]
        if found := [word for word in words if word.partition("=")[0] in gone]:
            self.error(f"unrecognized arguments: {' '.join(found)}")
        mode = self._take(words, "--disaggregation-mode") or "agg"
        if mode not in _MODES:
            self.error(f"argument --disaggregation-mode: invalid choice: '{mode}' (choose from {', '.join(_MODES)})")
        config = self._take(words, "--kv-transfer-config")
        connector = json.loads(config)["kv_connector"] if config else None
        if connector is not None and connector not in _CONNECTORS:
            self.error(f"the stand-in has no connector {connector}")
        words += [*_MODES[mode], "--connector", _CONNECTORS.get(connector, "none")]
        return super().parse_args(words, namespace)

    @staticmethod
    def _take(words: list[str], flag: str) -> str | None:
        """The value of a flag, which goes with it."""
        for at, word in enumerate(words):
            name, equals, value = word.partition("=")
            if name == flag:
                value = value if equals else "".join(words[at + 1 : at + 2])
                del words[at : at + (1 if equals else 2)]
                return value
        return None


def _release() -> tuple[int, ...]:
    """The release that is stood in for, as numbers."""
    tag = os.environ.get("STAND_IN_FOR", "").rpartition(":")[2]
    return tuple(int(number) for number in re.findall(r"\d+", tag)[:3])
