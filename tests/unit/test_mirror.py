"""mirror: what a private registry holds afterwards is what was asked for, byte for byte, whatever happened on the way."""

import json
import signal
import subprocess
import sys
import threading
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from ngc import bases, catalog, copying, manifests, mirror, reference, registry_write
from ngc import engine as engines
from ngc.asked.images import Mirror
from ngc.errors import Failed, Wrong
from ngc.manifests import KINDS

from .fronting import push
from .releasing import Made, layer, push_release, release
from .writing import WriteFront, taking


def quiet(*_):
    pass


@pytest.fixture
def base(registry, unique):
    """An image for two platforms with an attestation, in a registry."""
    both = {name: release("0.7.0", name) for name in ("amd64", "arm64")}
    push_release(registry, f"{unique}/base", ["0.7.0"], both)
    return reference.parse(f"{registry}/{unique}/base:0.7.0")


def get(host, path):
    with urlopen(Request(f"http://{host}/v2/{path}", headers={"Accept": ", ".join(KINDS)})) as answer:
        return answer.read()


def copy(image, prefix):
    (planned,) = copying.plan([image], prefix)
    copying.run([planned], quiet)
    return planned


def sent(front):
    return front.count("PATCH")


def test_every_platform_and_the_attestation_arrive_byte_for_byte(base, registry, unique):
    done = copy(base, f"{registry}/{unique}/copy")
    assert str(done.target) == f"{registry}/{unique}/copy/{unique}/base:0.7.0"
    name = done.target.repository
    assert get(registry, f"{name}/manifests/0.7.0") == get(registry, f"{base.repository}/manifests/0.7.0")
    index = json.loads(get(registry, f"{name}/manifests/0.7.0"))
    assert len(index["manifests"]) == 3
    for entry in index["manifests"]:
        manifest = json.loads(get(registry, f"{name}/manifests/{entry['digest']}"))
        for blob in (manifest["config"], *manifest["layers"]):
            assert manifests.digest_of(get(registry, f"{name}/blobs/{blob['digest']}")) == blob["digest"]
    assert done.platforms == ("linux/amd64", "linux/arm64")


def test_the_copy_is_what_build_finds_with_mirror(base, registry, unique, tree):
    file = tree.builds / "alpha" / "Dockerfile.runtime"
    file.write_text(file.read_text().replace("registry.invalid/test/alpha:1.0.0.post1", str(base)))
    prefix = f"{registry}/{unique}/copy"
    done = copy(base, prefix)
    chosen = bases.choose(tree.read(), ["alpha"], None, None, prefix)["alpha"]
    assert chosen.reference == str(done.target)
    assert bases.check(chosen, None, "linux/arm64", None, {}, None).user == "dynamo"


def test_what_is_there_is_not_sent_again(base, registry, unique):
    with taking(WriteFront(registry)) as front:
        copy(base, f"{front.host}/{unique}/copy")
        assert sent(front) == 7
        front.asked.clear()
        assert copying.plan([base], f"{front.host}/{unique}/copy")[0].done
        copy(base, f"{front.host}/{unique}/copy")
    assert {method for method, _ in front.asked} == {"HEAD"}
    assert len(front.asked) == 2


def test_layers_that_another_image_brought_are_not_sent_again(registry, unique):
    """The next release has its ubuntu layer in common with this one."""
    names = []
    for version in ("0.7.0", "1.3.0"):
        push_release(registry, f"{unique}/base", [version], {"amd64": release(version)})
        names.append(reference.parse(f"{registry}/{unique}/base:{version}"))
    with taking(WriteFront(registry)) as front:
        copy(names[0], f"{front.host}/{unique}/copy")
        front.asked.clear()
        planned = copy(names[1], f"{front.host}/{unique}/copy")
    assert len(planned.missing) == sent(front) == 2  # its own layer and its config


def test_a_blob_of_another_repository_is_mounted_not_sent(registry, unique):
    image = Made([layer("common", 9000)])
    names = [reference.parse(push(registry, f"{unique}/{name}", "1.0.0", image)) for name in ("one", "two")]
    with taking(WriteFront(registry)) as front:
        first, second = copying.plan(names, f"{front.host}/{unique}/copy")
        assert (first.to_send, second.to_send) == (sum(first.blobs.values()), 0)
        heard = []
        copying.run([first], quiet)
        before = sent(front)
        copying.run([second], lambda what, *_: heard.append(what))
    assert sent(front) == before
    assert heard.count("mounted") == 2


def test_a_killed_run_leaves_no_tag_and_the_next_one_sends_the_rest(base, registry, unique, root):
    with taking(WriteFront(registry, hold=threading.Event())) as front:
        prefix = f"{front.host}/{unique}/copy"
        code = f"from ngc import copying, reference; copying.run(copying.plan([reference.parse('{base}')], '{prefix}'), print)"
        child = subprocess.Popen([sys.executable, "-c", code], env={"PYTHONPATH": str(root / "scripts"), "HOME": "/"})
        assert front.held.wait(30)
        child.send_signal(signal.SIGKILL)
        child.wait()
        front.hold.set()
        with pytest.raises(HTTPError, match="404"):
            get(registry, f"{unique}/copy/{base.repository}/manifests/0.7.0")
        front.hold = None
        assert copying.plan([copy(base, prefix).source], prefix)[0].done


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "does not let us write .*; run `docker login"),
        (403, "does not let us write .*; run `docker login"),
        (405, "takes nothing for .*; check the host and path of --registry"),
        (500, "answered 500 when .* was written; run again"),
    ],
)
def test_a_registry_that_refuses_is_one_sentence(base, registry, unique, status, said, monkeypatch):
    monkeypatch.setattr(registry_write, "TRIES", 2)
    with taking(WriteFront(registry)) as front:
        (planned,) = copying.plan([base], f"{front.host}/{unique}")
        front.status = status
        with pytest.raises(Failed, match=f"{front.host} {said}"):
            copying.run([planned], quiet)


