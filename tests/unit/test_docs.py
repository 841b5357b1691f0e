"""What is documented can be typed: every command of README, CONTRIBUTING and docs/ is parsed by the program it names."""

import itertools
import re
import shlex
import sys

import pytest
from invoke.exceptions import ParseError
from invoke.parser import Parser


def commands(root):
    """(page, command) of every line in a ```sh block, comments dropped."""
    pages = [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").glob("*.md"))]
    for page in pages:
        for block in re.findall(r"^```(?:sh|bash)\n(.*?)^```", page.read_text(), re.M | re.S):
            joined = block.replace("\\\n", " ")
            for line in filter(None, map(str.strip, joined.splitlines())):
                if words := shlex.split(line, comments=True):
                    yield page.name, words


@pytest.fixture(scope="module")
def contexts(root):
    sys.path.insert(0, str(root))
    try:
        from tasks import namespace
    finally:
        sys.path.remove(str(root))
    return namespace.to_contexts()


def test_every_documented_verb_and_flag_exists(root, contexts):
    seen = 0
    for page, words in commands(root):
        if words[0] == "invoke":
            own = list(itertools.takewhile(lambda word: word not in ("--", "|"), words[1:]))
            try:
                Parser(contexts=contexts).parse_argv(own)
            except ParseError as error:
                pytest.fail(f"{page}: {shlex.join(words)}: {error}")
            seen += 1
    assert seen >= 5


def test_every_documented_session_exists(root):
    text = (root / "noxfile.py").read_text()
    names = {*re.findall(r"^def (\w+)\(session", text, re.M)}
    names |= {f"test_{path.parent.name}" for path in (root / "ngc-builds").glob("*/image.yaml")}
    asked = [
        word
        for _, words in commands(root)
        if words[0] == "nox" and "-s" in words
        for word in (words[: words.index("--")] if "--" in words else words)[words.index("-s") + 1 :]
        if not word.startswith("-") and "=" not in word
    ]
    assert asked
    assert {word for word in asked if word not in names} == set()


def test_every_documented_file_exists(root):
    scripts = [words[0] for _, words in commands(root) if re.match(r"(\./)?(scripts|ngc-builds)/", words[0])]
    assert "scripts/build-all.sh" in scripts
    assert [name for name in scripts if not (root / name).exists()] == []
    for page in ("README.md", "CONTRIBUTING.md"):
        links = re.findall(r"\]\(([^)#:]+)\)", (root / page).read_text())
        assert [link for link in links if not (root / link).exists()] == []


def test_the_readme_opens_with_the_two_commands(root):
    first = re.search(r"^```sh\n(.*?)^```", (root / "README.md").read_text(), re.M | re.S)[1].splitlines()
    assert [shlex.split(line, comments=True) for line in first] == [
        ["scripts/build-all.sh", "--setup", "--base=stand-in"],
        ["scripts/test-all.sh", "--base=stand-in"],
    ]


def test_the_tables_come_from_the_tree(root, tree):
    from ngc import tables

    text = "<!-- table images: made -->\nstale\n<!-- end of table -->\n"
    made = tables.filled(text, tree.read())
    assert "| `dynamo-beta-dev` | what builds | 1.0 MB |" in made
    assert tables.filled(made, tree.read()) == made
