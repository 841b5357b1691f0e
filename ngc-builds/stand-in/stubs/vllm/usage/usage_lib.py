"""Who uses the engine."""

from enum import StrEnum


class UsageContext(StrEnum):
    """The one context that dynamo names."""

    OPENAI_API_SERVER = "OPENAI_API_SERVER"
