"""What stat loggers get."""

from dataclasses import dataclass, field


@dataclass
class PrefixCacheStats:
    """Blocks asked for and found since the last time."""

    queries: int = 0
    hits: int = 0


@dataclass
class SchedulerStats:
    """Load of the engine; `kv_cache_usage` is 0 to 1."""

    num_running_reqs: int = 0
    num_waiting_reqs: int = 0
    kv_cache_usage: float = 0.0
    prefix_cache_stats: PrefixCacheStats = field(default_factory=PrefixCacheStats)
    spec_decoding_stats: None = None


@dataclass
class IterationStats:
    """One step of the engine."""
