"""YAML that others wrote: held to bounds before anything is made of it; every error is one sentence with file and line."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from ngc.errors import Wrong

DEPTH = 100  # lists and mappings inside each other; readers of YAML recurse
DIGITS = 1000  # of a number; Python takes quadratic time for them, and refuses more than 4300
# Control characters (YAML allows none but these three), and a byte order mark that does not begin the text.
_NO_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|(?<!^)\ufeff")
_NUMBER = re.compile(r"[-+]?\.?\d[\da-fA-FxobeE_.+-]*|[-+]?\.inf|\.nan", re.IGNORECASE)
_NULL = ("", "~", "null", "Null", "NULL")
_FIX = "mend the YAML"


@dataclass(frozen=True)
class Limits:
    """What a text may have: bytes, and nodes (scalars, lists, mappings) when every alias is replaced by what it stands for.

    `finite` True: no infinity and no NaN, which JSON has no words for.
    """

    size: int
    nodes: int
    finite: bool = False


DATA = Limits(4 * 2**20, 100_000)
# A config is read with its comments and lines, by a reader in Python that makes 10,000 nodes a second, and half a million of lines.
# Kubernetes itself takes no ConfigMap above 1 MiB.
CONFIG = Limits(2**20, 8_000, finite=True)

T = TypeVar("T")
Where = Path | str  # a file, or words that stand in front of the sentence in its place


def read(path: Path, limits: Limits = DATA) -> str:
    """The text of a file, in UTF-8, with newlines alone at the ends of its lines. Raises Wrong, OSError."""
    with path.open("rb") as file:
        data = file.read(limits.size + 1)
    _held_to_size(data, path, limits)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start)
        raise _wrong(path, line, f"the byte 0x{data[error.start]:02x} is no UTF-8", "save the file as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def load(text: str, where: Where, checked: bool = False) -> Any:
    """The data of a text with one document; a date stays text, as for Kubernetes. `checked`: it was found in bounds before. Raises Wrong."""
    if not checked:
        check(text, where)
    return _made(where, lambda: _reader("safe").load(text))


def load_all(text: str, where: Where) -> list[Any]:
    """The data of each document of a text. Raises Wrong."""
    check(text, where)
    return _made(where, lambda: list(_reader("safe").load_all(text)))


def load_file(path: Path) -> Any:
    """The data of a file with one document. Raises Wrong, OSError."""
    return load(read(path), path)


def editable(text: str, where: Where, limits: Limits = CONFIG) -> list[Any]:
    """The documents of a text with comments and lines. Raises Wrong."""
    check(text, where, limits)
    return _made(where, lambda: list(_reader("rt").load_all(text)))


def nodes(text: str, where: Where) -> list[Any]:
    """The documents of a text as nodes that know where they stand in it; an empty one is left out. Raises Wrong."""
    from ruamel.yaml import YAML

    check(text, where, CONFIG)
    return _made(where, lambda: [node for node in YAML(pure=True).compose_all(text) if node is not None])


def scalars(text: str, where: Where) -> list[Any]:
    """The tokens of a text's scalars, which know where they stand in it. Raises Wrong."""
    from ruamel.yaml import YAML
    from ruamel.yaml.tokens import ScalarToken

    check(text, where, CONFIG)
    return _made(where, lambda: [t for t in YAML(typ="safe", pure=True).scan(text) if isinstance(t, ScalarToken)])


def check(text: str, where: Where, limits: Limits = DATA) -> None:
    """Raise Wrong for a text that is out of bounds, or that is no YAML; nothing is made of it."""
    _held_to_size(text, where, limits)
    if match := _NO_TEXT.search(text):
        what = f"the character U+{ord(match[0]):04X} may not stand in YAML"
        raise _wrong(
            where, text.count("\n", 0, match.start()), what, "take it out, or write it as an escape in double quotes"
        )
    _made(where, lambda: _Walk(where, limits).through(text))


@dataclass
class _Open:
    """A list or mapping whose end has not come. `begun`: nodes before it; `key`: the one whose value comes next."""

    kind: str
    anchor: str | None
    begun: int
    merged: bool  # what it holds is merged into the mapping around it
    keys: set[str] = field(default_factory=set)
    key: str | None = None


