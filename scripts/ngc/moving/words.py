"""A command line that stands in a config as a list: words replaced, added and dropped, the rest of the list as it is."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ngc.moving.source import Text, items, text_of


@dataclass
class Word:
    """A word, and the number of the item of the list it was or replaces; None for a new one."""

    text: str
    item: int | None = None


@dataclass
class Line:
    """A list of words in a text. `write` puts what was changed into the text's edits."""

    node: Any
    words: list[Word] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        return [word.text for word in self.words]

    def put(self, at: int, count: int, instead: Sequence[str]) -> None:
        """Replace `count` words by others; each takes the place of an old one as far as there are."""
        old = [word.item for word in self.words[at : at + count]]
        places = [*old[: len(instead)], *([None] * (len(instead) - len(old)))]
        self.words[at : at + count] = [Word(text, place) for text, place in zip(instead, places, strict=True)]

    def write(self, source: Text) -> None:
        """Turn the changes into edits."""
        nodes = items(self.node)
        kept = {word.item: word.text for word in self.words if word.item is not None}
        if gone := set(range(len(nodes))) - kept.keys():
            source.remove_items(self.node, gone)
        for number, text in kept.items():
            if text != nodes[number].value:
                source.replace(nodes[number], text)
        behind = 0
        for word in self.words:
            if word.item is None:
                source.add_item(self.node, behind, word.text)
            else:
                behind = word.item


def of(node: Any) -> Line:
    """The words of a list in a config."""
    return Line(node, [Word(text_of(item) or "", number) for number, item in enumerate(items(node))])


def replace_flag(line: Line, flag: str, instead: Sequence[str]) -> bool:
    """Put other words in the place of a flag without a value; True if it was there."""
    found = [at for at, text in enumerate(line.texts) if text == flag]
    for at in reversed(found):
        line.put(at, 1, instead)
    return bool(found)


def replace_values(line: Line, flag: str, values: Mapping[str, Sequence[str]]) -> bool | None:
    """Put the words of its value in the place of a flag with one value.

    False if the flag is not there, None if it is there and has another value, or several: nothing is changed then.
    """
    for at, text in enumerate(line.texts):
        name, equals, value = text.partition("=")
        if name != flag:
            continue
        following = [] if equals else _values(line.texts[at + 1 :])
        given = [value] if equals else following
        if len(given) != 1 or given[0] not in values:
            return None
        line.put(at, 1 + len(following), values[given[0]])
        return True
    return False


def _values(texts: Sequence[str]) -> list[str]:
    """The words up to the next flag."""
    end = next((number for number, text in enumerate(texts) if text.startswith("-")), len(texts))
    return list(texts[:end])


def has(line: Line, flag: str) -> bool:
    return any(text.partition("=")[0] == flag for text in line.texts)


def shell(line: Line) -> bool:
    """True if one of the words is a command line of its own, for a shell."""
    return any("dynamo." in text and len(_split(text)) > 1 for text in line.texts)


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # no closing quotation
        return text.split()


def mentions(line: Line, flag: str) -> bool:
    """True if a flag stands in a command line for a shell."""
    return any(flag in (word.partition("=")[0] for word in _split(text)) for text in line.texts if " " in text)
