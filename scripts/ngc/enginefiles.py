"""The engine files in configs/: the ConfigMap beside a graph is made from the files of common/base-configs, which people edit.

A config must work with `kubectl apply -f` alone, so it holds the text itself; `ngc.tables` writes it and sees when it is stale.
"""

from __future__ import annotations

import re
from pathlib import Path

from ngc.errors import Wrong

# `# <engine files: made from ngc-builds/common/base-configs/NAME by ...>`, the ConfigMap's data, `# <end of engine files>`.
_BLOCK = re.compile(
    r"(?P<head># <engine files: made from ngc-builds/(?P<folder>common/base-configs/[\w-]+) [^>]*>\n)"
    r"(?P<data>.*?)(?P<tail># <end of engine files>\n)",
    re.DOTALL,
)
_KEY = re.compile(r"^  (?P<name>[\w.-]+): \|", re.MULTILINE)


def filled(config: Path, builds: Path) -> str:
    """The config's text with its engine files made anew; each key of the block is a file of the folder it names.

    `builds` is ngc-builds. Raises Wrong for a file that is not there.
    """
    text = config.read_text()

    def replaced(block: re.Match[str]) -> str:
        folder = builds / block["folder"]
        lines = ["data:"]
        for name in _KEY.findall(block["data"]):
            if not (folder / name).is_file():
                there = ", ".join(sorted(path.name for path in folder.glob("*.yaml"))) or "none"
                line = text[: block.start("data")].count("\n") + 1
                raise Wrong(f"{config}:{line}: {folder} has no {name}; the block may name: {there}")
            lines.append(f"  {name}: |")
            lines += [f"    {line}".rstrip() for line in (folder / name).read_text().splitlines()]
        return block["head"] + "\n".join(lines) + "\n" + block["tail"]

    return _BLOCK.sub(replaced, text)
