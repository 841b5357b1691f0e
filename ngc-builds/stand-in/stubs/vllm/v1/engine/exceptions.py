"""Errors of the engine."""


class EngineDeadError(Exception):
    """Makes dynamo.vllm end the process with code 1."""
