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

from ngc import files
from ngc.errors import Wrong

SCHEMA = "image.schema.json"


def load(path: Path) -> dict[str, Any]:
    """The content of an image.yaml that the schema accepts. Raises Wrong for any other."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    try:
        data = YAML(typ="safe").load(path)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        raise Wrong(f"{path}:{mark.line + 1 if mark else 1}: {error.problem}; mend the YAML") from None
    _validate(path, data)
    return data  # type: ignore[no-any-return]  # the schema has just said that it is a mapping


def _validate(path: Path, data: Any) -> None:
    """Hold the data to the schema. A mark in the user's cache says that this very text has passed this very schema."""
    schema = (path.parent.parent / SCHEMA).read_text()
    text = hashlib.sha256(schema.encode() + b"\0" + path.read_bytes()).hexdigest()
    kept = files.cache("valid")
    if kept is not None and (kept / text).exists():  # without a cache it costs 15 ms
        return
    import fastjsonschema

    try:
        _validator(schema)(data)
    except fastjsonschema.JsonSchemaValueException as error:
        raise Wrong(_explain(path, error, data)) from None
    if kept is not None:
        with suppress(OSError):
            (kept / text).touch()


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
    shown = f"'{error.value}'" if isinstance(error.value, (str, int, float)) else "not of the right kind"
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
    from ruamel.yaml import YAML

    node, line = YAML().load(path), 0
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
