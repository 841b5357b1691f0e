"""Metrics of several processes: the stand-in has one."""


def setup_multiprocess_prometheus() -> None:
    """Nothing to set up."""
