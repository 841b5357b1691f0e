"""The tokens of an answer. The first one tells which way the request went."""

from enum import IntEnum


class Path(IntEnum):
    """First token id of an answer; each has a word of its own in the tokenizer of /opt/stand-in/model."""

    TRANSFERRED = 1001  # the KV cache came over NIXL and its content is right
    LOCAL = 1002  # computed here: no remote prefill, or a fall-back
    UNLINKED = 1003  # a prefill happened, but its worker's NIXL metadata is not to be had
    CORRUPT = 1004  # the transfer failed, or the content is wrong


# Ids of the later tokens count up from here, so a gap or a repetition in a long answer shows.
REST = 2000
REST_SPAN = 3000

# Seconds between two tokens: short enough for tests, long enough to stop a worker in the middle of an answer.
TOKEN_SECONDS = 0.004


def later_token(position: int) -> int:
    """The token at this position (1 is the one after the first)."""
    return REST + position % REST_SPAN
