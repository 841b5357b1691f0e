"""Other people's text on a terminal, in tables, pages, pictures and reports: shown, and nothing but shown."""

import os
import pty
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from ngc import docs, output
from ngc import engine as engines
from ngc.comparing import page, plot

HOSTILE = "\x1b]0;PWN\x07[red]x[/red]\u202ea|b```<&\nERROR: forged\r\x9b2J"
SHOWN = r"\x1b]0;PWN\x07[red]x[/red]\u202ea|b```<&\nERROR: forged\x0d\x9b2J"
DRIVES = ("\x1b]", "\x07", "\u202e", "\x9b", "\nERROR: forged")

LIVE = {
    "build": """
from ngc import progress
with progress.listening() as listen:
    listen(HOSTILE, "start")
    listen(HOSTILE, "#7 [2/3] RUN " + HOSTILE.replace(chr(10), "").replace(chr(13), ""))
""",
    "extract": """
from ngc.extract import report
from types import SimpleNamespace
class Blob(SimpleNamespace):
    __hash__ = object.__hash__
with report.listening(False) as listen:
    listen("read", Blob(name=HOSTILE, size=9, first=False), 3, 1)
""",
    "up and deploy": """
from ngc.deploy import watching
with watching.watching() as update:
    update({HOSTILE: HOSTILE})
""",
    "mirror": """
from ngc import mirror
with mirror.listening(9) as listen:
    listen("start", HOSTILE, 0, 9)
""",
}


def on_a_terminal(root, code, columns=300, **options):
    """What a terminal gets from a child whose stderr it is."""
    master, slave = pty.openpty()
    start = f"HOSTILE = {HOSTILE!r}\n"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root / "scripts"), "TERM": "xterm"}
    environment |= {"COLUMNS": str(columns), "PYTHONUTF8": "1"}
    child = subprocess.Popen([sys.executable, "-c", start + code], stderr=slave, env=environment, **options)
    os.close(slave)
    said = b""
    try:
        while piece := os.read(master, 65536):
            said += piece
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(master)
    out = child.communicate()[0]
    assert child.returncode == 0, said.decode()
    return said.decode().replace("\r\n", "\n"), out


@pytest.mark.parametrize("display", LIVE)
def test_a_live_display_shows_text_of_others_and_obeys_none_of_it(root, display):
    said, _ = on_a_terminal(root, LIVE[display])
    assert r"\x1b]0;PWN\x07[red]x[/red]\u202ea|b```<&" in said
    assert [text for text in DRIVES if text in said] == []


def test_a_live_display_cuts_off_what_happens_and_never_whom_it_happens_to(root):
    code = """
from ngc.deploy import watching
with watching.watching() as update:
    update({"a-name-of-some-length": "x" * 500})
"""
    said, _ = on_a_terminal(root, code, columns=60)
    shown = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]|\r", "", said).splitlines()
    (row,) = {line for line in shown if re.match(r"a-name-of-some-length +\d+\.\d s  xxxx", line)}
    assert row.rstrip().endswith("x…")
    assert len(row) <= 60


def test_what_is_printed_while_a_display_is_live_goes_where_it_should_and_drives_nothing(root):
    """rich's display takes over both streams: what was for a file came on the terminal, past the guard."""
    code = """
import sys
from ngc import output
output.guard()
with output.live(lambda: [("row",)]):
    print("data")
    print("told" + HOSTILE.partition(chr(10))[0], file=sys.stderr)
"""
    said, out = on_a_terminal(root, code, stdout=subprocess.PIPE)
    assert out == b"data\n"
    assert r"told\x1b]0;PWN\x07[red]x[/red]\u202e" in said
    assert [text for text in DRIVES if text in said] == []


def test_a_table_shows_text_of_others_and_obeys_none_of_it(capsys):
    output.print_table(("name", "bytes"), [(HOSTILE, "1"), (("built", "green"), HOSTILE)], right=(1,))
    said = capsys.readouterr().out
    assert said.count(SHOWN) == 2
    assert [text for text in DRIVES if text in said] == []


def test_an_image_is_shown_and_does_not_drive_the_terminal(builder, invoke):
    """Variables, labels, entrypoint and steps are whoever's who made the image."""
    text = HOSTILE.partition("\n")[0].replace('"', "")
    name = f"{builder.tag}/hostile:1.0.0"
    changes = (f'ENV X="{text}"', f'ENTRYPOINT ["{text}"]'.replace("\x1b", "\\u001b").replace("\x07", "\\u0007"))
    builder.import_base(b"".join([b"\0" * 1024]), *changes, name=name)
    try:
        code, out, err = invoke("show", f"--image={name}")
    finally:
        engines.ask(builder.engine, "image", "rm", "--force", name, fails=False)
    assert (code, err) == (0, "")
    assert r"X=\x1b]0;PWN\x07[red]x[/red]\u202ea|b```<&" in out.splitlines()
    assert [text for text in DRIVES if text in out] == []


def compared(text):
    """A comparison of two images that say `text` wherever they can."""
    layer = {"diff_id": text, "digest": text, "compressed": 9, "on_disk": None, "made_by": text}
    side = {"name": text, "where": text, "id": text, "digest": text, "platform": text, "layers": [layer]}
    sizes = {"count": 1, "on_disk": None, "compressed": 9}
    return {
        "a": side,
        "b": side,
        "same": False,
        "sizes": {kind: {"a": 9, "b": 9, "difference": 0} for kind in ("on_disk", "compressed")},
        "layers": {"shared": sizes, "only_a": sizes, "only_b": sizes},
        "download": {client: {"layers": 1, "on_disk": None, "compressed": 9} for client in ("docker", "containerd")},
        "config": {"user": {"a": text, "b": None}, "labels": {"added": {text: text}, "removed": {}, "changed": {}}},
        "inside": None,
    }


def test_a_comparison_shows_text_of_others_on_its_own_line():
    said = page.text(compared(HOSTILE))
    assert SHOWN in said
    assert [text for text in DRIVES if text in said] == []


def test_text_of_others_is_text_in_a_picture():
    said = plot.svg(compared(HOSTILE))
    drawn = "".join(ElementTree.fromstring(said).itertext())
    assert rf"A: {SHOWN}" in drawn
    assert [text for text in DRIVES if text in said] == []


def test_a_text_ends_no_cell_of_a_page(tree):
    image = tree.builds / "alpha" / "image.yaml"
    image.write_text(image.read_text().replace("purpose: for tests", 'purpose: "a | b\\n| c"'))
    filled = docs.markdown(docs.tables(tree.read())["images"])
    assert {line.replace("\\|", "").count("|") for line in filled.splitlines() if line.startswith("|")} == {4}
