"""Lets a worker register the stand-in's model folder under any name."""

from typing import Any

import dynamo.llm

from stand_in import model


def use_own_model() -> None:
    """Wrap dynamo.llm.register_llm so that a model that is no folder becomes the stand-in's own, under the same name.

    dynamo.trtllm parses --model-path without asking the engine, so no stub sees it; register_llm is the only place where
    the path is read, and it would download from Hugging Face. dynamo.trtllm imports tensorrt_llm before it imports that
    name, so setting it here is in time. The wheel's files stay as they are.
    """
    register = dynamo.llm.register_llm

    async def register_llm(
        model_input: Any, model_type: Any, endpoint: Any, model_path: str, model_name: str | None = None, **rest: Any
    ) -> None:
        folder = model.resolve(model_path)
        await register(model_input, model_type, endpoint, folder, model_name or model_path, **rest)

    dynamo.llm.register_llm = register_llm
