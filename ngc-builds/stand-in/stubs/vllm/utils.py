"""The argument parser."""

import argparse
from collections.abc import Sequence
from typing import Any


class FlexibleArgumentParser(argparse.ArgumentParser):
    """Takes --max_model_len for --max-model-len, as vLLM's does.

    Not stood in for: `--config FILE` and dotted keys such as --hf-overrides.key.
    """

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        """As argparse, after underscores in flags became dashes."""
        if args is None:
            import sys

            args = sys.argv[1:]
        return super().parse_args([self._dashes(arg) for arg in args], namespace)

    @staticmethod
    def _dashes(arg: str) -> str:
        if not arg.startswith("--"):
            return arg
        flag, equals, value = arg.partition("=")
        return flag.replace("_", "-") + equals + value
