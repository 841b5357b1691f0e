"""The engine stood in for: it computes nothing, but hands over the KV cache as vLLM's NixlConnector does."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from stand_in import channel
from stand_in.answer import TOKEN_SECONDS, Path, later_token
from stand_in.blocks import BlockCache
from stand_in.kv import KvPool
from vllm.config import VllmConfig
from vllm.distributed.kv_events import ZmqEventPublisher
from vllm.inputs import TokensPrompt
from vllm.sampling_params import SamplingParams
from vllm.v1.metrics.loggers import StatLoggerBase
from vllm.v1.metrics.stats import PrefixCacheStats, SchedulerStats

log = logging.getLogger(__name__)


@dataclass
class CompletionOutput:
    """All tokens so far."""

    token_ids: list[int]
    finish_reason: str | None = None
    stop_reason: str | None = None


@dataclass
class RequestOutput:
    """One step of an answer; `kv_transfer_params` with the last step of a prefill."""

    request_id: str
    outputs: list[CompletionOutput]
    finished: bool = False
    kv_transfer_params: dict[str, Any] | None = None


class MonitorCancelled(Exception):
    """Ends dynamo's engine monitor, see AsyncLLM.check_health."""


class AsyncLLM:
    """vLLM's engine client."""

    def __init__(self, vllm_config: VllmConfig, loggers: list[StatLoggerBase]) -> None:
        self.vllm_config = vllm_config
        self.tokenizer = None
        self._loggers = loggers
        self._running = 0
        self._aborted: set[str] = set()
        self._cache = BlockCache(vllm_config.cache_config.block_size)
        self._prefix_caching = vllm_config.cache_config.enable_prefix_caching
        self._rank = vllm_config.parallel_config.data_parallel_rank
        transfer, events = vllm_config.kv_transfer_config, vllm_config.kv_events_config
        self._pool = KvPool() if transfer and "NixlConnector" in transfer.connectors() else None
        self._events = None
        if events and events.enable_kv_cache_events:
            endpoint = ZmqEventPublisher.offset_endpoint_port(events.endpoint, self._rank)
            self._events = ZmqEventPublisher(endpoint, events.topic, self._rank)
        self._host = os.environ.get("VLLM_NIXL_SIDE_CHANNEL_HOST", "localhost")
        self._port = int(os.environ.get("VLLM_NIXL_SIDE_CHANNEL_PORT", "5600")) + self._rank
        self._started = asyncio.get_running_loop().create_task(self._start())

    @classmethod
    def from_vllm_config(
        cls,
        vllm_config: VllmConfig,
        usage_context: Any = None,
        stat_loggers: list[Callable[[VllmConfig, int], StatLoggerBase]] | None = None,
        disable_log_requests: bool = False,
        disable_log_stats: bool = False,
    ) -> "AsyncLLM":
        """Make an engine, and a stat logger from each factory."""
        rank = vllm_config.parallel_config.data_parallel_rank
        return cls(vllm_config, [factory(vllm_config, rank) for factory in stat_loggers or []])

    async def _start(self) -> None:
        if self._events:
            await self._events.start()
        if self._pool:
            await channel.serve(self._pool.peer, self._host, self._port)
            log.info("NIXL metadata on %s:%d", self._host, self._port)

    async def generate(
        self,
        prompt: TokensPrompt,
        sampling_params: SamplingParams,
        request_id: str,
        data_parallel_rank: int | None = None,
    ) -> AsyncIterator[RequestOutput]:
        """Answer a prompt step by step. The first token tells how the KV cache came about."""
        await asyncio.shield(self._started)
        tokens = prompt["prompt_token_ids"]
        longest = self.vllm_config.model_config.max_model_len
        if len(tokens) > longest:  # vLLM's own sentence
            raise ValueError(
                f"The decoder prompt (length {len(tokens)}) is longer than the maximum model length of {longest}. "
                "Make sure that `max_model_len` is no smaller than the number of text tokens."
            )
        params = (sampling_params.extra_args or {}).get("kv_transfer_params") or {}
        limit = 16 if sampling_params.max_tokens is None else sampling_params.max_tokens
        self._count(+1)
        try:
            first = await self._load(params, tokens) if params.get("do_remote_prefill") else Path.LOCAL
            self._store(tokens)
            handed_over = await self._hand_over(tokens) if params.get("do_remote_decode") else None
            answer: list[int] = []
            while len(answer) < limit:
                answer.append(later_token(len(answer)) if answer else int(first))
                last = len(answer) == limit
                output = CompletionOutput(list(answer), "length" if last else None)
                yield RequestOutput(request_id, [output], last, handed_over if last else None)
                if request_id in self._aborted:
                    return
                if not last:
                    await asyncio.sleep(TOKEN_SECONDS)
        finally:
            self._aborted.discard(request_id)
            self._count(-1)

    async def _load(self, params: dict[str, Any], tokens: list[int]) -> Path:
        """Fetch the KV cache that another worker's parameters name, whatever this worker's role is."""
        engine_id = params["remote_engine_id"]
        if self._pool is None:
            return Path.UNLINKED
        if not self._pool.knows(engine_id):
            try:
                peer = await channel.ask(params["remote_host"], params["remote_port"])
            except (OSError, ValueError, TypeError) as error:
                log.warning("no NIXL metadata from %s:%s: %r", params["remote_host"], params["remote_port"], error)
                return Path.UNLINKED
            if peer.engine_id != engine_id:
                return Path.UNLINKED
            self._pool.add(peer)
        same = await self._pool.read(engine_id, params["remote_block_ids"][0], tokens)
        return Path.TRANSFERRED if same else Path.CORRUPT

    async def _hand_over(self, tokens: list[int]) -> dict[str, Any] | None:
        """Exactly the seven keys of vLLM's NixlConnector."""
        if self._pool is None:
            return None
        return {
            "do_remote_prefill": True,
            "do_remote_decode": False,
            "remote_block_ids": [await self._pool.export(tokens)],
            "remote_engine_id": self._pool.engine_id,
            "remote_host": self._host,
            "remote_port": self._port,
            "tp_size": self.vllm_config.parallel_config.tensor_parallel_size,
        }

    def _store(self, tokens: list[int]) -> None:
        """Take the prompt into the prefix cache and tell the router what is new."""
        run = self._cache.add(tokens) if self._prefix_caching else None
        if run and self._events:
            size = self.vllm_config.cache_config.block_size
            self._events.publish([["BlockStored", run.hashes, run.parent, run.tokens, size, None, "GPU"]])

    def _count(self, change: int) -> None:
        self._running += change
        usage = min(1.0, len(self._cache) / self.vllm_config.cache_config.num_gpu_blocks)
        stats = SchedulerStats(self._running, 0, usage, PrefixCacheStats(self._cache.queries, self._cache.hits))
        for logger in self._loggers:
            logger.record(stats, None)

    async def abort(self, request_id: str) -> None:
        """Stop an answer after its next token."""
        self._aborted.add(request_id)

    async def check_health(self) -> None:
        """The engine is always well.

        But dynamo.vllm 0.6.1's monitor, which calls this every 2 s, swallows its cancellation, and a real worker that got
        SIGTERM stays until SIGKILL (10 s of docker stop). Here it ends, because this raises once it was cancelled.
        """
        task = asyncio.current_task()
        if task and task.cancelling():
            raise MonitorCancelled("the stand-in ends the engine monitor; a real 0.6.1 worker would hang here")

    async def reset_prefix_cache(self) -> None:
        """Forget all blocks, and say so."""
        self._cache.clear()
        if self._events:
            self._events.publish([["AllBlocksCleared"]])

    def shutdown(self) -> None:
        """Let go of NIXL."""
        if self._pool:
            self._pool.close()
