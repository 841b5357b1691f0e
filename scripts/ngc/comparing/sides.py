"""One side of a comparison: what the engine knows of an image that is here, or its registry of one that is not."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ngc import bases, engine, manifests, output, reference, registry
from ngc.engine import Engine, Found
from ngc.errors import Failed, Wrong

# Instructions that change the config and add no layer.
_NO_LAYER = re.compile(
    r"(#\(nop\) +)?(ARG|CMD|ENTRYPOINT|ENV|EXPOSE|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|SHELL|STOPSIGNAL|USER|VOLUME)\b"
)
_INSTEAD = "or pull it and compare what is here"


@dataclass(frozen=True)
class Layer:
    """A layer. `diff_id` is the sha256 of its unpacked tar, `digest` of the blob in a registry; sizes in bytes, None: not known."""

    diff_id: str
    digest: str | None
    compressed: int | None
    on_disk: int | None
    made_by: str


@dataclass(frozen=True)
class Side:
    """An image. `where` is `here` or the registry's host; `id` is the sha256 of the config, `digest` what its name stands for in the registry.

    Sizes in bytes, None: not known. An engine knows what an image takes on disk, a registry what it takes to download.
    """

    name: str
    where: str
    id: str
    digest: str | None
    platform: str
    on_disk: int | None
    compressed: int | None
    layers: tuple[Layer, ...]
    config: Mapping[str, Any] = field(default_factory=dict)  # as in the image's config file: Env, User, Entrypoint ...

    @property
    def here(self) -> bool:
        return self.where == "here"


def find(names: Sequence[str], platform: str | None, pull: bool) -> tuple[Side, ...]:
    """The images of these names: the engine's where it has them, else the registry's. `pull` fetches what is not here.

    Raises Wrong for what is nowhere, Failed for a registry that does not answer.
    """
    for name in names:
        reference.parse(name)
    client, found = _here(names)
    if pull:
        if client is None:
            raise Failed("there is no engine to pull with; start one, or leave out --pull")
        for name in names:
            if name not in found:
                _pull(client, name, platform)
        found = engine.images(client, names)
    with ThreadPoolExecutor(len(names)) as pool:
        return tuple(pool.map(lambda name: _side(client, found.get(name), name, platform), names))


def _here(names: Sequence[str]) -> tuple[Engine | None, dict[str, Found]]:
    try:
        client = engine.any_client()
        return client, engine.images(client, names)
    except Failed:
        return None, {}  # no engine, or one that does not answer, has no images


def _side(client: Engine | None, found: Found | None, name: str, platform: str | None) -> Side:
    if client is None or found is None:
        return of_registry(name, platform or bases.host_platform())
    if platform and found.platform != platform:
        raise Wrong(
            f"the local {name} is {found.platform}, not {platform}; leave out --platform, or name the other one by its digest"
        )
    return of_engine(client, name, found)


def _pull(client: Engine, name: str, platform: str | None) -> None:
    import sh

    words = ["pull", *([f"--platform={platform}"] if platform else []), name]
    try:
        sh.Command(client.client)(
            *words, _env=client.environment, _tty_out=False, _decode_errors="replace", _out=output.to_stderr
        )
    except sh.ErrorReturnCode as error:
        raise Failed(engine.explain(client, error.stderr.decode(errors="replace"))) from None


def of_engine(client: Engine, name: str, found: Found) -> Side:
    """An image that the engine has."""
    config = json.loads(engine.ask(client, "image", "inspect", found.id) or "[]")[0].get("Config") or {}
    steps = list(reversed(engine.layer_sizes(client, found.id)))
    sized = _of_layers(steps, len(found.layers))
    layers = tuple(
        Layer(diff_id, None, None, size, " ".join(made.split()))
        for diff_id, (size, made) in zip(found.layers, sized, strict=True)
    )
    on_disk = found.size if found.size is not None else sum(size for size, _ in steps)
    return Side(name, "here", found.id, None, found.platform, on_disk, None, layers, config)


def _of_layers(steps: Sequence[tuple[int, str]], count: int) -> Sequence[tuple[int | None, str]]:
    """(bytes, what made it) of each layer. The engine lists steps and does not say which of them made a layer.

    An instruction for the config made none; where the rest does not come out even, those without bytes are left out as
    well, and where that does not either, nothing is known of single layers.
    """
    made = [step for step in steps if step[0] or not _NO_LAYER.match(step[1])]
    filled = [step for step in made if step[0]]
    return next((rows for rows in (made, filled) if len(rows) == count), [(None, "")] * count)


def of_registry(name: str, platform: str) -> Side:
    """An image as its registry describes it: two requests, three where the name stands for several platforms."""
    image = reference.parse(name)
    access = registry.Access(image, _INSTEAD)
    try:
        digest, manifest = access.manifest(image.digest or image.tag or "latest")
    except (Wrong, Failed) as error:
        raise error if image.registry else type(error)(f"{name} is not here, and {error}") from None
    if manifest.manifests is not None:
        _, manifest = access.manifest(manifests.choose(image, manifest, platform, "or another image"))
    described, blobs = manifests.parts(manifest, name)
    config = access.config(described.digest)
    if len(config.diff_ids) != len(blobs):
        raise Failed(f"{name} has {len(blobs)} layers and its config names {len(config.diff_ids)}; push it again")
    made = [
        (step.created_by or "").removeprefix("/bin/sh -c ").strip()
        for step in config.history or ()
        if not step.empty_layer
    ]
    made = made if len(made) == len(blobs) else [""] * len(blobs)
    layers = tuple(
        Layer(diff_id, layer.digest, layer.size, None, " ".join(text.split()))
        for diff_id, layer, text in zip(config.diff_ids, blobs, made, strict=True)
    )
    compressed = sum(layer.size for layer in blobs)
    run = msgspec.to_builtins(config.run)
    return Side(name, image.host, described.digest, digest, config.platform, None, compressed, layers, run)
