"""Rules about what Kubernetes takes as names, keys and paths, in the graph and in the objects beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ngc.deploy import forms
from ngc.deploy.forms import Form
from ngc.deploy.graph import line_of
from ngc.deploy.paths import Keys
from ngc.deploy.rules.rule import ERROR, Found, Subject, get, rule
from ngc.deploy.schema import shown

# What is checked where: a path, in which * is every element of a list or every value of a mapping, and ~ every key of one.
_METADATA: Mapping[str, Form] = {
    "namespace": forms.LABEL,
    "labels.~": forms.LABEL_KEY,
    "labels.*": forms.LABEL_VALUE,
    "annotations.~": forms.LABEL_KEY,
}
_CONTAINER: Mapping[str, Form] = {
    "env.*.name": forms.VARIABLE,
    "volumeMounts.*.name": forms.LABEL,
    "volumeMounts.*.mountPath": forms.MOUNT_PATH,
}
_POD: Mapping[str, Form] = {
    "volumes.*.name": forms.LABEL,
    "volumes.*.hostPath.path": forms.HOST_PATH,
    "volumes.*.configMap.name": forms.SUBDOMAIN,
    "volumes.*.secret.secretName": forms.SUBDOMAIN,
    "containers.*.name": forms.LABEL,
    "initContainers.*.name": forms.LABEL,
    **{
        f"{of}.{key}": form
        for of in ("mainContainer", "containers.*", "initContainers.*")
        for key, form in _CONTAINER.items()
    },
}
_SERVICE: Mapping[str, Form] = {
    "envs.*.name": forms.VARIABLE,
    "envFromSecret": forms.SUBDOMAIN,
    "volumeMounts.*.name": forms.LABEL,  # the operator gives the volume the name of its claim
    "volumeMounts.*.mountPoint": forms.MOUNT_PATH,
    **{f"{of}{key}": form for of in ("", "extraPodMetadata.") for key, form in _METADATA.items() if key != "namespace"},
    **{f"extraPodSpec.{key}": form for key, form in _POD.items()},
}
GRAPH: Mapping[str, Form] = {
    **{f"metadata.{key}": form for key, form in _METADATA.items()},
    "spec.envs.*.name": forms.VARIABLE,
    "spec.pvcs.*.name": forms.SUBDOMAIN,
    **{f"spec.services.*.{key}": form for key, form in _SERVICE.items()},
}
OBJECT: Mapping[str, Form] = {f"metadata.{key}": form for key, form in _METADATA.items()}
WITH_DATA: Mapping[str, Form] = {
    **OBJECT,
    **{f"{field}.~": forms.DATA_KEY for field in ("data", "binaryData", "stringData")},
    **{f"{field}.*": forms.TEXT for field in ("data", "binaryData", "stringData")},
}


def _at(data: Any, path: tuple[str, ...], above: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """(place, value) of whatever stands at a path of the table."""
    if not path:
        yield above, data
    elif path[0] == "~":
        yield from (((*above, key), key) for key in data) if isinstance(data, Mapping) else ()
    elif path[0] == "*":
        inner = data.items() if isinstance(data, Mapping) else enumerate(data) if isinstance(data, list) else ()
        for key, value in inner:
            yield from _at(value, path[1:], (*above, key))
    elif isinstance(data, Mapping) and data.get(path[0]) is not None:
        yield from _at(data[path[0]], path[1:], (*above, path[0]))


def _refused(data: Any, table: Mapping[str, Form]) -> Iterator[tuple[Keys, str, str]]:
    """(place, what it is, what to write) of what is not of its form."""
    for path, form in table.items():
        for keys, value in _at(data, tuple(path.split("."))):
            if not form.takes(value):
                yield keys, shown(value), form.write


@rule("kubernetes-name", ERROR)
def kubernetes_name(subject: Subject) -> Iterator[Found]:
    """A name, key, label or path that Kubernetes refuses, in the graph or in an object beside it."""
    said = {problem.keys for problem in subject.problems}
    for keys, value, fix in _refused(subject.graph.plain, GRAPH):
        if keys not in said:
            yield Found(keys, f"{value} is refused by the API server", fix)
    for document, entry in zip(subject.graph.others, subject.graph.beside, strict=True):
        kind = entry["kind"]
        table = {**(WITH_DATA if kind in ("ConfigMap", "Secret") else OBJECT), "metadata.name": forms.of_kind(kind)}
        for keys, value, fix in _refused(entry, table):
            yield Found(
                keys, f"{value} is refused by the API server, in the {kind} of this file", fix, line_of(document, *keys)
            )


@rule("object-incomplete", ERROR)
def object_incomplete(subject: Subject) -> Iterator[Found]:
    """An object beside the graph without apiVersion or metadata.name: it is refused, and what needs it never starts."""
    for document, entry in zip(subject.graph.others, subject.graph.beside, strict=True):
        for keys in (("apiVersion",), ("metadata", "name")):
            if not get(entry, *keys):
                name = ".".join(keys)
                yield Found(
                    keys, f"a {entry['kind']} without {name} is refused", f"add {name}", line_of(document, *keys)
                )
