"""The engine's own Prometheus metrics."""

from typing import Any

from prometheus_client import Counter


class MetricsCollector:
    """Counts what the real one counts, under its name; the labels come from Dynamo."""

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = labels
        self._finished = Counter("request_success", "Requests that ended.", [*labels, "finished_reason"])

    def log_metrics_dict(self, metrics: dict[str, Any]) -> None:
        """Take what a finished request brings."""
        self._finished.labels(**self._labels, finished_reason=metrics.get("finished_reason", "length")).inc()
