"""push and clean, on a real engine and a real registry."""

import pytest
import sh

from ngc import clean, push
from ngc import engine as engines
from ngc.asked.images import Push
from ngc.engine import Engine
from ngc.errors import Failed, Wrong


def pushed(builder, registry, **flags):
    push.push(builder.tree.read(), Push(["alpha"], (), builder.tree.base, builder.tag, registry, **flags))


def test_what_is_built_is_pushed_and_named_with_its_digest(builder, registry, capsys):
    builder.build()
    pushed(builder, registry)
    lines = capsys.readouterr().out.splitlines()
    names = [f"{registry}/dynamo-alpha-{target}:{builder.tag}" for target in ("runtime", "dev")]
    assert [line.partition("@")[0] for line in lines] == names
    assert all(line.partition("@")[2].startswith("sha256:") for line in lines)


def test_nothing_is_pushed_unless_all_is_built(builder, registry):
    builder.build("runtime")
    with pytest.raises(Failed, match=r"dynamo-alpha-dev:\S+ is not built; run `invoke build`"):
        pushed(builder, registry)


def test_a_stand_in_is_refused_unless_told(builder, registry, layer_of_one_file, capsys):
    builder.import_base(layer_of_one_file, "LABEL ngc-dynamo.stand-in=true")
    builder.build()
    with pytest.raises(Wrong, match="stand on the stand-in and serve nothing real; add --allow-stand-in"):
        pushed(builder, registry)
    pushed(builder, registry, allow_stand_in=True, plan=True)
    assert f"push {registry}/dynamo-alpha-dev:{builder.tag}" in capsys.readouterr().out


def test_a_registry_that_does_not_answer_is_one_sentence(builder):
    builder.build()
    with pytest.raises(Failed, match=r"push 127\.0\.0\.1:1/\S+` failed: .*; check the registry and `docker login`"):
        pushed(builder, "127.0.0.1:1")


def test_clean_takes_what_we_made_and_leaves_what_users_built_on_it(builder, unique):
    builder.build()
    theirs = f"{unique}-theirs:1"
    docker = sh.Command(builder.engine.client)
    docker(
        "build",
        "-t",
        theirs,
        "-",
        _in=f"FROM dynamo-alpha-dev:{builder.tag}\nENV A=1\n",
        _env=builder.engine.environment,
    )
    ours = [command for command in clean.removable(builder.engine) if any(builder.tag in word for word in command)]
    # children before parents
    assert [command[-1] for command in ours] == [f"dynamo-alpha-{t}:{builder.tag}" for t in ("dev", "runtime")]
    assert not [c for c in clean.removable(builder.engine) if theirs in c]


def test_an_image_that_somebody_removes_meanwhile_is_left_out(builder, monkeypatch):
    builder.build()
    ask, gone = clean.engine.ask, f"sha256:{'0' * 64}"

    def listed(client, *words, **options):
        said = ask(client, *words, **options)
        return f"{gone}\n{said}" if words[:2] == ("image", "ls") else said

    monkeypatch.setattr(clean.engine, "ask", listed)
    ours = [command[-1] for command in clean.removable(builder.engine)]
    assert f"dynamo-alpha-runtime:{builder.tag}" in ours


def test_podman_says_that_it_does_not_push(tree, monkeypatch, registry):
    monkeypatch.setattr(engines, "any_client", lambda: Engine("podman", podman=True))
    with pytest.raises(Wrong, match="push works with docker; with podman use `podman push`"):
        push.push(tree.read(), Push(base="stand-in", registry=registry))
