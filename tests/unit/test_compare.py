"""compare: two images like for like, from manifests alone or from what is in them."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from ngc import compare
from ngc import engine as engines
from ngc.comparing import differences, files, inside, page, plot, sides
from ngc.errors import Failed, Wrong
from ngc.extract.tape import Tape
from ngc.verbs.inspect import compare as verb

from .extracting import digest_of, folder, hard_link, member, symlink, tar
from .fronting import Front, push, serving
from .releasing import Made, layer, push_release, release


@pytest.fixture(autouse=True)
def alone(monkeypatch, request):
    """Without an engine, unless the test has one."""
    if "engine" not in request.fixturenames:
        monkeypatch.setattr(engines, "clients", list)


@pytest.fixture
def pair(registry, unique):
    """Two images in a registry, of which the first two layers are the same."""
    base = [layer("ubuntu", 5000), layer("venv", 9000)]
    old = Made(
        [*base, layer("old", 4000)],
        environment=["PATH=/usr/bin:/old/bin", "GONE=1"],
        labels={"v": "1"},
        settings={"Entrypoint": ["/old"]},
        history=["ADD ubuntu", "RUN make venv", "COPY old"],
    )
    new = Made(
        [*base, layer("new", 2000), layer("more", 1000)],
        environment=["PATH=/new/bin:/usr/bin", "NEW=2"],
        labels={"v": "2"},
        settings={"User": "dynamo"},
        history=["ADD ubuntu", "RUN make venv", "COPY <new> & more", "COPY more"],
    )
    return (old, push(registry, f"{unique}/old", "1", old)), (new, push(registry, f"{unique}/new", "2", new))


def test_sizes_are_named_and_what_is_not_known_is_not_guessed(pair):
    (old, a), (new, b) = pair
    data = compare.compare(a, b)
    one, two = (sum(map(len, image.packed)) for image in (old, new))
    assert data["sizes"] == {
        "on_disk": {"a": None, "b": None, "difference": None},
        "compressed": {"a": one, "b": two, "difference": two - one},
    }
    assert "on disk                      unknown     unknown     unknown" in page.text(data)


def test_shared_layers_are_counted_once_and_by_their_content(pair):
    (old, a), (new, b) = pair
    layers = compare.compare(a, b)["layers"]
    same = len(old.packed[0]) + len(old.packed[1])
    assert layers["shared"] == {"count": 2, "on_disk": None, "compressed": same, "from_the_bottom": 2}
    assert layers["only_a"] == {"count": 1, "on_disk": None, "compressed": len(old.packed[2])}
    assert layers["only_b"]["compressed"] == len(new.packed[2]) + len(new.packed[3])


def test_a_node_downloads_only_the_blobs_it_has_not(pair):
    (_, a), (new, b) = pair
    load = compare.compare(a, b)["download"]
    assert load["containerd"] == load["docker"]
    assert load["containerd"]["compressed"] == len(new.packed[2]) + len(new.packed[3])


def test_docker_takes_over_layers_from_the_bottom_only(registry, unique):
    one, two = layer("one", 3000), layer("two", 4000)
    a = push(registry, f"{unique}/a", "1", Made([one, two]))
    b = push(registry, f"{unique}/b", "1", image := Made([two, one]))
    load = compare.compare(a, b)["download"]
    assert load["containerd"]["layers"] == 0
    assert (load["docker"]["layers"], load["docker"]["compressed"]) == (2, sum(map(len, image.packed)))
    assert "with Docker, which shares layers from the bottom only" in page.text(compare.compare(a, b))


def test_variables_user_entrypoint_and_labels_that_differ_are_shown(pair):
    (_, a), (_, b) = pair
    config = compare.compare(a, b)["config"]
    assert config["user"] == {"a": None, "b": "dynamo"}
    assert config["entrypoint"] == {"a": ["/old"], "b": None}
    assert config["labels"]["changed"] == {"v": {"a": "1", "b": "2"}}
    assert (config["environment"]["added"], config["environment"]["removed"]) == ({"NEW": "2"}, {"GONE": "1"})
    assert "  ~ PATH without /old/bin, with /new/bin" in page.text(compare.compare(a, b))


def test_two_images_are_compared_with_four_requests(registry, pair):
    names = [reference.partition("/")[2] for _, reference in pair]
    with serving(Front(registry)) as front:
        compare.compare(*(f"{front.host}/{name}" for name in names))
    assert len(front.asked) == 4


def test_of_a_tag_for_several_platforms_the_one_asked_for_is_compared(registry, unique):
    both = {name: release("1.3.0", name) for name in ("amd64", "arm64")}
    push_release(registry, unique, ["1.3.0"], both)
    name = f"{registry}/{unique}:1.3.0"
    assert compare.compare(name, name, "linux/arm64")["a"]["platform"] == "linux/arm64"
    with pytest.raises(Wrong, match=r"has no linux/s390x; it has linux/amd64, linux/arm64"):
        compare.compare(name, name, "linux/s390x")


def test_an_image_that_is_nowhere_is_one_sentence(registry, unique, pair):
    with pytest.raises(Wrong, match=rf"{registry} has no {registry}/{unique}/none:1; check name and tag"):
        compare.compare(pair[0][1], f"{registry}/{unique}/none:1")
    with pytest.raises(
        Failed, match=r"cannot be reached \(.*\); check the network, or pull it and compare what is here$"
    ):
        compare.compare(pair[0][1], "127.0.0.1:1/none:1")
    with pytest.raises(Wrong, match="is not an image reference"):
        compare.compare("No Name", pair[0][1])
    with pytest.raises(Failed, match="no engine to pull with"):
        compare.compare(pair[0][1], pair[1][1], pull=True)


def test_the_picture_names_both_images_and_the_kind_of_its_sizes(pair, tmp_path):
    data = compare.compare(pair[0][1], pair[1][1])
    plot.write(data, tmp_path / "layers.svg")
    texts = [e.text or "" for e in ElementTree.parse(tmp_path / "layers.svg").iter() if e.tag.endswith("text")]
    assert "Layers of two images, sizes compressed (to download)" in texts
    assert "COPY <new> & more" in texts
    assert [text for text in texts if text.startswith(("A: ", "B: "))] == [f"A: {pair[0][1]}", f"B: {pair[1][1]}"]
    assert {"only in A", "only in B"} <= set(texts)


def test_the_verb_prints_a_page_or_data_and_draws(pair, tmp_path, capsys):
    verb.body(None, a=pair[0][1], b=pair[1][1], plot=str(tmp_path / "x.svg"))
    assert capsys.readouterr().out.startswith(f"A  {pair[0][1]}  (in ")
    assert (tmp_path / "x.svg").read_text().startswith("<svg")
    verb.body(None, a=pair[0][1], b=pair[1][1], json=True)
    assert json.loads(capsys.readouterr().out)["inside"] is None


def test_layers_that_both_have_stand_in_one_row(pair):
    rows = plot.rows(compare.compare(pair[0][1], pair[1][1]), "compressed")
    assert [row.whose for row in rows] == ["both", "both", "a", "b", "b"]


def test_there_is_no_picture_of_two_kinds_of_size(pair):
    data = compare.compare(pair[0][1], pair[1][1])
    for one in data["b"]["layers"]:
        one |= {"on_disk": one["compressed"], "compressed": None}
    with pytest.raises(Failed, match=r"there is no picture: .*; add --pull, or name both in a registry"):
        plot.svg(data)


def test_a_file_that_is_no_picture_is_refused_before_anything_is_asked(tmp_path):
    with pytest.raises(Wrong, match=r"--plot is 'x\.png'; name a file that ends in \.svg"):
        plot.svg_file("x.png")
    with pytest.raises(Wrong, match=r"there is no folder .*/none; make it first"):
        plot.svg_file(str(tmp_path / "none" / "x.svg"))


def test_steps_without_files_are_told_from_layers():
    steps = [(10, ""), (0, "ENV A=1"), (0, "WORKDIR /w"), (5, "RUN x")]
    assert [made for _, made in sides._of_layers(steps, 3)] == ["", "WORKDIR /w", "RUN x"]
    assert [made for _, made in sides._of_layers(steps, 2)] == ["", "RUN x"]
    assert sides._of_layers(steps, 4) == [(None, "")] * 4


def tree(*members):
    return files.of_tape(Tape(iter([tar(*members)]), "test"))


OLD = (
    folder("opt"),
    member("opt/site/x.py", b"x"),
    member("opt/site/x.dist-info/RECORD", b"x.py,,\n../bin/x,,\nx.dist-info/RECORD,,\n"),
    member("opt/bin/x", b"x"),
    member("usr/bin/curl", b"c"),
    member("var/lib/dpkg/info/curl.list", b"/.\n/bin/curl\n"),
    member("opt/mine/run.sh", b"mine"),
    member("opt/mine/run.pyc", b"compiled"),
    hard_link("opt/mine/again", "opt/mine/run.sh"),
    symlink("opt/mine/link", "run.sh"),
    member("etc/same", b"one"),
    member("proc/1", b"kernel"),
)


def test_files_are_added_removed_and_changed_by_content():
    found = files.changes(tree(*OLD), tree(member("etc/same", b"two"), member("etc/new", b"new!")))
    assert found["changed"] == {"/etc": {"files": 1, "bytes": 3}}
    assert found["added"] == {"/etc": {"files": 1, "bytes": 4}}
    assert found["removed"]["/opt/mine"] == {"files": 4, "bytes": len(b"mine") * 2 + len(b"compiled")}
    assert files.changes(tree(*OLD), tree(*OLD)) == {"added": {}, "removed": {}, "changed": {}}


def test_what_packages_brought_and_caches_are_not_missed():
    missing = files.missing(tree(*OLD), tree())
    assert missing == {"/opt/mine": {"files": 3, "bytes": 8}, "/etc": {"files": 1, "bytes": 3}}


def test_the_verdict_says_what_of_the_first_the_second_lacks():
    probe = {"tools": {"jq": "/usr/bin/jq", "sh": "/bin/sh"}, "nixl_plugins": ["UCX", "GDS"]}
    packages = {
        "components": {"removed": {"etcd": "3.5"}},
        "python_packages": {"removed": {"lmcache": "1"}, "changed": {"torch": {"a": "2.8", "b": "2.10"}, "vllm": {"a": "0.11.2", "b": "0.11.0"}}},
        "system_packages": {"removed": {}},
    }  # fmt: skip
    side = sides.Side("a", "here", "sha256:1", None, "linux/amd64", 1, None, (), {"Env": ["KEPT=1", "GONE=2"]})
    other = replace(side, config={"Env": ["KEPT=3"]})
    said = inside.verdict(side, other, probe, {"tools": {"sh": "/bin/sh"}, "nixl_plugins": ["UCX"]}, packages, {})
    assert said == {
        "complete": False,
        "lacks": {
            "components": {"etcd": "3.5"},
            "python_packages": {"lmcache": "1"},
            "older_python_packages": {"vllm": {"a": "0.11.2", "b": "0.11.0"}},
            "tools": ["jq"],
            "nixl_plugins": ["GDS"],
            "variables": {"GONE": "2"},
        },
    }
    assert inside.verdict(side, side, probe, probe, None, {}) == {"complete": None, "lacks": {}}


@pytest.mark.engine
def test_images_that_are_here_are_compared_by_what_is_in_them(builder, capsys):
    builder.build("dev")
    a, b = (f"dynamo-alpha-{target}:{builder.tag}" for target in ("runtime", "dev"))
    data = compare.compare(a, b)
    assert data["sizes"]["on_disk"] == {"a": 13, "b": 17, "difference": 4}
    assert data["sizes"]["compressed"] == {"a": None, "b": None, "difference": None}
    assert (data["layers"]["shared"]["count"], data["layers"]["only_b"]["on_disk"]) == (2, 4)
    assert data["inside"]["files"] == {"added": {"/etc": {"files": 1, "bytes": 4}}, "removed": {}, "changed": {}}
    assert data["inside"]["verdict"] == {"complete": None, "lacks": {}}  # nothing can be run in an image of three files
    text = page.text(data)
    assert "could not look inside" in text
    assert "B has every variable and file of A; packages could not be compared" in text
    assert json.loads(json.dumps(data)) == data


@pytest.mark.engine
def test_one_that_is_here_and_one_in_a_registry_share_layers_by_content(builder, registry, unique, monkeypatch):
    builder.build("runtime")
    here = f"dynamo-alpha-runtime:{builder.tag}"
    there = Made([tar(member("etc/other", b"other"))])
    data = compare.compare(here, push(registry, unique, "1", there))
    assert [data[letter]["where"] for letter in "ab"] == ["here", registry]
    assert data["inside"] is None
    assert data["sizes"]["on_disk"] == {"a": 13, "b": None, "difference": None}
    assert data["download"]["containerd"]["compressed"] == len(there.packed[0])
    assert "packages and files: not looked at, for not both images are here; --pull fetches them" in page.text(data)
    with pytest.raises(Wrong, match="is linux/amd64, not linux/arm64"):
        compare.compare(here, here, "linux/arm64")


@pytest.mark.engine
def test_what_is_not_here_is_pulled_if_asked_and_then_looked_into(engine, pair):
    names = [reference for _, reference in pair]
    try:
        assert engines.images(engine, names) == {}
        data = compare.compare(*names, pull=True)
        assert [data[letter]["where"] for letter in "ab"] == ["here", "here"]
        assert data["inside"]["files"]["removed"] == {"/opt": {"files": 1, "bytes": 4000}}
        assert data["inside"]["verdict"]["lacks"] == {
            "variables": {"GONE": "1"},
            "files": {"/opt": {"files": 1, "bytes": 4000}},
        }
        assert "of A, B lacks:\nvariables: 1\n  GONE 1\nfiles that no package brought" in page.text(data)
    finally:
        engines.ask(engine, "image", "rm", "--force", *names, fails=False)


def test_the_layers_of_two_sides_have_each_their_digest(pair):
    one, _ = sides.find([pair[0][1], pair[1][1]], None, False)
    assert [layer.digest for layer in one.layers] == [digest_of(data) for data in pair[0][0].packed]
    assert differences.common(one, one) == 3


def test_one_image_under_two_names_is_called_the_same(registry, unique, pair):
    again = push(registry, unique, "again", pair[0][0])
    data = compare.compare(pair[0][1], again)
    assert "A and B are the same image: one config, under two names" in page.text(data)
    assert data["download"]["containerd"] == {"layers": 0, "on_disk": 0, "compressed": 0}
