"""What prefill hands to decode."""

from dataclasses import dataclass


@dataclass
class DisaggregatedParams:
    """TensorRT-LLM's fields; `opaque_state` is the engine's own business: here the peer and the slot."""

    request_type: str | None = None
    first_gen_tokens: list[int] | None = None
    ctx_request_id: int | None = None
    opaque_state: bytes | None = None
    draft_tokens: list[int] | None = None
