"""The name transformers: dynamo.trtllm imports two classes and uses them for multimodal requests and tests only."""


class AutoConfig:
    """Never asked in text mode."""


class PreTrainedTokenizerBase:
    """For annotations."""
