"""The name vllm, not vLLM: what dynamo.vllm 0.6.1 imports of vLLM 0.11.0, over a made-up engine. No dist-info."""

__version__ = "0.11.0+stand-in"
