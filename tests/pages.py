"""Commands of a page of docs/, for tests that run them in the page's order."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path


def commands(page: Path) -> dict[str, list[list[str]]]:
    """The commands of every ```sh block, by the heading they stand under, in order."""
    found: dict[str, list[list[str]]] = {}
    for part in re.split(r"^## ", page.read_text(), flags=re.M):
        heading = part.partition("\n")[0]
        blocks = re.findall(r"^```sh\n(.*?)^```", part, re.M | re.S)
        lines = [line for block in blocks for line in block.splitlines() if line.strip()]
        if lines:
            found[heading] = [shlex.split(line, comments=True) for line in lines]
    return found


def put_in(words: list[str], names: Mapping[str, str]) -> list[str]:
    """A command with names of this machine in place of the page's; a name is a whole word or the value of a flag."""
    made = []
    for word in words:
        flag, sign, value = word.partition("=")
        made.append(f"{flag}={names[value]}" if sign and value in names else names.get(word, word))
    return made
