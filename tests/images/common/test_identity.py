"""Who the image says it is: what image.yaml knows of the base's config."""

from fnmatch import fnmatchcase

import pytest

from ..inspect_image import config_of, differences, variables


@pytest.fixture
def known(entry):
    if entry is None:
        pytest.skip("image.yaml has no entry for this base; what it declares itself is compared in the runtime tests")
    return entry


@pytest.fixture(scope="module")
def config(client, subject):
    return config_of(client, subject.image)


def test_the_user_is_the_one_that_is_known(config, known):
    """Root up to 0.6, dynamo from 0.7.0 on: manifests and volumes rely on the UID (ai-dynamo/dynamo#3935)."""
    if known.user is None:
        pytest.skip("image.yaml does not say which user this base has")
    assert (config.get("User") or "") == known.user


def test_a_process_starts_in_the_working_directory_that_is_known(container, known):
    """Upstream's deployments name files relative to it (ai-dynamo/dynamo#2026)."""
    if known.workdir is None:
        pytest.skip("image.yaml does not say which working directory this base has")
    assert container.output("pwd") == known.workdir


def test_the_entrypoint_is_the_one_that_is_known(config, known):
    """A script up to 1.2, none from 1.3 on: whoever replaces it loses its checks, or breaks the start (ai-dynamo/dynamo#1101)."""
    if known.entrypoint is None:
        pytest.skip("image.yaml does not say which entrypoint this base has")
    assert tuple(config.get("Entrypoint") or ()) == known.entrypoint


def test_the_variables_lead_to_nixl_ucx_and_python(config, known):
    """Whoever replaces LD_LIBRARY_PATH instead of extending it loses NIXL and UCX (ai-dynamo/dynamo#1758)."""
    if not known.environment:
        pytest.skip("image.yaml knows no variable of this base")
    found = variables(config["Env"])
    assert [
        f"{name}={found.get(name)} is not {wanted}"
        for name, wanted in known.environment.items()
        if not fnmatchcase(found.get(name, ""), wanted)
    ] == []


def test_a_process_sees_the_variables_of_the_config(run_image, config):
    """An entrypoint that changes them takes NIXL away from every worker, and `docker exec` shows nothing of it."""
    declared = variables(config["Env"])
    seen = variables(run_image("env").splitlines())
    assert declared
    assert differences(declared, {name: seen.get(name) for name in declared}) == {}
