"""An answer, as dynamo.trtllm reads it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from tensorrt_llm.disaggregated_params import DisaggregatedParams


@dataclass
class CompletionOutput:
    """All tokens so far."""

    token_ids: list[int]
    finish_reason: str | None = None
    stop_reason: str | None = None
    disaggregated_params: DisaggregatedParams | None = None


@dataclass
class Step:
    """One item of an answer."""

    outputs: list[CompletionOutput]
    finished: bool
    metrics_dict: dict[str, Any] = field(default_factory=dict)


class GenerationResult:
    """Iterate to get the steps; abort() ends after the next one."""

    def __init__(self, steps: AsyncIterator[Step]) -> None:
        self._steps = steps
        self._aborted = False

    def abort(self) -> None:
        """Stop early."""
        self._aborted = True

    async def __aiter__(self) -> AsyncIterator[Step]:
        async for step in self._steps:
            yield step
            if self._aborted:
                return
