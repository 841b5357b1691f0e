"""What people see: other people's text made harmless, streams that make it so, tables, and one live display."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDE = 200  # columns of a table that no terminal shows

# Control characters (C0, DEL, C1), those that turn the direction of a line, and halves of surrogate pairs. Tab and newline are none.
_DRIVES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def harmless(text: str) -> str:
    """Text in which whatever could drive a terminal stands as an escape such as \\x1b; lines and tabs stay."""
    return _DRIVES.sub(lambda match: _escape(match[0]), text)


def line(text: str) -> str:
    """As `harmless`, on one line: for a cell of a table, a name in a sentence, a row of a report."""
    return harmless(text).replace("\n", "\\n").replace("\t", "\\t")


def quoted(text: str) -> str:
    """A value of other people's in a sentence: in quotes, on one line, 100 characters at most."""
    said = line(text)
    return f"'{said}'" if len(said) <= 100 else f"'{said[:97]}...'"


def lines(texts: Iterable[str]) -> str:
    """A page of these lines: a text with a newline in it begins none of its own."""
    return "\n".join(map(line, texts))


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
    """Make harmless whatever this process prints from here on."""
    sys.stdout, sys.stderr = (s if isinstance(s, Harmless) else Harmless(s) for s in (sys.stdout, sys.stderr))


def unguard() -> None:
    """Take the streams back."""
    sys.stdout, sys.stderr = (s.raw if isinstance(s, Harmless) else s for s in (sys.stdout, sys.stderr))


def to_stdout(text: str) -> None:
    """What a child process prints, for stdout: given to `sh` as `_out`, so that it goes the way of our own text."""
    print(text, end="", flush=True)


def to_stderr(text: str) -> None:
    """As `to_stdout`, for stderr."""
    print(text, end="", file=sys.stderr, flush=True)


Cell = str | tuple[str, str]  # a text, or a text and a style of rich's
Rows = Iterable[Sequence[Cell]]


def print_table(headings: Sequence[str], rows: Rows, right: Collection[int] = ()) -> None:
    """Print a table on stdout; `right`: the columns that are aligned there. Cells too wide for a terminal are folded."""
    from rich.table import Table

    view = Table(box=None, pad_edge=False, header_style="bold")
    for number, heading in enumerate(headings):
        view.add_column(
            heading, justify="right" if number in right else "left", overflow="fold", no_wrap=number in right
        )
    _console(sys.stdout).print(_filled(view, rows))


@contextmanager
def live(rows: Callable[[], Rows], right: Collection[int] = ()) -> Iterator[None]:
    """Show a table on stderr, a terminal, and show it anew all the time; of the last column what fits in the line is shown."""
    from rich.live import Live
    from rich.table import Table

    def draw() -> Table:
        shown, view = list(rows()), Table.grid(padding=(0, 2), expand=True)
        last = max(map(len, shown), default=0) - 1
        for number in range(last + 1):
            justify: Any = "right" if number in right else "left"
            view.add_column(justify=justify, no_wrap=True, overflow="ellipsis", ratio=1 if number == last else None)
        return _filled(view, shown)

    # Only what goes to a terminal is printed above the display; stdout may be a file.
    options: dict[str, Any] = {"refresh_per_second": 8, "redirect_stdout": sys.stdout.isatty()}
    with Live(get_renderable=draw, console=_console(sys.stderr), **options):
        guard()  # the display has put streams of its own before ours
        yield


def _filled(view: Table, rows: Rows) -> Table:
    """The table with its rows: cells are texts, in which nothing is markup and nothing drives the terminal."""
    from rich.text import Text

    for row in rows:
        texts = [(cell, "") if isinstance(cell, str) else cell for cell in row]
        view.add_row(*(Text(line(text), style) for text, style in texts))
    return view


def _console(stream: TextIO) -> Console:
    """A console of rich's, which sends escapes of its own and so writes past `Harmless`."""
    from rich.console import Console

    width = None if stream.isatty() else WIDE
    return Console(file=stream.raw if isinstance(stream, Harmless) else stream, width=width)