class _Walk:
    """A look at the events of a parser, which makes nothing of them."""

    def __init__(self, where: Where, limits: Limits) -> None:
        self.where, self.limits = where, limits
        self.open: list[_Open] = []
        self.anchors: dict[str, tuple[str, int | None]] = {}  # kind and nodes; None until the end has come
        self.nodes = self.line = 0

    def through(self, text: str) -> None:
        from ruamel.yaml import YAML

        for event in YAML(typ="safe").parse(text):
            kind = type(event).__name__.removesuffix("Event")
            self.line = event.start_mark.line
            if kind == "DocumentStart":
                self.anchors = {}
            elif kind == "Alias":
                self._alias(event.anchor)
            elif kind == "Scalar":
                self._scalar(event)
            elif kind in ("MappingStart", "SequenceStart"):
                self._opened(event, "mapping" if kind == "MappingStart" else "list")
            elif kind in ("MappingEnd", "SequenceEnd"):
                ended = self.open.pop()
                if ended.anchor:
                    self.anchors[ended.anchor] = ended.kind, self.nodes - ended.begun

    def _alias(self, name: str) -> None:
        kind, size = self.anchors.get(name, ("", 0))
        if not kind:
            raise self._wrong(f"the alias *{name} has no anchor before it")
        if size is None:
            raise self._wrong(f"the alias *{name} stands inside of what it is an alias of")
        if self._is_key():
            self._key(kind, f"*{name}", plain=False)
        else:
            self._value(kind)
        self._counted(size)

    def _scalar(self, event: Any) -> None:
        plain = event.implicit[0]
        self._node(event, "scalar", 1)
        if plain and _NUMBER.fullmatch(event.value):
            if len(event.value) > DIGITS:
                fix = f"write {DIGITS} at most, or put it in quotes as text"
                raise self._wrong(f"a number has {len(event.value)} digits", fix)
            if self.limits.finite and not _finite(event.value):
                fix = "write a finite one, or put it in quotes as text"
                raise self._wrong(f"{event.value} is a number that JSON has no words for", fix)
        if self._is_key():
            self._key("scalar", event.value, plain)
        else:
            self._value("scalar")

    def _opened(self, event: Any, kind: str) -> None:
        begun = self.nodes
        self._node(event, kind, None)
        if self._is_key():
            self._key(kind, "", plain=False)
        merged = self._value(kind)
        if len(self.open) == DEPTH:
            raise self._wrong(f"lists and mappings stand more than {DEPTH} deep inside each other", "write it flatter")
        self.open.append(_Open(kind, event.anchor, begun, merged and kind == "list"))

    def _node(self, event: Any, kind: str, size: int | None) -> None:
        """Whatever is true of each node. Tags are for programs that make more of a file than data."""
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")[:100]
            raise self._wrong(f"the tag {tag} is none that is read here", "write the value without it, text in quotes")
        if event.anchor in self.anchors:
            raise self._wrong(f"the anchor &{event.anchor} stands twice in one document", "give one another name")
        if event.anchor:
            self.anchors[event.anchor] = kind, size
        self._counted(1)

    def _is_key(self) -> bool:
        return bool(self.open) and self.open[-1].kind == "mapping" and self.open[-1].key is None

    def _key(self, kind: str, text: str, plain: bool) -> None:
        if kind != "scalar" or (plain and text in _NULL):
            raise self._wrong(f"{'nothing' if plain else f'a {kind}'} stands where a key must", "write text as the key")
        if text in self.open[-1].keys:
            raise self._wrong(f"the key '{text[:100]}' stands twice in one mapping", "drop one of them")
        self.open[-1].keys.add(text)
        self.open[-1].key = text if plain or text != "<<" else f"'{text}'"

    def _value(self, kind: str) -> bool:
        """Whether a value is merged into the mapping around it. Raises Wrong for one that cannot be."""
        if not self.open:
            return False
        around = self.open[-1]
        merged, around.key = around.merged or around.key == "<<", None
        if merged and kind != "mapping" and (around.merged or kind != "list"):
            raise self._wrong("<< merges what is no mapping", "name a mapping there, or a list of them")
        return merged

    def _counted(self, size: int) -> None:
        self.nodes += size
        if self.nodes > self.limits.nodes:
            what = f"it has more than {self.limits.nodes:,} values, each alias counted as what it stands for"
            raise self._wrong(what, "split it, or repeat less")

    def _wrong(self, what: str, fix: str = _FIX) -> Wrong:
        return _wrong(self.where, self.line, what, fix)


def _finite(text: str) -> bool:
    try:
        return math.isfinite(float(text.lower().replace("_", "").replace(".inf", "inf").replace(".nan", "nan")))
    except ValueError:  # 0x1f, a version, a hash
        return True


def _held_to_size(data: bytes | str, where: Where, limits: Limits) -> None:
    if len(data) > limits.size:
        raise Wrong(f"{where}: it has more than {limits.size / 2**20:g} MiB; no YAML that is read here needs as much")


def _wrong(where: Where, line: int, what: str, fix: str) -> Wrong:
    """`line` from 0."""
    place = f"{where}:{line + 1}" if isinstance(where, Path) else where
    return Wrong(f"{place}: {what}; {fix}")


def _made(where: Where, make: Callable[[], T]) -> T:
    """What is made of a text. Raises Wrong for what the reader of YAML refuses."""
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return make()
    except MarkedYAMLError as error:
        mark = error.problem_mark
        raise _wrong(where, mark.line if mark else 0, str(error.problem), _FIX) from None
    except YAMLError as error:
        raise Wrong(f"{where}: {' '.join(str(error).split())[:200]}; {_FIX}") from None


def _reader(kind: str) -> Any:
    """A reader that takes dates for texts, as Kubernetes does; `kind`: safe for data, rt with comments and lines."""
    from ruamel.yaml import YAML

    reader = YAML(typ=kind)
    reader.Constructor = _constructor(kind)
    return reader


@lru_cache(maxsize=2)
def _constructor(kind: str) -> Any:
    from ruamel.yaml.constructor import RoundTripConstructor, SafeConstructor

    base = RoundTripConstructor if kind == "rt" else SafeConstructor
    made: Any = type("Constructor", (base,), {})
    made.add_constructor("tag:yaml.org,2002:timestamp", base.construct_yaml_str)
    return made
