"""The fields of vLLM's configuration that dynamo.vllm sets or reads."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class KVTransferConfig:
    """Which connector moves the KV cache."""

    kv_connector: str | None = None
    kv_role: str | None = None
    kv_connector_extra_config: dict[str, Any] = field(default_factory=dict)
    kv_connector_module_path: str | None = None
    engine_id: str | None = None

    def connectors(self) -> list[str]:
        """Names of all connectors; PdConnector holds others."""
        inner = self.kv_connector_extra_config.get("connectors", [])
        return [self.kv_connector or "", *(item["kv_connector"] for item in inner)]


@dataclass
class KVEventsConfig:
    """Where KV events go."""

    enable_kv_cache_events: bool = False
    publisher: str = "zmq"
    endpoint: str = "tcp://*:5557"
    replay_endpoint: str | None = None
    buffer_steps: int = 10_000
    hwm: int = 100_000
    max_queue_size: int = 100_000
    topic: str = ""


@dataclass
class ModelConfig:
    """The model's own defaults."""

    model: str
    max_model_len: int

    def get_diff_sampling_param(self) -> dict[str, Any]:
        """Sampling defaults from generation_config.json: the stand-in samples nothing."""
        return {}


@dataclass
class CacheConfig:
    """Blocks of the KV cache."""

    block_size: int
    num_gpu_blocks: int
    enable_prefix_caching: bool


@dataclass
class SchedulerConfig:
    """Limits of a batch."""

    max_num_seqs: int
    max_num_batched_tokens: int


@dataclass
class ParallelConfig:
    """How many workers share a model."""

    data_parallel_size: int
    data_parallel_rank: int
    tensor_parallel_size: int


@dataclass
class VllmConfig:
    """All of it."""

    model_config: ModelConfig
    cache_config: CacheConfig
    scheduler_config: SchedulerConfig
    parallel_config: ParallelConfig
    kv_transfer_config: KVTransferConfig | None = None
    kv_events_config: KVEventsConfig | None = None
