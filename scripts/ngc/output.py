"""What people see: other people's text made harmless, and streams that make it so."""

from __future__ import annotations

import io
import re
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

# Control characters (C0, DEL, C1), those that turn the direction of a line, and halves of surrogate pairs. Tab and newline are none.
_DRIVES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def harmless(text: str) -> str:
    """Text in which whatever could drive a terminal stands as an escape such as \\x1b; lines and tabs stay."""
    return _DRIVES.sub(lambda match: _escape(match[0]), text)


def line(text: str) -> str:
    """As `harmless`, on one line: for a cell of a table, a name in a sentence, a row of a report."""
    return harmless(text).replace("\n", "\\n").replace("\t", "\\t")


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


class Harmless(io.TextIOBase):
    """A text stream before another one: what is printed there is made harmless first."""

    def __init__(self, stream: TextIO) -> None:
        self.raw = stream

    def write(self, text: str) -> int:
        self.raw.write(harmless(text) if _DRIVES.search(text) else text)
        return len(text)

    def flush(self) -> None:
        self.raw.flush()

    def __getattr__(self, name: str) -> Any:  # isatty, fileno, encoding, buffer ...
        return getattr(self.raw, name)

    def isatty(self) -> bool:
        return self.raw.isatty()

    def fileno(self) -> int:
        return self.raw.fileno()

    def writable(self) -> bool:
        return True


def guard() -> None:
    """Make harmless whatever this process prints from here on; children write where they wrote before."""
    if not isinstance(sys.stdout, Harmless):
        sys.stdout, sys.stderr = Harmless(sys.stdout), Harmless(sys.stderr)


def unguard() -> None:
    """Take the streams back."""
    if isinstance(sys.stdout, Harmless) and isinstance(sys.stderr, Harmless):
        sys.stdout, sys.stderr = sys.stdout.raw, sys.stderr.raw


def console(stream: TextIO, width: int | None = None) -> Console:
    """A console of rich's, which sends escapes of its own: what it shows goes through `line` or `harmless` first, and through
    Text where it could be taken for markup.
    """
    from rich.console import Console

    return Console(file=stream.raw if isinstance(stream, Harmless) else stream, width=width)
