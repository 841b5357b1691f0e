"""Errors."""


class RequestError(RuntimeError):
    """Fails one request; any other error ends the worker."""
