"""Reading image.yaml: held to the JSON Schema that editors use, and every error with file, line and what was expected."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from ngc import files, output, yamlfile
from ngc.errors import Wrong

SCHEMA = "image.schema.json"


def load(path: Path) -> dict[str, Any]:
    """The content of an image.yaml that the schema accepts. Raises Wrong for any other."""
    text, schema = yamlfile.read(path), (path.parent.parent / SCHEMA).read_text()
    # A mark in our cache says that this very text is within bounds and has passed this very schema; that costs 20 ms.
    kept = files.cache("valid")
    mark = kept / hashlib.sha256(f"{schema}\0{text}".encode()).hexdigest() if kept is not None else None
    known = mark is not None and mark.exists()
    data = yamlfile.load(text, path, checked=known)
    if not known:
        _validate(path, data, schema)
        if mark is not None:
            with suppress(OSError):
                mark.touch()
    return data  # type: ignore[no-any-return]  # the schema has said that it is a mapping


def _validate(path: Path, data: Any, schema: str) -> None:
    """Hold the data to the schema. Raises Wrong."""
    import fastjsonschema

    try:
        _validator(schema)(data)
    except fastjsonschema.JsonSchemaValueException as error:
        raise Wrong(_explain(path, error, data)) from None


@lru_cache(maxsize=2)
def _validator(schema: str) -> Callable[[Any], Any]:
    """The schema as a function; making it takes longer than all else in reading the table."""
    import fastjsonschema

    check: Callable[[Any], Any] = fastjsonschema.compile(json.loads(schema))
    return check


def _explain(path: Path, error: Any, data: Any) -> str:
    keys = _keys(error.name.removeprefix("data"), data)
    expected = error.definition.get("description", error.definition.get("title", "what image.schema.json says"))
    name = keys[-1] if keys else "the file"
    if error.rule == "required":
        missing = [key for key in error.rule_definition if key not in error.value]
        return f"{at(path, keys)}{name} has no '{missing[0]}'; add it"
    if error.rule == "additionalProperties":
        known = error.definition.get("properties", {})
        extra = next(key for key in error.value if key not in known)
        return f"{at(path, (*keys, extra))}unknown key '{extra}'; choose from: {', '.join(known)}"
    shown = output.quoted(str(error.value)) if isinstance(error.value, str | int | float) else "not of the right kind"
    return f"{at(path, keys)}{name} is {shown}; write {expected}"


def _keys(place: str, data: Any) -> tuple[str, ...]:
    """The keys of a place such as `.bases.0.6.1.platforms[0]`; the data tells which dots belong to a key."""
    if isinstance(data, dict):
        for key, value in sorted(data.items(), key=lambda item: -len(str(item[0]))):
            if re.match(rf"\.{re.escape(str(key))}(?=[.\[]|$)", place):
                return (str(key), *_keys(place[len(str(key)) + 1 :], value))
    elif isinstance(data, list) and (index := re.match(r"\[(\d+)\]", place)):
        return (index[1], *_keys(place[index.end() :], data[int(index[1])]))
    return ()


def at(path: Path, keys: tuple[str, ...]) -> str:
    """`FILE:LINE: ` of a key; only on the way to an error, for this loader is the slow one."""
    (node,), line = yamlfile.editable(yamlfile.read(path), path, yamlfile.DATA), 0
    for key in keys:
        place = int(key) if isinstance(node, list) else key
        try:
            line = next(source.lc.data[place][0] for source in _with_merged(node) if place in source.lc.data)
            node = node[place]
        except (AttributeError, KeyError, IndexError, TypeError, StopIteration):
            break
    return f"{path}:{line + 1}: "


def _with_merged(node: Any) -> list[Any]:
    """A mapping and those that `<<` merges into it: a key's line is in the one that wrote it."""
    return [node, *getattr(getattr(node, "merge", None), "value", ())]
