"""A derived image is its base and a little more: config, labels and size."""

from __future__ import annotations

import re

import pytest

from ngc import catalog, sizes
from ngc import engine as engines
from ngc.plan import NAME_LABEL

from ..inspect_image import config_of, differences, variables
from .test_changes import SECRET

KEPT = ("User", "WorkingDir", "Entrypoint", "Cmd", "ExposedPorts", "Volumes", "StopSignal", "Healthcheck", "Shell")
OCI = "org.opencontainers.image."


@pytest.fixture(scope="module")
def config(client, subject):
    return config_of(client, subject.image)


@pytest.fixture(scope="module")
def labels(config):
    return config.get("Labels") or {}


@pytest.fixture(scope="module")
def target(subject):
    return next(one for one in catalog.read().framework(subject.framework).images if one.target == subject.target)


@pytest.mark.parametrize("key", KEPT)
def test_the_config_is_the_bases(client, config, base, key):
    """Manifests are written for the base: a build step that forgets to give back USER or ENTRYPOINT breaks them
    (ai-dynamo/dynamo#3935)."""
    original = config_of(client, base)
    assert original["Env"]
    assert (config.get(key) or None) == (original.get(key) or None)


def test_the_variables_of_the_base_are_kept_in_its_order(client, config, base):
    """Order decides in LD_LIBRARY_PATH, and among the variables themselves (ai-dynamo/dynamo#6671): only at the end of a
    list may something be added."""
    kept, now = variables(config_of(client, base)["Env"]), variables(config["Env"])
    assert kept
    assert [name for name in now if name in kept] == list(kept)
    assert {
        name: (value, now[name])
        for name, value in kept.items()
        if now[name] != value and not (":" in value and now[name].startswith(f"{value}:"))
    } == {}


def test_only_variables_that_are_listed_changed(client, config, parent, allowed):
    """Every variable is read by some process: one that nobody listed is a setting that nobody decided on."""
    old, new = variables(config_of(client, parent.id)["Env"]), variables(config["Env"])
    wanted = {
        **old,
        **{name: value.replace("${" + name + "}", old.get(name, "")) for name, value in allowed.environment.items()},
    }
    assert differences(wanted, new) == {}


def test_the_labels_say_what_the_image_is(labels, subject, target):
    """Whoever finds the image in a registry reads from them what it is, from what, and whether it is real."""
    wanted = {
        f"{OCI}title": target.repository,
        f"{OCI}description": target.purpose,
        f"{OCI}licenses": "Apache-2.0 AND LicenseRef-base-image",
        NAME_LABEL: target.repository,
        "ngc-dynamo.framework": subject.framework,
        "ngc-dynamo.target": subject.target,
    }
    assert differences(wanted, {name: labels.get(name) for name in wanted}) == {}


def test_the_labels_say_how_the_image_was_made(labels, subject):
    """From the moment and the commit one can build it again; a stand-in must say that it is one."""
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", labels.get(f"{OCI}version", ""))
    assert re.fullmatch(r"[0-9-]+T[0-9:.]+(Z|[+-][0-9:]+)", labels.get(f"{OCI}created", ""))
    assert re.fullmatch(r"([0-9a-f]{40}(-dirty)?)?", labels.get(f"{OCI}revision", ""))  # none: built outside git
    assert labels.get("ngc-dynamo.stand-in") == str(subject.stand_in).lower()


def test_the_labels_name_the_base(client, labels, base):
    """The way back to what the image was built on, and whether that was the real thing."""
    assert labels.get(f"{OCI}base.name") == base
    below = config_of(client, base).get("Labels") or {}
    assert labels.get("ngc-dynamo.stand-in") == below.get("ngc-dynamo.stand-in", "false")


def test_the_image_keeps_its_budget(client, image, parent, target):
    """Thin layers are the point of these images: a chown of the venv once doubled upstream's (ai-dynamo/dynamo#5494)."""
    if target.budget is None:
        pytest.skip("image.yaml gives this target no budget")
    assert sizes.on_disk(client, image) > 0
    assert sizes.over_budget(client, image, parent, target.budget) is None


def test_no_secret_is_in_config_or_history(client, config, image):
    """A build argument stays readable in the history of the image, for everybody who can pull it."""
    history = str(engines.ask(client, "history", "--no-trunc", "--format", "{{.CreatedBy}}", image.id))
    assert len(history.splitlines()) >= len(image.layers)
    names = [name for name in variables(config["Env"]) if re.search(r"TOKEN|SECRET|PASSWORD|API_?KEY|CREDENTIAL", name)]
    assert names == []
    assert (
        re.findall(SECRET, "\n".join([history, *config["Env"], *map(str, (config.get("Labels") or {}).values())])) == []
    )
