"""KV events."""

from stand_in.zmtp import Publisher
from vllm.config import KVEventsConfig

__all__ = ["KVEventsConfig", "ZmqEventPublisher"]


class ZmqEventPublisher(Publisher):
    """vLLM's name for the publisher."""

    @staticmethod
    def offset_endpoint_port(endpoint: str | None, data_parallel_rank: int) -> str | None:
        """The endpoint of a rank: each has the next port."""
        if not endpoint or data_parallel_rank == 0:
            return endpoint
        base, _, port = endpoint.rpartition(":")
        return f"{base}:{int(port) + data_parallel_rank}"
