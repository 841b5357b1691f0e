"""What a config becomes: the DynamoGraphDeployment itself, plain Kubernetes objects, or a Compose file."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ngc import files
from ngc.asked.configs import APIS, TARGETS
from ngc.deploy import compose, fields, kubernetes, schema, v1beta1
from ngc.deploy.graph import Graph, plain
from ngc.deploy.paths import text
from ngc.deploy.prepare import Prepared
from ngc.errors import Wrong

DGD, KUBERNETES, COMPOSE = TARGETS
V1ALPHA1, V1BETA1 = APIS
FIRST = ("apiVersion", "kind", "metadata", "spec")  # keys in the order that people read them
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_NO_NAMESPACE = ("Namespace", "PersistentVolume", "StorageClass", "PriorityClass", "CustomResourceDefinition")
# Kubernetes reads YAML 1.1, where these words and whatever looks like a number or a time are no texts.
_NO_TEXT = re.compile(
    r"[-+]?\.?\d[\da-fxo_.:+\-tz ]*|[-+]?\.(inf|nan)|y|n|yes|no|on|off|true|false|null|~|=|<<|", re.IGNORECASE
)


def render(
    prepared: Prepared, to: str, namespace: str | None = None, metrics: str | None = None, api: str = V1ALPHA1
) -> list[dict[str, Any]]:
    """The objects of a graph. `namespace`: written into each; `api`: of a DynamoGraphDeployment. Raises Wrong for what cannot be expressed."""
    if api != V1ALPHA1 and to != DGD:
        raise Wrong(f"--api={api} is for --to=dgd: only a DynamoGraphDeployment has versions; leave it out")
    if namespace is not None and not _NAMESPACE.fullmatch(namespace):
        raise Wrong(f"--namespace is '{namespace}'; write lower-case letters, digits and dashes, 63 at most")
    if to == COMPOSE and (namespace or metrics):
        flag = "--namespace" if namespace else "--metrics"
        raise Wrong(f"{flag} is for a cluster, and a Compose file is for one machine; leave it out")
    if to != DGD:
        _of_their_kinds(prepared.graph)
        _countable(prepared.graph)
        _with_images(prepared.graph)
    if to == COMPOSE:
        return [compose.document(prepared)]
    if to == KUBERNETES:
        made = kubernetes.objects(prepared.graph, metrics, prepared.serving)
    elif metrics is not None:
        raise Wrong("--metrics is for --to=kubernetes; the operator marks its pods itself, as its chart is told to")
    elif api == V1BETA1:
        _of_their_kinds(prepared.graph)
        made = v1beta1.objects(prepared.graph)
    else:
        made = [*map(dict, prepared.graph.beside), plain(prepared.graph.data)]
    return [_placed(entry, namespace) for entry in made]


def _of_their_kinds(graph: Graph) -> None:
    """Raise Wrong for a value of another kind than its field takes, and for one that is missing: it would become something else."""
    for problem in schema.problems(fields.MODEL, plain(graph.data)):
        if problem.rule in (schema.KINDS, schema.MISSING):
            raise Wrong(
                f"{kubernetes.place(graph, *problem.keys)}: {text(problem.keys)}: {problem.what}; {problem.fix}"
            )


def _countable(graph: Graph) -> None:
    """Raise Wrong for a negative number of replicas, which the DynamoGraphDeployment's schema takes."""
    for service in graph.services:
        said = service.spec.get("replicas")
        if isinstance(said, int) and said < 0:
            where = kubernetes.place(graph, "spec", "services", service.key, "replicas")
            raise Wrong(f"{where}: {service.key} has {said} replicas; write 0 or more")


def _with_images(graph: Graph) -> None:
    """Raise Wrong for a service without an image: there would be nothing to run."""
    for service in graph.services:
        if not service.image:
            where = kubernetes.place(graph, "spec", "services", service.key)
            raise Wrong(
                f"{where}: {service.key} has no image; name one in extraPodSpec.mainContainer.image, or with --image"
            )


def _placed(entry: Mapping[str, Any], namespace: str | None) -> dict[str, Any]:
    kind = str(entry.get("kind"))
    if namespace is None or kind in _NO_NAMESPACE or kind.startswith("Cluster"):
        return dict(entry)
    return {**entry, "metadata": {**(entry.get("metadata") or {}), "namespace": namespace}}


def dump(objects: Sequence[Mapping[str, Any]]) -> str:
    """YAML of the objects: always the same text for the same objects, without anchors, texts of several lines as such."""
    from ruamel.yaml import YAML

    writer = YAML()
    writer.explicit_start = len(objects) > 1
    writer.width = 2**16  # long words stay on one line
    writer.indent(mapping=2, sequence=4, offset=2)
    writer.representer.ignore_aliases = lambda _: True
    out = io.StringIO()
    for entry in objects:
        writer.dump(_written({**{key: entry[key] for key in FIRST if key in entry}, **entry}), out)
    return out.getvalue()


def _written(value: Any) -> Any:
    """Data with its texts in the form in which every reader of YAML takes them for texts."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

    if isinstance(value, Mapping):
        return {_written(key): _written(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_written(item) for item in value]
    if isinstance(value, str) and "\n" in value:
        return LiteralScalarString(value)
    if isinstance(value, str) and _NO_TEXT.fullmatch(value):
        return DoubleQuotedScalarString(value)
    return value


def write(prepared: Prepared, objects: Sequence[Mapping[str, Any]], to: str, folder: Path) -> list[Path]:
    """Write a rendering into a folder, with the files that a Compose file needs beside it. Raises Wrong if that is a file."""
    if folder.exists() and not folder.is_dir():
        raise Wrong(f"--out is {folder}, which is no folder; name one that may be made")
    name = "compose.yaml" if to == COMPOSE else f"{prepared.graph.name}.yaml"
    texts = {name: dump(objects), **(compose.files(prepared.graph) if to == COMPOSE else {})}
    made = {files.below(folder, name): content for name, content in texts.items()}
    for path, content in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, content)
    return list(made)
