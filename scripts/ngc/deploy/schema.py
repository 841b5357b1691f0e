"""Holding an object to a schema as the API server does under strict validation: every error, each with its place.

The schema is a CRD's from the folder that DYNAMO_CRDS names, or our model (deploy.fields). A walk of our own: fastjsonschema stops
at the first error, and no JSON Schema library knows which fields a structural schema prunes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from ngc import output, yamlfile
from ngc.deploy import fields
from ngc.deploy.fields import EITHER_KEY, Schema
from ngc.deploy.graph import KIND
from ngc.deploy.paths import Keys
from ngc.errors import Wrong

VARIABLE = "DYNAMO_CRDS"
UNKNOWN, KINDS, MISSING, VALUE = "unknown-field", "field-type", "missing-field", "field-value"


@dataclass(frozen=True)
class Problem:
    """A field that the API server refuses. `rule` is one of the four above."""

    rule: str
    keys: Keys
    what: str
    fix: str


def current(api_version: str) -> Schema | None:
    """The schema of the folder that DYNAMO_CRDS names, None where it is not set. Raises Wrong."""
    folder = os.environ.get(VARIABLE)
    return of(Path(folder), api_version) if folder else None


@lru_cache(maxsize=4)
def of(folder: Path, api_version: str) -> Schema:
    """The schema of our kind in a folder of CRDs. Raises Wrong, naming the versions that the folder has."""
    if not folder.is_dir():
        raise Wrong(f"{VARIABLE} names {folder}, which is no folder; name one with the CRDs of Dynamo, or unset it")
    served: dict[str, Schema] = {}
    for file in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        text = yamlfile.read(file)
        if f"kind: {KIND}\n" not in text:
            continue  # reading a CRD takes 0.1 s
        documents = [d for d in yamlfile.load_all(text, file) if isinstance(d, dict)]
        for spec in (d["spec"] for d in documents if d.get("kind") == "CustomResourceDefinition"):
            if spec["names"]["kind"] == KIND:
                served |= {
                    f"{spec['group']}/{version['name']}": version["schema"]["openAPIV3Schema"]
                    for version in spec["versions"]
                    if version["served"]
                }
    if not served:
        raise Wrong(
            f"{VARIABLE} names {folder}, which has no CRD of {KIND}; name a folder with Dynamo's CRDs, or unset it"
        )
    if api_version not in served:
        raise Wrong(f"{VARIABLE}: the CRDs of {folder} serve {', '.join(served)}, not '{api_version}'; write one of those as apiVersion")  # fmt: skip
    return fields.complete(served[api_version])


def problems(schema: Schema, data: Any, keys: Keys = ()) -> Iterator[Problem]:
    """All that the API server would refuse in the data; an empty field (null) counts as left out."""
    if not schema:
        return
    if not is_kind(schema, data):
        yield Problem(KINDS, keys, f"{shown(data)} is refused by the API server", f"write {_wanted(schema, data)}")
        return
    yield from _limits(schema, data, keys)
    if isinstance(data, Mapping):
        yield from _mapping(schema, data, keys)
    elif isinstance(data, list):
        yield from _twice(schema, data, keys)
        for number, item in enumerate(data):
            yield from problems(schema.get("items", {}), item, (*keys, number))


def _mapping(schema: Schema, data: Mapping[str, Any], keys: Keys) -> Iterator[Problem]:
    known = schema.get("properties", {})
    for key, value in data.items():
        node = fields.below(schema, str(key))
        if node is None:
            what = f"there is no field '{key}' here: strict validation refuses it, any other drops it without a word"
            yield Problem(UNKNOWN, (*keys, str(key)), what, nearest(str(key), list(known), keys))
        elif value is not None:
            yield from problems(node, value, (*keys, str(key)))
    for key in schema.get("required", ()):
        # A default of the schema fills in for what is missing.
        if data.get(key) is None and "default" not in known.get(key, {}):
            yield Problem(MISSING, keys, f"'{key}' is missing; the API server refuses it", f"add {key}")


def nearest(word: str, known: list[str], keys: Keys = ()) -> str:
    """What to write for a word that is not known; also where else a field of that name is, and what may stand here."""
    close = get_close_matches(word, known, 3)
    folded = [name for name in known if name.lower() == word.lower()]
    if found := folded or close:
        return f"write {' or '.join(found)}"
    if inside := fields.places(word):
        service = str(keys[2]) if len(keys) > 2 and keys[1] == "services" else "NAME"
        same = [".".join(place).replace("*", service) for place in inside if len(place) == len(inside[0])]
        return f"write it as {' or '.join(same[:3])}"
    few = ", ".join(known[:12]) + (" ..." if len(known) > 12 else "")
    return f"leave it out, or choose from: {few}" if known else "leave it out"


def is_kind(schema: Schema, data: Any) -> bool:
    """True for data of the kind that the schema names."""
    if schema.get(EITHER_KEY):
        return isinstance(data, (int, str)) and not isinstance(data, bool)
    checks: Mapping[str, Callable[[Any], bool]] = {
        "string": lambda value: isinstance(value, str),
        # 1.0 is an integer to the API server.
        "integer": lambda value: (
            (isinstance(value, int) and not isinstance(value, bool))
            or (isinstance(value, float) and value.is_integer())
        ),
        "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
        "boolean": lambda value: isinstance(value, bool),
        "array": lambda value: isinstance(value, list),
        "object": lambda value: isinstance(value, Mapping),
    }
    return checks.get(schema.get("type", ""), lambda _: True)(data)


def _limits(schema: Schema, data: Any, keys: Keys) -> Iterator[Problem]:
    """Values of the right kind that are refused all the same."""
    text, number = isinstance(data, str), isinstance(data, (int, float)) and not isinstance(data, bool)
    size = len(data) if isinstance(data, (str, list, Mapping)) else 0
    most = schema.get("maxLength" if text else "maxItems" if isinstance(data, list) else "maxProperties")
    least = schema.get("minLength" if text else "minItems" if isinstance(data, list) else "minProperties")
    fix = None
    if "enum" in schema and data not in schema["enum"]:
        fix = f"write {fields.kind(schema)}"
    elif number and "minimum" in schema and data < schema["minimum"]:
        fix = f"write {schema['minimum']} or more"
    elif number and "maximum" in schema and data > schema["maximum"]:
        fix = f"write {schema['maximum']} or less"
    elif text and "pattern" in schema and not re.search(schema["pattern"], data):
        form = schema["pattern"]
        fix = f"write text of the form {form}" if len(form) < 60 else "write a quantity such as 8Gi"
    elif not number and most is not None and size > most:
        fix = f"at most {most} are allowed"
    elif not number and least is not None and size < least:
        fix = f"at least {least} are needed"
    if fix:
        yield Problem(VALUE, keys, f"{shown(data)} is refused by the API server", fix)


def _twice(schema: Schema, data: list[Any], keys: Keys) -> Iterator[Problem]:
    """Elements of a keyed list that have the same keys."""
    names = schema.get("x-kubernetes-list-map-keys", ()) if schema.get("x-kubernetes-list-type") == "map" else ()
    seen: set[tuple[str, ...]] = set()
    for number, item in enumerate(data if names else ()):
        if not isinstance(item, Mapping):
            continue
        value = tuple(str(item.get(name)) for name in names)
        if value in seen:
            what = f"'{', '.join(value)}' stands here twice; the API server refuses it"
            yield Problem(VALUE, (*keys, number), what, "drop one of them")
        seen.add(value)


def _wanted(schema: Schema, data: Any) -> str:
    if schema.get("type") == "string" and isinstance(data, (int, float)):
        return f'text: "{str(data).lower() if isinstance(data, bool) else data}" in quotes'
    return fields.kind(schema)


def shown(data: Any) -> str:
    """A value in a sentence."""
    if data is None:
        return "nothing"
    if isinstance(data, (Mapping, list)):
        return "a mapping" if isinstance(data, Mapping) else "a list"
    return output.quoted(data) if isinstance(data, str) else str(data).lower() if isinstance(data, bool) else str(data)
