"""Sampling parameters: all are taken, few matter, as nothing is sampled."""

from dataclasses import dataclass
from typing import Any


class LogitsProcessor:
    """Base of Dynamo's test processors; never called."""


@dataclass
class SamplingParams:
    """TensorRT-LLM's names and defaults."""

    max_tokens: int = 32
    min_tokens: int | None = None
    n: int = 1
    best_of: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    seed: int | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: list[str] | None = None
    stop_token_ids: list[int] | None = None
    ignore_eos: bool = False
    detokenize: bool = True
    logits_processor: Any = None

    def _setup(self, tokenizer: Any) -> None:
        """TensorRT-LLM takes end and pad ids from the tokenizer; nothing ends an answer here but its length."""
