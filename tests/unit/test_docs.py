"""What is documented can be typed and followed: every command is parsed by the program it names, every link leads somewhere."""

import itertools
import re
import shlex
import shutil
import sys
from urllib.parse import unquote, urlsplit

import pytest
from invoke.exceptions import ParseError
from invoke.parser import Parser

from ngc import docs
from ngc.errors import Failed


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


def test_the_readme_opens_with_the_two_commands(root):
    first = re.search(r"^```sh\n(.*?)^```", (root / "README.md").read_text(), re.M | re.S)[1].splitlines()
    assert [shlex.split(line, comments=True) for line in first] == [
        ["scripts/build-all.sh", "--setup", "--base=stand-in"],
        ["scripts/test-all.sh", "--base=stand-in"],
    ]


@pytest.mark.parametrize("mark", ["<!-- table rules", "<!-- end of table -->", "<!-- table"])
def test_a_page_that_lost_its_table_fails_the_check(root, tmp_path, mark):
    (tmp_path / "configs").mkdir()
    shutil.copytree(root / "docs", tmp_path / "docs")
    shutil.copy(root / "README.md", tmp_path)
    page = tmp_path / "docs" / "VALIDATE.md"
    page.write_text(page.read_text().replace(mark, ""))
    before = page.read_text()
    for check in (True, False):
        with pytest.raises(Failed, match="no page has the table 'rules' any more"):
            docs.main(check, tmp_path)
    assert page.read_text() == before


def test_the_tables_come_from_the_tree(root, tree):
    page = tree.root / "page.md"
    page.write_text("<!-- table images: made -->\nstale\n<!-- end of table -->\n")
    tables = {"images": docs.tables(tree.read())["images"]}
    made = docs.with_tables([page], tables)
    assert "| `dynamo-beta-dev` | what builds | 1.0 MB |" in made[page]
    docs.update(made, check=False)
    assert docs.with_tables([page], tables) == made


def pages(root):
    """Every page of ours; what was extracted from a base is NVIDIA's."""
    own = [root / "README.md", root / "CONTRIBUTING.md", root / "CHANGELOG.md", *(root / "docs").glob("*.md")]
    own += [path for path in (root / "ngc-builds").rglob("*.md") if "extracted" not in path.parts]
    return sorted(own)


def prose(page):
    """A page without blocks of code: a # there is no heading, and brackets are no link."""
    return re.sub(r"^ *(```+|~~~+).*?^ *\1[^\S\n]*$", "", page.read_text(), flags=re.M | re.S)


def links(page):
    """Targets of links and images of a page that lead into this repository."""
    text = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", prose(page))  # code in a line; it ends with the line
    found = re.findall(r"\]\(\s*<?([^)\s>]+)", text)
    found += re.findall(r"^ {0,3}\[[^\]]+\]:\s*<?([^\s>]+)", text, re.M)
    found += re.findall(r"""<(?:a|img)\s[^>]*?(?:href|src)=["']([^"']+)""", text)
    return [link for link in found if not urlsplit(link).scheme and not link.startswith("//")]


def anchors(page):
    """The anchors that GitHub makes of a page's headings: lower case, punctuation gone, spaces dashes, a number for the second."""
    made = []
    for heading in re.findall(r"^ {0,3}#{1,6}\s+(.*?)(?:\s+#+)?\s*$", prose(page), re.M):
        shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = name = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        number = itertools.count(1)
        while slug in made:
            slug = f"{name}-{next(number)}"
        made.append(slug)
    return made


def target(page, link, root):
    """The file of this repository that a link means; the page itself for a bare #anchor."""
    path = unquote(urlsplit(link).path)
    if path.startswith("/"):  # GitHub takes it from the top of the repository
        return (root / path.lstrip("/")).resolve()
    return (page.parent / path).resolve() if path else page.resolve()


