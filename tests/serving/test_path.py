"""Whether requests took the path that a config promises, where one look or one answer would not tell."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sh
from ruamel.yaml import YAML

from ngc import catalog
from ngc.bases import STAND_IN_LABEL

from .deployed import Verbs, free_port, up


@pytest.fixture
def half_broken(configs: Path, tmp_path: Path) -> Path:
    """A config whose second prefill service hands over the wrong content."""
    yaml = YAML(typ="safe")
    data = yaml.load(configs / "vllm-disagg.yaml")
    second = json.loads(json.dumps(data["spec"]["services"]["VllmPrefillWorker"]))
    second["envs"] = [{"name": "STAND_IN_FAULT", "value": "corrupt"}]
    data["spec"]["services"]["SecondPrefillWorker"] = second
    data["metadata"]["name"] = "ngc-test-half"
    path = tmp_path / "half.yaml"
    yaml.dump(data, path)
    return path


def test_one_broken_prefill_worker_of_two_is_never_up(verbs: Verbs, half_broken: Path) -> None:
    try:
        done = verbs("up", f"--config={half_broken}", "--base=stand-in", f"--port={free_port()}", "--timeout=15")
        assert done.code == 1
        assert "no KV cache was handed over: the KV transfer failed, or its content is wrong" in done.err
        looks = [verbs("status", "--config=ngc-test-half", "--json") for _ in range(4)]
        assert [(look.code, json.loads(look.out)["healthy"]) for look in looks] == [(1, False)] * 4
    finally:
        verbs("down", "--config=ngc-test-half")


@pytest.fixture
def real_image(client: sh.Command) -> Iterator[str]:
    """The stand-in's image under a name and a label as NVIDIA's would have them: the first word of an answer tells nothing."""
    version = catalog.read().framework("vllm").stand_in.version
    name = f"ngc-test-{uuid.uuid4().hex[:10]}:{version}"
    client(
        "build", "--tag", name, "-", _in=f"FROM dynamo-vllm-runtime:{version}-stand-in\nLABEL {STAND_IN_LABEL}=false\n"
    )
    yield name
    client("image", "rm", name)


def test_on_a_real_image_the_counters_of_prefill_workers_tell(
    verbs: Verbs, client: sh.Command, real_image: str
) -> None:
    with up(
        verbs, client, "vllm-disagg", "ngc-test-real", f"--image={real_image}", "--gpu=off",
        "--set=spec.services.VllmPrefillWorker.replicas=2",
    ) as deployed:  # fmt: skip
        code, data = deployed.status()
        assert (code, data["prefill_asked"]) == (0, True)
        assert "200, a prefill worker was asked" in verbs("status", f"--config={deployed.name}").out
        said = verbs("smoke", f"--config={deployed.name}").out
        assert "a prefill worker was asked, by its own counter; that its KV cache arrived only the stand-in's" in said
