"""Configuration classes: taken, shown, and not used further, except those sizes that Dynamo asks for."""

from dataclasses import dataclass, field
from enum import Enum

from tensorrt_llm.disaggregated_params import DisaggregatedParams

__all__ = [
    "BuildConfig",
    "CapacitySchedulerPolicy",
    "DisaggregatedParams",
    "DynamicBatchConfig",
    "KvCacheConfig",
    "SchedulerConfig",
]


@dataclass
class BuildConfig:
    """Its defaults are the defaults of dynamo.trtllm's flags."""

    max_batch_size: int = 2048
    max_num_tokens: int = 8192
    max_seq_len: int | None = None
    max_beam_width: int = 1


class CapacitySchedulerPolicy(Enum):
    """What to do when the KV cache is full."""

    MAX_UTILIZATION = "MAX_UTILIZATION"
    GUARANTEED_NO_EVICT = "GUARANTEED_NO_EVICT"
    STATIC_BATCH = "STATIC_BATCH"


@dataclass
class DynamicBatchConfig:
    """Tuning of batches."""

    enable_batch_size_tuning: bool = True
    enable_max_num_tokens_tuning: bool = False
    dynamic_batch_moving_average_window: int = 128


@dataclass
class SchedulerConfig:
    """Scheduling."""

    capacity_scheduler_policy: CapacitySchedulerPolicy = CapacitySchedulerPolicy.GUARANTEED_NO_EVICT
    dynamic_batch_config: DynamicBatchConfig = field(default_factory=DynamicBatchConfig)


@dataclass
class KvCacheConfig:
    """The KV cache."""

    free_gpu_memory_fraction: float | None = None
    enable_block_reuse: bool = True
    event_buffer_max_size: int = 0
