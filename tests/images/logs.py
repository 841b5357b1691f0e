"""What a log may not say: lines above INFO that image.yaml does not know."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ngc.catalog import Base

# Words of Python's and Rust's loggers, UCX and the runtime's linker; abseil (NIXL) marks lines as W1125, E1125, F1125.
ABOVE_INFO = re.compile(r"\b(WARN(ING)?|ERROR|CRITICAL|FATAL|Traceback)\b|^[WEF]\d{4} ")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def unexpected(lines: Iterable[str], entry: Base | None) -> list[str]:
    """The lines above INFO that no pattern of `known_log_lines` matches."""
    known = [re.compile(pattern) for pattern in (entry.known_log_lines if entry else ())]
    plain = (COLOURS.sub("", line) for line in lines)
    return [line for line in plain if ABOVE_INFO.search(line) and not any(one.search(line) for one in known)]
