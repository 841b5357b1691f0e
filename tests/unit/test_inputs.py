"""Up to date means what BuildKit means: every kind of input is changed, on a real engine, and a rebuild is seen."""

import os

import pytest

from ngc import dockerfile, inputs
from ngc.errors import Wrong

EXTRA = """\
ARG PARENT_IMAGE
FROM ${PARENT_IMAGE}
ARG FLAVOUR=plain
COPY alpha/globbed-*.txt alpha/${FLAVOUR}.txt /etc/
COPY alpha/folder/ /etc/folder/
ADD ["alpha/named by.json", "/etc/"]
COPY alpha/link.txt /etc/linked.txt
"""


@pytest.fixture
def extra(builder):
    """A third image that takes files in every way that needs no RUN; built once."""
    folder = builder.tree.builds / "alpha"
    (folder / "Dockerfile.extra").write_text(EXTRA)
    for name in ("globbed-a.txt", "plain.txt", "named by.json", "target.txt", "unused.txt"):
        (folder / name).write_text(name)
    (folder / "folder" / "below").mkdir(parents=True)
    (folder / "folder" / "below" / "kept.txt").write_text("kept")
    (folder / "folder" / "ignored.log").write_text("ignored")
    (folder / "folder" / "inner-link").symlink_to("below/kept.txt")
    (folder / "link.txt").symlink_to("target.txt")
    (builder.tree.builds / ".dockerignore").write_text("**/*.log\n")
    assert builder.outcomes("extra") == {"runtime": "built", "extra": "built"}
    assert builder.outcomes("extra") == {"runtime": "up to date", "extra": "up to date"}
    return builder, folder


def append(path):
    with path.open("a") as file:
        file.write("# more\n")


def relink(path, target):
    path.unlink()
    path.symlink_to(target)


CHANGES = {
    "the Dockerfile": lambda f: append(f / "Dockerfile.extra"),
    "a file a glob matches": lambda f: append(f / "globbed-a.txt"),
    "a new file that a glob matches": lambda f: (f / "globbed-b.txt").write_text("new"),
    "a file named by an argument": lambda f: append(f / "plain.txt"),
    "a file deep in a folder": lambda f: append(f / "folder" / "below" / "kept.txt"),
    "a new file in a folder": lambda f: (f / "folder" / "new.txt").write_text("new"),
    "an empty folder in a folder": lambda f: (f / "folder" / "empty").mkdir(),
    "a file of an ADD in JSON form": lambda f: append(f / "named by.json"),
    "a file's mode": lambda f: (f / "plain.txt").chmod(0o755),
    "a folder's mode": lambda f: (f / "folder" / "below").chmod(0o700),
    "the target of a link inside a folder": lambda f: relink(f / "folder" / "inner-link", "below"),
    "the content behind a named link": lambda f: append(f / "target.txt"),
    "the ignore file": lambda f: (f.parent / ".dockerignore").write_text("**/*.txt~\n"),
}
SAME = {
    "an unused file": lambda f: append(f / "unused.txt"),
    "an ignored file": lambda f: append(f / "folder" / "ignored.log"),
    "a file's time": lambda f: os.utime(f / "plain.txt", (1, 1)),
    "another image's Dockerfile": lambda f: append(f / "Dockerfile.dev"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_changed_input_is_rebuilt(extra, what):
    builder, folder = extra
    CHANGES[what](folder)
    assert builder.outcomes("extra") == {"runtime": "up to date", "extra": "built"}
    assert builder.outcomes("extra") == {"runtime": "up to date", "extra": "up to date"}


@pytest.mark.parametrize("what", SAME)
def test_what_is_no_input_changes_nothing(extra, what):
    builder, folder = extra
    SAME[what](folder)
    assert builder.outcomes("extra") == {"runtime": "up to date", "extra": "up to date"}


def test_a_changed_parent_is_followed_by_its_children(builder):
    builder.build()
    append(builder.tree.builds / "alpha" / "runtime.txt")
    assert builder.outcomes() == {"runtime": "built", "dev": "built"}


def test_another_base_under_the_same_name_is_seen(builder, layer_of_one_file):
    builder.build("runtime")
    builder.import_base(layer_of_one_file, "ENV NEW=1")
    assert builder.outcomes("runtime") == {"runtime": "built"}


def test_an_image_built_by_hand_is_no_proof(builder):
    import sh

    folder = builder.tree.builds
    name = f"dynamo-alpha-runtime:{builder.tag}"
    by_hand = [
        "build",
        "-t",
        name,
        "-f",
        f"{folder}/alpha/Dockerfile.runtime",
        "--build-arg",
        f"BASE_IMAGE={builder.tree.base}",
    ]
    sh.Command(builder.engine.client)(*by_hand, str(folder), _env=builder.engine.environment)
    assert [step.why for step in builder.plan("runtime").todo] == ["it carries no record of its inputs"]


def test_the_reason_names_what_changed():
    was = "dockerfile=1 context=2 arguments=3 parent=4"
    assert inputs.reason("dockerfile=1 context=x arguments=3 parent=y", was) == (
        "files that it copies or mounts changed and its parent or base is another image"
    )
    assert inputs.reason(was, was) is None


def test_a_bind_mount_is_an_input_and_one_from_a_stage_is_not(tmp_path):
    path = tmp_path / "Dockerfile.x"
    path.write_text(
        "FROM a AS b\nRUN --mount=type=bind,source=tools,target=/mnt \\\n  --mount=type=bind,from=b,source=/x,target=/y \\\n"
        "  --mount=type=cache,target=/z true\nCOPY --from=b /etc /etc\nADD https://example.com/a /b\n"
    )
    assert dockerfile.context_sources(dockerfile.read(path), {}) == ["tools"]


def test_a_source_that_matches_nothing_is_named(tmp_path):
    path = tmp_path / "Dockerfile.x"
    path.write_text("FROM a\nCOPY nothing-*.txt /\n")
    with pytest.raises(Wrong, match=r"'nothing-\*\.txt' matches nothing in"):
        inputs.context_hash(path, tmp_path, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("$A/x", "1/x"),
        ("${A}x", "1x"),
        ("${B:-d}", "d"),
        ("${A:+y}", "y"),
        ("${B:+y}z", "z"),
        ("$B", ""),
        ("f-$TARGETARCH", "f-*"),
    ],
)
def test_variables_are_expanded_as_buildkit_does(text, said):
    assert dockerfile.expand(text, {"A": "1"}) == said


@pytest.mark.parametrize(
    ("lines", "ignored", "kept"),
    [
        ("folder", ["folder/a"], ["other/folder/a"]),
        ("*.md", ["a.md"], ["sub/a.md"]),
        ("**/*.md", ["a.md", "sub/a.md"], ["a.txt"]),
        ("sub\n!sub/keep", ["sub/a"], ["sub/keep"]),
        ("# a comment\n\n/rooted/", ["rooted/a"], ["x/rooted"]),
        ("! sub\n", [], ["sub"]),
    ],
)
def test_the_ignore_file_is_read_by_dockers_rules(tmp_path, lines, ignored, kept):
    (tmp_path / ".dockerignore").write_text(lines)
    spec = inputs._ignore(tmp_path / "Dockerfile", tmp_path)
    assert [name for name in ignored if not spec.match_file(name)] == []
    assert [name for name in kept if spec.match_file(name)] == []
