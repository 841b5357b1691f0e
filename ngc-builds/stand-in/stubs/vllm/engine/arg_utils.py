"""vLLM's command-line flags, from a table made of vLLM's own source (flags.tsv, see build/vllm_flags.py)."""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from stand_in import model, parallel
from vllm.config import (
    CacheConfig,
    KVEventsConfig,
    KVTransferConfig,
    ModelConfig,
    ParallelConfig,
    SchedulerConfig,
    VllmConfig,
)

TABLE = Path(__file__).with_name("flags.tsv")
SUFFIXES = {"k": 10**3, "m": 10**6, "g": 10**9, "K": 2**10, "M": 2**20, "G": 2**30}
# What vLLM works out from GPU and model; any plausible number does here.
BLOCKS, SEQUENCES, BATCHED_TOKENS = 16384, 256, 8192


def human_int(text: str) -> int:
    """1k is 1000, 1K is 1024, 25.6k is 25600."""
    factor = SUFFIXES.get(text[-1:])
    return int(float(text[:-1]) * factor) if factor else int(text)


def json_or_text(text: str) -> Any:
    """JSON where it is written as an object, a list or a number; else the text."""
    if text[:1] not in "{[" and not text.isdigit():
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise argparse.ArgumentTypeError(f"not valid JSON: {error}") from error


TYPES: dict[str, Callable[[str], Any]] = {
    "int": int,
    "human_int": human_int,
    "float": float,
    "str": str,
    "json": json_or_text,
}


def optional(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """vLLM takes the word None for no value."""

    def parse(text: str) -> Any:
        return None if text in ("", "None") else kind(text)

    parse.__name__ = kind.__name__
    return parse


def flags() -> Iterator[tuple[list[str], str, Any, list[Any] | None]]:
    """The rows of the table: flags, kind, default, choices."""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            names, kind, default, choices = line.split("\t")
            yield names.split(), kind, json.loads(default), json.loads(choices)


class AsyncEngineArgs:
    """One attribute for each flag, its default where it was not given."""

    def __init__(self, **values: Any) -> None:
        for names, kind, default, _ in flags():
            name = names[0].lstrip("-").replace("-", "_")
            setattr(self, name, values.get(name, False if kind == "store_true" else default))

    @staticmethod
    def add_cli_args(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
        """Add every flag of vLLM."""
        for names, kind, default, choices in flags():
            if kind == "bool":
                parser.add_argument(*names, action=argparse.BooleanOptionalAction, default=default)
            elif kind == "store_true":
                parser.add_argument(*names, action="store_true")
            elif kind.startswith("list:"):
                parser.add_argument(
                    *names, type=TYPES[kind.removeprefix("list:")], nargs="+", default=default, choices=choices
                )
            elif choices:
                # The table has "None" among the choices of what may be left empty.
                parser.add_argument(*names, type=TYPES[kind], default=default, choices=choices)
            else:
                parser.add_argument(*names, type=optional(TYPES[kind]), default=default)
        return parser

    @classmethod
    def from_cli_args(cls, args: argparse.Namespace) -> "AsyncEngineArgs":
        """The parsed flags.

        Where no such folder exists the model becomes the stand-in's own, and keeps the name that was asked for. This is the
        one place to do it without touching dynamo: its parse_args reads args.model after this call.
        """
        args.served_model_name = args.served_model_name or [args.model]
        args.model = model.resolve(args.model)
        made = cls(**vars(args))
        if isinstance(made.kv_transfer_config, dict):
            made.kv_transfer_config = KVTransferConfig(**made.kv_transfer_config)
        if isinstance(made.kv_events_config, dict):
            made.kv_events_config = KVEventsConfig(**made.kv_events_config)
        return made

    def create_model_config(self) -> ModelConfig:
        """The model's configuration."""
        return ModelConfig(self.model, self.max_model_len or model.longest(self.model))

    def create_engine_config(self, usage_context: Any = None) -> VllmConfig:
        """Everything, with what vLLM would work out from the GPU filled in."""
        parallel.check(self.tensor_parallel_size, self.pipeline_parallel_size)
        return VllmConfig(
            model_config=self.create_model_config(),
            cache_config=CacheConfig(
                self.block_size or 16, self.num_gpu_blocks_override or BLOCKS, self.enable_prefix_caching is not False
            ),
            scheduler_config=SchedulerConfig(
                self.max_num_seqs or SEQUENCES, self.max_num_batched_tokens or BATCHED_TOKENS
            ),
            parallel_config=ParallelConfig(
                self.data_parallel_size, self.data_parallel_rank or 0, self.tensor_parallel_size
            ),
            kv_transfer_config=self.kv_transfer_config,
            kv_events_config=self.kv_events_config,
        )