def test_a_registry_that_is_not_there_is_one_sentence(base):
    with pytest.raises(
        Failed, match=r"127\.0\.0\.1:1 cannot be reached .*; check the network, or choose another --regi"
    ):
        copying.plan([base], "127.0.0.1:1/team")


def test_an_image_named_by_tag_and_digest_keeps_both(base, registry, unique):
    digest = copying.plan([base], f"{registry}/x")[0].digest
    done = copy(reference.parse(f"{base}@{digest}"), f"{registry}/{unique}/copy")
    assert (str(done.target), done.digest) == (f"{registry}/{unique}/copy/{unique}/base:0.7.0@{digest}", digest)
    assert copying.plan([base], f"{registry}/{unique}/copy")[0].done


def make(base, prefix):
    return mirror.make(catalog.read(), Mirror(["vllm"], prefix, base))


def test_the_plan_says_what_would_be_sent_and_sends_nothing(base, registry, unique, monkeypatch):
    monkeypatch.setattr(engines, "clients", list)
    with taking(WriteFront(registry)) as front:
        text = make(str(base), f"{front.host}/{unique}").text
        target = f"{front.host}/{unique}/{unique}/base:0.7.0"
        assert f"copy   {base} -> {target}  linux/amd64, linux/arm64, 10 kB compressed, sha256:" in text
        assert "7 of 7 blobs to send, 10 kB; 0 are there" in text
        assert "# left out: built images, for there is no docker and no podman on PATH" in text
        assert {method for method, _ in front.asked} == {"HEAD"}


def test_what_is_there_now_is_printed_with_its_digest(base, registry, unique, monkeypatch, capsys):
    monkeypatch.setattr(engines, "clients", list)
    mirror.run(plan := make(str(base), f"{registry}/{unique}"))
    said = capsys.readouterr()
    assert said.out == f"{registry}/{unique}/{unique}/base:0.7.0@{plan.copies[0].digest}\n"
    assert said.err.count(" sent\n") == 7


def test_on_a_terminal_each_blob_has_a_line_and_all_have_one(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with mirror.listening(300) as listener:
        listener("start", "sha256:aa", 0, 300)
        listener("sent", "sha256:aa", 200, 300)
        listener("start", "sha256:bb", 0, 200)
        listener("mounted", "sha256:bb", 200, 200)
    last = capsys.readouterr().err
    assert "200 B of 300 B" in last.partition("all")[2].splitlines()[0]
    assert [line.split()[1] for line in last.splitlines() if line.startswith("sha256:bb")] == ["mounted"]


def test_without_a_registry_or_for_a_broken_tag_nothing_begins(registry):
    with pytest.raises(Wrong, match="mirror needs to know where; add --registry"):
        make(None, None)
    with pytest.raises(Wrong, match="--registry is 'https://x'"):
        make(None, "https://x")
    with pytest.raises(Wrong, match=r"vllm-runtime:0\.8\.1-cuda13 is known to be broken: the container does not start"):
        make("nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.8.1-cuda13", registry)


@pytest.fixture
def built(builder, registry, unique):
    """A base in a registry, and runtime and dev on it in the engine."""
    builder.build()
    base, tag = f"{registry}/{unique}/base:1.0.0-{unique}", f"1.0.0-{unique}"
    names = {builder.tree.base: base}
    names |= {f"dynamo-alpha-{t}:{unique}": f"dynamo-alpha-{t}:{tag}" for t in ("runtime", "dev")}
    for old, new in names.items():
        engines.ask(builder.engine, "tag", old, new)
    engines.ask(builder.engine, "push", base)
    ours = [f"dynamo-alpha-{t}:{tag}" for t in ("runtime", "dev")]
    return builder, base, ours


@pytest.mark.engine
def test_what_is_built_on_the_base_goes_with_it(built, registry, unique, capsys):
    builder, base, ours = built
    plan = mirror.make(builder.tree.read(), Mirror(["alpha"], f"{registry}/{unique}", base))
    assert list(plan.images) == ours
    assert f"push {registry}/{unique}/{ours[1]}" in plan.text
    mirror.run(plan)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("@")[0] for line in lines] == [
        f"{registry}/{unique}/{unique}/base:1.0.0-{unique}",
        *(f"{registry}/{unique}/{name}" for name in ours),
    ]
    assert all("@sha256:" in line for line in lines)


@pytest.mark.engine
def test_what_stands_on_the_stand_in_stays_here_unless_told(built, layer_of_one_file, registry, unique):
    builder, base, ours = built
    builder.import_base(layer_of_one_file, "LABEL ngc-dynamo.stand-in=true")
    builder.build("runtime")
    engines.ask(builder.engine, "tag", f"dynamo-alpha-runtime:{unique}", ours[0])
    plan = mirror.make(builder.tree.read(), Mirror(["alpha"], f"{registry}/{unique}", base))
    assert list(plan.images) == ours[1:]
    assert f"# left out: {ours[0]} stands on the stand-in and serves nothing real; add --allow-stand-in" in plan.text
    told = mirror.make(builder.tree.read(), Mirror(["alpha"], f"{registry}/{unique}", base, allow_stand_in=True))
    assert list(told.images) == ours
