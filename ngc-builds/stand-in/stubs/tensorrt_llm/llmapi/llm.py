"""The engine stood in for: it computes nothing, but hands over the KV cache, over NIXL, in both orders of work.

The real engine moves the cache by its own cache transceiver, over UCX by default. Here NIXL does it: what is tested is
Dynamo's hand-over and the image's NIXL and UCX, not that transceiver.
"""

import asyncio
import itertools
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

from stand_in import parallel
from stand_in.answer import TOKEN_SECONDS, Path, later_token
from stand_in.blocks import BlockCache, Run
from stand_in.kv import KvPool, Peer
from tensorrt_llm.disaggregated_params import DisaggregatedParams
from tensorrt_llm.executor.result import CompletionOutput, GenerationResult, Step
from tensorrt_llm.sampling_params import SamplingParams

__all__ = ["LLM", "SamplingParams"]
log = logging.getLogger(__name__)

BLOCKS = 16384
TOKENS_PER_BLOCK = 32
WINDOW = 32768


class LLM:
    """TensorRT-LLM's engine; needs a running event loop, as dynamo.trtllm has one."""

    def __init__(self, model: str, **engine_args: Any) -> None:
        self.args = engine_args
        parallel.check(engine_args.get("tensor_parallel_size", 1), engine_args.get("pipeline_parallel_size", 1))
        self.tokenizer = None
        self._pool = KvPool()
        self._numbers = itertools.count(1)
        self._running = 0
        cache = engine_args.get("kv_cache_config")
        size = cache.get("tokens_per_block") if isinstance(cache, dict) else None
        self._cache = BlockCache(size or TOKENS_PER_BLOCK)
        self._block_size = size or TOKENS_PER_BLOCK
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._event_ids = itertools.count()
        self._emit({"type": "created", "num_blocks_per_cache_level": [BLOCKS, 0]})

    def generate_async(
        self,
        inputs: list[int],
        sampling_params: SamplingParams | None = None,
        disaggregated_params: DisaggregatedParams | None = None,
        streaming: bool = False,
    ) -> GenerationResult:
        """Answer a prompt; the first token tells how the KV cache came about."""
        params = sampling_params or SamplingParams()
        return GenerationResult(self._steps(inputs, params, disaggregated_params, streaming))

    async def _steps(
        self, tokens: list[int], params: SamplingParams, handed: DisaggregatedParams | None, streaming: bool
    ) -> AsyncIterator[Step]:
        kind = handed.request_type if handed else None
        self._running += 1
        try:
            first = await self._load(handed, tokens) if handed and kind == "generation_only" else Path.LOCAL
            self._store(tokens)
            answer = [int(first)]
            out = await self._hand_over(tokens, answer) if kind == "context_only" else None
            while streaming and len(answer) < params.max_tokens:
                yield Step([CompletionOutput(list(answer))], False)
                await asyncio.sleep(TOKEN_SECONDS)
                answer.append(later_token(len(answer)))
            answer += map(later_token, range(len(answer), params.max_tokens))
            yield Step([CompletionOutput(answer, "length", None, out)], True, {"finished_reason": "length"})
        finally:
            self._running -= 1

    async def _hand_over(self, tokens: list[int], first: list[int]) -> DisaggregatedParams:
        slot = await self._pool.export(tokens)
        state = json.dumps({"peer": self._pool.peer.dump().decode(), "slot": slot}).encode()
        return DisaggregatedParams("context_only", first, next(self._numbers), state)

    async def _load(self, handed: DisaggregatedParams, tokens: list[int]) -> Path:
        if not handed.opaque_state:
            return Path.UNLINKED
        state = json.loads(handed.opaque_state)
        peer = Peer.load(state["peer"])
        self._pool.add(peer)
        return Path.TRANSFERRED if await self._pool.read(peer.engine_id, state["slot"], tokens) else Path.CORRUPT

    def _store(self, tokens: list[int]) -> None:
        run = self._cache.add(tokens)
        if run:
            self._emit({"type": "stored", "parent_hash": run.parent, "blocks": self._blocks(run)})

    def _blocks(self, run: Run) -> list[dict[str, Any]]:
        size = self._block_size
        return [
            {"type": "stored_block", "block_hash": block, "tokens": [{"token_id": token} for token in tokens]}
            for number, block in enumerate(run.hashes)
            for tokens in [run.tokens[number * size : (number + 1) * size]]
        ]

    def _emit(self, data: dict[str, Any]) -> None:
        self._events.put_nowait({"event_id": next(self._event_ids), "data": data, "window_size": WINDOW})

    async def get_kv_cache_events_async(self, timeout: float) -> AsyncIterator[dict[str, Any]]:
        """Events as they come, until there was none for `timeout` seconds."""
        while True:
            try:
                yield await asyncio.wait_for(self._events.get(), timeout)
            except TimeoutError:
                return

    async def get_stats_async(self, timeout: float) -> AsyncIterator[dict[str, Any]]:
        """The load, now; then wait: the caller asks again and again."""
        used = min(len(self._cache), BLOCKS)
        yield {
            "numActiveRequests": self._running,
            "maxNumActiveRequests": self.args.get("max_batch_size", 0),
            "numQueuedRequests": 0,
            "inflightBatchingStats": {"numPausedRequests": 0},
            "kvCacheStats": {
                "usedNumBlocks": used,
                "maxNumBlocks": BLOCKS,
                "freeNumBlocks": BLOCKS - used,
                "reusedBlocks": self._cache.hits,
                "allocTotalBlocks": used,
                "allocNewBlocks": used,
                "cacheHitRate": self._cache.hits / self._cache.queries if self._cache.queries else 0.0,
            },
        }
        await asyncio.sleep(min(timeout, 1.0))

    def shutdown(self) -> None:
        """Let go of NIXL."""
        self._pool.close()
