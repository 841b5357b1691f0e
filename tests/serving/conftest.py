"""Fixtures for stacks that `up` starts on this machine from the stand-in's images, which must be built."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sh
from tests.conftest import require

from ngc import catalog, engine
from ngc.deploy import composecli
from ngc.errors import Failed, Wrong

from .deployed import Deployed, Verbs, up


@pytest.fixture(scope="session")
def verbs(tmp_path_factory: pytest.TempPathFactory) -> Verbs:
    return Verbs({**os.environ, "XDG_STATE_HOME": str(tmp_path_factory.mktemp("state"))})


@pytest.fixture(scope="session")
def client(engine_ready: None) -> sh.Command:
    return sh.Command(engine.any_client().client).bake(_tty_out=False)


@pytest.fixture(scope="session")
def engine_ready() -> None:
    """An engine, a Compose, and every framework's runtime image on the stand-in."""
    try:
        composecli.find()
        names = [
            f"dynamo-{f.name}-runtime:{f.stand_in.version}-stand-in" for f in catalog.read().frameworks if f.stand_in
        ]
        missing = sorted(set(names) - set(engine.images(engine.any_client(), names)))
    except Failed as error:
        require("docker", str(error))
        raise
    except Wrong as error:
        require("compose", str(error))
        raise
    require(
        "docker", f"{', '.join(missing)} not built; `invoke build-all --base=stand-in` makes them" if missing else None
    )


@pytest.fixture(scope="session", params=["docker compose", "docker-compose"])
def compose(request: pytest.FixtureRequest, engine_ready: None) -> str:
    """The variable NGC_COMPOSE for each Compose, the plugin and the program of older distributions."""
    words = request.param.split()
    found = shutil.which(words[0])
    try:
        if found:
            sh.Command(found)(*words[1:], "version", _tty_out=False)
    except sh.ErrorReturnCode:
        found = None
    require("compose", None if found else f"there is no `{request.param}` here")
    return str(request.param)


@pytest.fixture(scope="session")
def configs() -> Path:
    return catalog.ROOT / "configs"


@pytest.fixture(scope="module")
def vllm_disagg(verbs: Verbs, client: sh.Command) -> Iterator[Deployed]:
    """Two prefill and two decode workers."""
    with up(
        verbs, client, "vllm-disagg", "ngc-test-disagg",
        "--set=spec.services.VllmPrefillWorker.replicas=2", "--set=spec.services.VllmDecodeWorker.replicas=2",
    ) as deployed:  # fmt: skip
        yield deployed
