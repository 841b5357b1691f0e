"""--set PATH=VALUE: changing a field of a config, checked against what the field takes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from ngc import yamlfile
from ngc.deploy import fields, schema
from ngc.deploy.fields import EITHER_KEY, Schema
from ngc.deploy.graph import Graph, of, plain
from ngc.deploy.paths import APPEND, Keys, parse, split, text
from ngc.errors import Wrong

MOST_SHOWN = 300  # characters of a setting in a sentence


def apply(graph: Graph, sets: Sequence[str]) -> Graph:
    """The graph with the fields changed. Raises Wrong for an unknown path or a value of another kind.

    PATH: names with dots, `[0]` and `[+]` (append) for elements of a list, `["a.b/c"]` for names with dots. VALUE is read as YAML
    and held to the field's kind by our model, or by the whole schema where DYNAMO_CRDS names a folder of CRDs; null takes the
    field out. What several settings make together must be right, not each step of it.
    """
    if not sets:
        return graph
    rules = schema.current(str(graph.data.get("apiVersion"))) or fields.MODEL
    seen = {problem.keys for problem in schema.problems(rules, plain(graph.data))}
    made: dict[tuple[Keys, str], str] = {}  # the setting that brought each problem
    for setting in sets:
        path, value = split(setting)
        _set(graph, rules, setting, parse(path), value)
        problems = [p for p in schema.problems(rules, plain(graph.data)) if p.keys not in seen]
        made = {(p.keys, f"{p.what}; {p.fix}"): made.get((p.keys, f"{p.what}; {p.fix}"), setting) for p in problems}
    for (keys, said), setting in made.items():
        raise Wrong(f"--set {setting}: {text(keys)}: {said}")
    return of(graph.path, graph.data, graph.others, graph.allowed)


def _set(graph: Graph, rules: Schema, setting: str, keys: Keys, value: str) -> None:
    """Change the one field, in place."""
    where = f"--set {setting if len(setting) <= MOST_SHOWN else f'{setting[:MOST_SHOWN]}...'}"
    holder, node = graph.data, rules
    for number, key in enumerate(keys):
        child = _known(graph, node, keys, number, where)
        at = _place(holder, key, keys[: number + 1], where)
        if number == len(keys) - 1:
            if value.strip() == "null":
                _take_out(holder, at)
            else:
                _put(holder, at, _read(child, value, text(keys), where))
            return
        inner = holder[at] if _has(holder, at) else None
        if inner is None:
            inner = _new(keys[number + 1])
            _put(holder, at, inner)
        elif not isinstance(inner, list if isinstance(keys[number + 1], int) else dict):
            raise Wrong(f"{where}: {text(keys[: number + 1])} {_how(inner)}")
        elif getattr(getattr(inner, "anchor", None), "value", None):
            inner = _own(inner)
            holder[at] = inner
        holder, node = inner, child


def _known(graph: Graph, node: Schema, keys: Keys, number: int, where: str) -> Schema:
    """The schema of a key. Raises Wrong, naming the nearest right ones."""
    key, above = keys[number], keys[:number]
    if above == ("spec", "services"):
        names = [service.key for service in graph.services]
        if key not in names:
            fix = schema.nearest(str(key), names)
            said = fix if fix.startswith("write ") else f"choose from: {', '.join(names)}"
            raise Wrong(f"{where}: there is no service '{key}'; {said}")
    found = fields.below(node, key)
    if found is not None:
        return found
    if isinstance(key, int) or ("properties" not in node and "additionalProperties" not in node):
        raise Wrong(
            f"{where}: {text(above)} takes {fields.kind(node)}, so '{key}' cannot follow; end the path before it"
        )
    raise Wrong(
        f"{where}: there is no field '{text((*above, str(key)))}'; {schema.nearest(str(key), list(node.get('properties', {})), above)}"
    )


def _how(inner: Any) -> str:
    if isinstance(inner, list):
        return "is a list; name an element as [0], or append one with [+]"
    return (
        "is a mapping; name a field of it after a dot"
        if isinstance(inner, dict)
        else "is no list or mapping; set it as a whole"
    )


def _place(holder: Any, key: str | int, keys: Keys, where: str) -> str | int:
    """The key in its holder; for a list the number of an element that is there, or of the next one."""
    if isinstance(key, str):
        return key
    if key == APPEND or key == len(holder):
        return len(holder)
    if key > len(holder):
        there = f"has {len(holder)} elements; write a number below {len(holder)}, or" if holder else "is empty; write"
        raise Wrong(f"{where}: {text(keys[:-1])} {there} [+] to append")
    return key


def _has(holder: Any, at: str | int) -> bool:
    return at < len(holder) if isinstance(at, int) else at in holder


def _put(holder: Any, at: str | int, value: Any) -> None:
    if isinstance(at, int) and at == len(holder):
        holder.append(value)
    else:
        holder[at] = value


def _take_out(holder: Any, at: str | int) -> None:
    if _has(holder, at):
        del holder[at]


def _new(key: str | int) -> Any:
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    return CommentedSeq() if isinstance(key, int) else CommentedMap()


def _own(shared: Any) -> Any:
    """A copy without the anchor: what other places of the file share with this one stays as it is there."""
    own = copy.deepcopy(shared)
    own.anchor.value = None
    return own


def _read(node: Schema, value: str, path: str, where: str) -> Any:
    """The value as the field takes it."""
    try:
        documents = yamlfile.editable(value, where)
        if len(documents) > 1:
            raise Wrong(f"{where}: the value holds {len(documents)} documents; write one")
        data = documents[0] if documents else None
    except Wrong:
        if node.get("type") != "string" and not node.get(EITHER_KEY):
            raise
        data = value
    # Whatever is written for a field of text is text: gpu=2, value=true, and JSON for a flag.
    if node.get("type") == "string" and not node.get(EITHER_KEY):
        return plain(data) if isinstance(data, str) else value
    data = _fitted(node, data)
    if not schema.is_kind(node, plain(data)):
        raise Wrong(
            f"{where}: {path} takes {fields.kind(node)}, and this is {schema.shown(plain(data))}; write {_example(node)}"
        )
    return data


def _fitted(node: Schema, data: Any) -> Any:
    """Numbers and truth values that stand where the CRD wants text, as text; also inside lists and mappings."""
    if isinstance(data, dict):
        for key in data:
            data[key] = _fitted(fields.below(node, str(key)) or {}, data[key])
    elif isinstance(data, list):
        for number in range(len(data)):
            data[number] = _fitted(node.get("items", {}), data[number])
    elif node.get("type") == "string" and isinstance(data, (bool, int, float)):
        return str(data).lower() if isinstance(data, bool) else str(data)
    return data


def _example(node: Schema) -> str:
    examples = {"integer": "a number such as 2", "boolean": "true or false", "array": "a list such as [a, b]",
                "object": "a mapping such as {a: b}"}  # fmt: skip
    return examples.get(node.get("type", ""), "a number such as 2, or text")
