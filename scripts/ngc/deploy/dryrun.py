"""What an API server says to a config: every object of the file, in a strict dry run, by kubectl."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ngc.deploy.cluster import kubectl
from ngc.deploy.cluster.kubectl import Cluster
from ngc.deploy.graph import KIND, Graph, plain
from ngc.deploy.paths import Keys
from ngc.deploy.rules.rule import Found
from ngc.errors import Wrong

_NO_NAMESPACE = re.compile(r'namespaces "([^"]+)" not found')
_NO_KIND = re.compile(rf'no matches for kind "{KIND}"')
_INVALID = re.compile(r"^(?:\* |.* is invalid: )(?P<field>[\w.\[\]\"/-]+): (?P<what>.+)$", re.MULTILINE)


def findings(graph: Graph, cluster: Cluster) -> list[tuple[str, Found]]:
    """What a server refuses of the file's objects, as findings of the rule `server`. Nothing is changed there.

    Raises Wrong for a namespace that is not there, Unreachable where no server answers.
    """
    objects = [*graph.beside, plain(graph.data)]
    return [("server", found) for each in objects for found in _refused(each, cluster)]


def _refused(each: Mapping[str, Any], cluster: Cluster) -> Iterator[Found]:
    # `create`, for server-side apply names only some of the unknown fields.
    done = kubectl.call(cluster, "create", "--dry-run=server", "--validate=strict", "-f", "-", text=json.dumps(each))
    said = done.err
    if not done.code or "(AlreadyExists)" in said:
        return
    own = each.get("kind") == KIND
    name = f"{each.get('kind')} {each.get('metadata', {}).get('name')}: "
    if _NO_NAMESPACE.search(said):
        raise Wrong(kubectl.explain(cluster, done, ("create",)))
    if _NO_KIND.search(said):
        yield Found((), f"the cluster does not know {KIND}", "install the platform of Dynamo (dynamo-platform) there")
    elif unknown := re.findall(r'unknown field "([^"]+)"', said):
        for path in unknown:
            yield Found(
                _keys(each, path) if own else (),
                f"{'' if own else name}the server knows no field {path}",
                "take it out",
            )
    elif invalid := list(_INVALID.finditer(said)):
        for match in invalid:
            keys = _keys(each, match["field"]) if own else ()
            yield Found(
                keys,
                f"{'' if keys else name + match['field'] + ': '}{_one_line(match['what'])}",
                "write what the server asks for",
            )
    else:
        yield Found((), f"{name}{_one_line(said)}", "mend it, or ask who runs the cluster")


def _keys(each: Mapping[str, Any], path: str) -> Keys:
    """The keys of a server's path, in which names with dots are not marked: the object tells."""
    keys: list[str | int] = []
    node: Any = each
    while path:
        index = re.match(r"\[(\d+)\]\.?", path)
        if not index and (named := re.match(r"\.?\[([^\]]+)\]", path)):  # spec.services[Frontend], of duplicates
            path = named[1] + path[named.end() :]
        if index:
            keys.append(int(index[1]))
            node = node[int(index[1])] if isinstance(node, list) and int(index[1]) < len(node) else None
            path = path[index.end() :]
            continue
        names = sorted(map(str, node), key=len, reverse=True) if isinstance(node, Mapping) else []
        name = next((n for n in names if re.match(rf"{re.escape(n)}(?=[.\[]|$)", path)), re.split(r"[.\[]", path)[0])
        keys.append(name)
        node = node.get(name) if isinstance(node, Mapping) else None
        path = path[len(name) :].removeprefix(".")
        if not name:
            break
    return tuple(keys)


def _one_line(said: str) -> str:
    return " ".join(said.split())[:300]
