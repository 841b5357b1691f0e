"""The tokenizer: Dynamo's frontend does the work, the worker needs none."""


def tokenizer_factory(model: str) -> None:
    """Dynamo then takes 1 as the token of its health checks."""
