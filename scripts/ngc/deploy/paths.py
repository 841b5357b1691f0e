"""Places in an object, as people write them: `spec.services.Frontend.envs[0].value`, `metadata.labels["example.com/team"]`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ngc.errors import Wrong

Keys = tuple[str | int, ...]
APPEND = -1  # the place after the last element of a list, written [+]
_PLAIN = re.compile(r"[^.\[\]\"'\\=\s]+")
# The first key stands alone; others follow a dot, or are in brackets. A backslash keeps a dot or a bracket in the key.
_STEP = re.compile(
    r"""(?:^|\.)(?P<name>(?:\\.|[^.\[\]\\])+)|\[(?:(?P<index>\d{1,6})|(?P<append>\+)|"(?P<double>[^"]+)"|'(?P<single>[^']+)')\]"""
)


def text(keys: Sequence[str | int]) -> str:
    """The keys as one path, which `parse` reads back."""
    written = ""
    for key in keys:
        if isinstance(key, int):
            written += "[+]" if key == APPEND else f"[{key}]"
        elif _PLAIN.fullmatch(key):
            written += f".{key}" if written else key
        else:
            written += f'["{key}"]'
    return written


def split(setting: str) -> tuple[str, str]:
    """PATH and VALUE of PATH=VALUE; an equals sign in quotes belongs to the path. Raises Wrong."""
    match = re.fullmatch(r"""(?P<path>(?:"[^"]*"|'[^']*'|[^="'])+)=(?P<value>.*)""", setting, re.DOTALL)
    if not match:
        raise Wrong(f"--set {setting}: write PATH=VALUE, such as --set spec.services.Frontend.replicas=2")
    return match["path"].strip(), match["value"]


def parse(path: str) -> Keys:
    """The keys of a path. Raises Wrong."""
    keys: list[str | int] = []
    at = 0
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise Wrong(f"--set {path}: cannot read '{path[at:]}'; write names with dots, [0] or [+] for elements of a list, "
                        '["a.b/c"] for names with dots')  # fmt: skip
        if step["name"]:
            keys.append(re.sub(r"\\(.)", r"\1", step["name"]))
        elif step["index"]:
            keys.append(int(step["index"]))
        elif step["append"]:
            keys.append(APPEND)
        else:
            keys.append(step["double"] or step["single"])
        at = step.end()
    return tuple(keys)