def broken(root):
    """A sentence for each link that leads nowhere."""
    for page in pages(root):
        for link in links(page):
            to, anchor = target(page, link, root), unquote(urlsplit(link).fragment)
            where = f"{page.relative_to(root)}: {link}"
            if not to.is_relative_to(root.resolve()):
                yield f"{where} leads out of the repository"
            elif not to.exists():
                yield f"{where} is not there"
            elif anchor and not (
                anchor in anchors(to) if to.suffix == ".md" else re.fullmatch(r"L\d+(-L\d+)?", anchor)
            ):
                yield f"{where} is no heading there"


def reached(root):
    """The pages that a reader of README finds by links."""
    seen, todo = set(), [(root / "README.md").resolve()]
    while todo:
        page = todo.pop()
        if page not in seen and page.suffix == ".md" and page.is_file():
            seen.add(page)
            todo += [target(page, link, root) for link in links(page)]
    return seen


def test_every_link_and_image_of_a_page_leads_to_a_file_and_a_heading(root):
    assert sum(len(links(page)) for page in pages(root)) > 30
    assert list(broken(root)) == []


def test_every_page_of_docs_is_reached_from_the_readme(root):
    assert sorted({page.resolve() for page in (root / "docs").glob("*.md")} - reached(root)) == []


PAGE = """\
# A `b_c`: d & [e](docs/other.md)!

## Same
## Same
```sh
# no heading
echo [x](gone-in-code.md)
```
~~~text
[x](gone-in-tildes.md)
~~~
`[x](gone-in-a-line.md)` [good](docs/other.md#höhe-1-2) ![picture](<docs/a%20b.svg> "title")
[web](https://example.com/x.md#y) [mail](mailto:a@example.com) [here](#a-b_c-d--e) [again](#same-1) [top](/docs/)
[line](docs/code.py#L3) <a href="docs/other.md">html</a> [named][1]

[1]: docs/other.md
"""


@pytest.fixture
def site(tmp_path):
    """A small repository whose README has every kind of link, all good."""
    for folder in ("docs", "ngc-builds/common/extracted"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("CONTRIBUTING.md", "CHANGELOG.md", "docs/a b.svg", "docs/code.py"):
        (tmp_path / name).touch()
    (tmp_path / "docs" / "other.md").write_text("# Höhe 1.2\n# Höhe (1) 2 #\n")
    (tmp_path / "ngc-builds" / "common" / "extracted" / "NGC.md").write_text("[x](gone.md)\n")
    (tmp_path / "README.md").write_text(PAGE)
    return tmp_path


def test_good_links_of_every_kind_are_followed(site):
    assert anchors(site / "docs" / "other.md") == ["höhe-12", "höhe-1-2"]
    assert len(links(site / "README.md")) == 9
    assert list(broken(site)) == []
    assert reached(site) == {(site / "README.md").resolve(), (site / "docs" / "other.md").resolve()}


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ("[x](docs/gone.md)", "docs/gone.md is not there"),
        ("[x](docs/Other.md)", "docs/Other.md is not there"),
        ("![x](gone.svg)", "gone.svg is not there"),
        ("[![x](gone.svg)](docs/other.md)", "gone.svg is not there"),
        ("[x](docs/other.md#hoehe)", "docs/other.md#hoehe is no heading there"),
        ("[x](#same-2)", "#same-2 is no heading there"),
        ("[x](#no-heading)", "#no-heading is no heading there"),
        ("[x](docs/code.py#part)", "docs/code.py#part is no heading there"),
        ("[x](../up.md)", "../up.md leads out of the repository"),
        ("[2]: gone.md", "gone.md is not there"),
        ("<img width=3 src='gone.svg'>", "gone.svg is not there"),
    ],
)
def test_a_link_that_leads_nowhere_is_named_with_its_page(site, link, said):
    (site / "README.md").write_text(f"{PAGE}{link}\n")
    assert list(broken(site)) == [f"README.md: {said}"]
