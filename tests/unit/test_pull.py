"""Bases from a real registry: pulled once, asked again only by --pull, taken from a mirror by --mirror."""

import pytest
import sh

from ngc import engine as engines
from ngc import planning, runner
from ngc.asked.images import Build
from ngc.errors import Failed


@pytest.fixture
def remote(builder, registry, layer_of_one_file, unique):
    """A base in a registry and not here; `push(change)` puts another one under the same name."""
    name = f"{registry}/{unique}/base:1.0.0"
    docker = sh.Command(builder.engine.client)

    def push(change):
        builder.import_base(layer_of_one_file, change, name=name)
        docker("push", name)
        docker("image", "rm", name)

    push("ENV VERSION=1")
    return name, push


def build(builder, base, **request):
    asked = Build(["alpha"], ["runtime"], base=base, tag=builder.tag, **request)
    ask = lambda names: engines.images(builder.engine, names)  # noqa: E731  # as planning wants it
    plan = planning.make(builder.tree.read(), asked, builder.engine, ask)
    return {r.step.name: r.outcome for r in runner.run(plan, 2, lambda *_: None, builder.logs)}


def test_a_base_is_pulled_once_and_asked_again_only_when_told(builder, remote):
    name, push = remote
    assert build(builder, name) == {"alpha base": "built", "alpha-runtime": "built"}
    here = engines.images(builder.engine, [name])[name]
    assert here.environment[-1] == "VERSION=1"
    engines.ask(builder.engine, "tag", name, f"{name}-kept")
    push("ENV VERSION=2")
    engines.ask(builder.engine, "tag", f"{name}-kept", name)
    engines.ask(builder.engine, "image", "rm", f"{name}-kept")
    assert build(builder, name) == {"alpha base": "up to date", "alpha-runtime": "up to date"}
    assert build(builder, name, pull=True) == {"alpha base": "built", "alpha-runtime": "built"}
    assert build(builder, name) == {"alpha base": "up to date", "alpha-runtime": "up to date"}
    built = engines.images(builder.engine, [f"dynamo-alpha-runtime:{builder.tag}"]).popitem()[1]
    assert "VERSION=2" in built.environment
    assert built.labels["org.opencontainers.image.base.digest"].startswith("sha256:")


def test_a_pull_that_changes_nothing_rebuilds_nothing(builder, remote):
    name, _ = remote
    build(builder, name)
    assert build(builder, name, pull=True)["alpha-runtime"] == "up to date"


@pytest.mark.usefixtures("remote")
def test_a_mirror_is_asked_instead_of_the_bases_own_registry(builder, registry, unique):
    elsewhere = f"registry.invalid/{unique}/base:1.0.0"
    with pytest.raises(Failed, match=r"registry\.invalid cannot be reached"):
        build(builder, elsewhere)
    assert build(builder, elsewhere, mirror=registry) == {"alpha base": "built", "alpha-runtime": "built"}
