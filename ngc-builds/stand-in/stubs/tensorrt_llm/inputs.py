"""Multimodal input."""

from typing import Any


def default_multimodal_input_loader(**_: Any) -> Any:
    """Not stood in for."""
    raise NotImplementedError("the stand-in has no multimodal input")
