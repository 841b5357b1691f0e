"""The name torch, not PyTorch. nixl and dynamo import it for type checks only; no dist-info claims that it is installed."""

from torch import cuda

__all__ = ["Tensor", "cuda", "device", "dtype"]
__version__ = "0+stand-in"


class Tensor:
    """What isinstance() is asked about; nothing here is one."""


class device:  # noqa: N801  torch's own spelling
    """For annotations."""


class dtype:  # noqa: N801  torch's own spelling
    """For annotations."""
