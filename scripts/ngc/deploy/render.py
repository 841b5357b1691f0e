"""What a config becomes: the DynamoGraphDeployment itself, plain Kubernetes objects, or a Compose file."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ngc.deploy import compose, kubernetes
from ngc.deploy.graph import plain
from ngc.deploy.prepare import Prepared
from ngc.errors import Wrong

DGD, KUBERNETES, COMPOSE = "dgd", "kubernetes", "compose"
TARGETS = (DGD, KUBERNETES, COMPOSE)
FIRST = ("apiVersion", "kind", "metadata", "spec")  # keys in the order that people read them


def render(
    prepared: Prepared, to: str, namespace: str | None = None, metrics: str | None = None
) -> list[dict[str, Any]]:
    """The objects of a graph. `namespace`: written into each. Raises Wrong for what a target cannot express."""
    if to == COMPOSE:
        return [compose.document(prepared)]
    if to == KUBERNETES:
        made = kubernetes.objects(prepared.graph, metrics)
    elif metrics is not None:
        raise Wrong("--metrics is for --to=kubernetes; the operator marks its pods itself, as its chart is told to")
    else:
        made = [*map(dict, prepared.graph.beside), plain(prepared.graph.data)]
    return [_placed(entry, namespace) for entry in made]


def _placed(entry: Mapping[str, Any], namespace: str | None) -> dict[str, Any]:
    if namespace is None:
        return dict(entry)
    return {**entry, "metadata": {**(entry.get("metadata") or {}), "namespace": namespace}}


def dump(objects: Sequence[Mapping[str, Any]]) -> str:
    """YAML of the objects: always the same text for the same objects, without anchors, texts of several lines as such."""
    from ruamel.yaml import YAML
    from ruamel.yaml.scalarstring import walk_tree

    writer = YAML()
    writer.explicit_start = len(objects) > 1
    writer.width = 2**16  # long words stay on one line
    writer.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    for entry in objects:
        # Shared parts would come out as anchors; plain() makes each of them its own.
        data = plain({**{key: entry[key] for key in FIRST if key in entry}, **entry})
        walk_tree(data)
        writer.dump(data, out)
    return out.getvalue()


def write(prepared: Prepared, objects: Sequence[Mapping[str, Any]], to: str, folder: Path) -> list[Path]:
    """Write a rendering into a folder, with the files that a Compose file needs beside it. Raises Wrong if that is a file."""
    if folder.exists() and not folder.is_dir():
        raise Wrong(f"--out is {folder}, which is no folder; name one that may be made")
    name = "compose.yaml" if to == COMPOSE else f"{prepared.graph.name}.yaml"
    texts = {name: dump(objects), **(compose.files(prepared.graph) if to == COMPOSE else {})}
    for path, text in texts.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        staged = target.with_name(f".{target.name}.staged")
        staged.write_text(text)
        staged.replace(target)
    return [folder / path for path in texts]
