"""How many requests workers have had, by their own counters: on NVIDIA's images no word of an answer shows its path."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

PATH = "/metrics"  # on a worker's status port
# Dynamo's counter of an endpoint, as /metrics of 0.6.1 to 1.6 has it (lib/runtime/src/metrics, prometheus_names.rs).
_REQUESTS = re.compile(r"^dynamo_component_requests_total\{(?P<labels>.*)\} (?P<count>\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')

# Gives the text of /metrics of each worker of the services; None for one that cannot be asked.
Counters = Callable[[tuple[str, ...]], Sequence[str | None]]


def requests(texts: Sequence[str | None], endpoint: str) -> float | None:
    """Requests that the workers of an endpoint (component.endpoint) have had together; None if one of them does not say."""
    found = [None if text is None else _requests(text, endpoint) for text in texts]
    counts = [count for count in found if count is not None]
    return sum(counts) if counts and len(counts) == len(found) else None


def _requests(text: str, endpoint: str) -> float | None:
    counts = [
        float(match["count"])
        for match in _REQUESTS.finditer(text)
        if (labels := dict(_LABEL.findall(match["labels"])))
        and f"{labels.get('dynamo_component')}.{labels.get('dynamo_endpoint')}" == endpoint
    ]
    return sum(counts) if counts else None
