"""A YAML file as text: where its values stand, and edits that leave everything else as it is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ngc import yamlfile

# Words that need no quotes: no YAML value of another kind (a number has one dot at most), no sign with a meaning at their start.
_PLAIN = re.compile(
    r"--?[A-Za-z][\w.=/-]*|\d+\.\d+\.\d+[\w.-]*|[A-Za-z/][\w./-]*|[A-Za-z][\w./-]*:[\w./-]+(?:@sha256:[0-9a-f]+)?"
)
_RESERVED = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n"))


@dataclass
class Text:
    """The text of a file and what is to be changed in it: (start, end, instead) by position."""

    path: Path
    text: str
    edits: dict[tuple[int, int], str] = field(default_factory=dict)

    def documents(self) -> list[Any]:
        """The nodes of its documents, with their places. Raises Wrong with file and line for what is no YAML."""
        return yamlfile.nodes(self.text, self.path)

    def replace(self, node: Any, value: str) -> None:
        """Write another value where a scalar stands."""
        self.edits[node.start_mark.index, node.end_mark.index] = quoted(value)

    def insert(self, at: int, text: str) -> None:
        """Write something between; what comes later to the same place stands behind."""
        self.edits[at, at] = self.edits.get((at, at), "") + text

    def remove_items(self, sequence: Any, numbers: set[int]) -> None:
        """Take items out of a list; of a block list their lines go, with the comments beside them."""
        nodes = sequence.value
        if not sequence.flow_style:
            for number in numbers:
                dash = _dash(self.text, nodes[number].start_mark.index)
                start = self.text.rfind("\n", 0, dash) + 1
                self.edits[start, self.line_end(last(nodes[number])) + 1] = ""
            return
        first = next((number for number in range(len(nodes)) if number not in numbers), len(nodes))
        if first:  # with what stands between them and the first that stays
            end = nodes[first].start_mark.index if first < len(nodes) else nodes[-1].end_mark.index
            self.edits[nodes[0].start_mark.index, end] = ""
        for number in numbers:
            if number > first:
                self.edits[nodes[number - 1].end_mark.index, nodes[number].end_mark.index] = ""

    def add_item(self, sequence: Any, number: int, word: str) -> None:
        """Add an item behind the one of that number, in the list's own style."""
        item = sequence.value[number]
        if sequence.flow_style:
            self.insert(item.end_mark.index, f", {quoted(word, flow=True)}")
            return
        dash = _dash(self.text, item.start_mark.index)
        line = self.text.rfind("\n", 0, dash) + 1
        self.insert(self.line_end(last(item)), f"\n{' ' * (dash - line)}- {quoted(word)}")

    def line_end(self, index: int) -> int:
        """Where the line of a place ends; a block of text ends with its last line."""
        if index and self.text[index - 1] == "\n":
            return index - 1
        end = self.text.find("\n", index)
        return len(self.text) if end < 0 else end

    def result(self) -> str:
        """The text with its edits. Of two that overlap the first counts: what is removed needs no change."""
        made, at = [], 0
        for (start, end), instead in sorted(self.edits.items()):
            if start < at:
                continue
            made += [self.text[at:start], instead]
            at = end
        return "".join([*made, self.text[at:]])


def quoted(word: str, flow: bool = False) -> str:
    """A text as YAML, in quotes only where it must be."""
    if _PLAIN.fullmatch(word) and word.lower() not in _RESERVED and not (flow and ":" in word):
        return word
    return '"' + word + '"' if re.fullmatch(r"[\w. -]*", word) else "'" + word.replace("'", "''") + "'"


def get(node: Any, *keys: str) -> Any:
    """The node below a mapping at these keys, None where there is none; what `<<` merges in counts."""
    for key in keys:
        node = next((value for name, value in pairs(node) if name.value == key), None)
        if node is None:
            return None
    return node


def pairs(node: Any) -> Iterator[tuple[Any, Any]]:
    """(key, value) of a mapping, its own first; none of anything else."""
    if getattr(node, "id", "") != "mapping":
        return
    for name, value in node.value:
        if name.value != "<<":
            yield name, value
    for name, value in node.value:
        if name.value == "<<":
            for merged in value.value if value.id == "sequence" else [value]:
                yield from pairs(merged)


def items(node: Any) -> list[Any]:
    """The nodes of a list; none of anything else."""
    return list(node.value) if getattr(node, "id", "") == "sequence" else []


def text_of(node: Any) -> str | None:
    """The text of a scalar."""
    return str(node.value) if getattr(node, "id", "") == "scalar" else None


def last(node: Any) -> int:
    """Where the last character of a value is written; a block's own end mark stands behind the comments that follow it."""
    if getattr(node, "flow_style", None) is False and node.value:
        below = node.value[-1]
        return last(below[1] if node.id == "mapping" else below)
    return int(node.end_mark.index)


def _dash(text: str, start: int) -> int:
    """The place of the dash before an item of a block list."""
    return text.rfind("-", 0, start)
