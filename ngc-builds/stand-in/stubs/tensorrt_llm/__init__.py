"""The name tensorrt_llm, not TensorRT-LLM: what dynamo.trtllm 0.6.1 imports of it, over a made-up engine. No dist-info."""

from stand_in.kv import quiet_nixl
from tensorrt_llm.llmapi.llm import LLM, SamplingParams
from tensorrt_llm.registration import use_own_model

__all__ = ["LLM", "SamplingParams"]
__version__ = "1.1.0rc5+stand-in"

quiet_nixl()
use_own_model()
