"""Base of stat loggers."""

from abc import ABC, abstractmethod

from vllm.v1.metrics.stats import IterationStats, SchedulerStats


class StatLoggerBase(ABC):
    """dynamo.vllm derives its publisher of load from this."""

    @abstractmethod
    def record(
        self, scheduler_stats: SchedulerStats | None, iteration_stats: IterationStats | None, engine_idx: int = 0
    ) -> None:
        """Take a reading."""

    @abstractmethod
    def log_engine_initialized(self) -> None:
        """The engine is there."""
