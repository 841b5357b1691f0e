"""Pushing what is built: never a stand-in unless told, and never a part of what was asked for."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from ngc import bases, engine, planning, reference
from ngc.asked.images import Push
from ngc.catalog import Catalog
from ngc.engine import Engine
from ngc.errors import Failed, Wrong


def commands(client: Engine, images: Sequence[str], registry: str) -> list[tuple[str, ...]]:
    """What pushing runs: for each image a tag with the registry's name, then its push."""
    steps: list[tuple[str, ...]] = []
    for image in images:
        steps += [
            (client.client, "tag", client.local(image), f"{registry}/{image}"),
            (client.client, "push", f"{registry}/{image}"),
        ]
    return steps


def run(client: Engine, images: Sequence[str], registry: str) -> None:
    """Push the images and print their names with digests. Raises Failed at the first that does not go."""
    import sh

    for image in images:
        print(f"pushing {registry}/{image}", file=sys.stderr)
    for command in commands(client, images, registry):
        try:
            sh.Command(command[0])(*command[1:], _env=client.environment, _err_to_out=True, _tty_out=False)
        except sh.ErrorReturnCode as error:
            said = error.stdout.decode(errors="replace").strip().splitlines()
            raise Failed(
                f"`{shlex.join(command)}` failed: {said[-1] if said else 'it said nothing'}; check the registry and `docker login`"
            ) from None
    found = engine.images(client, [f"{registry}/{image}" for image in images])
    for name, pushed in found.items():
        digest = next((d.partition("@")[2] for d in pushed.digests if d.startswith(name.rpartition(":")[0] + "@")), "")
        print(f"{name}@{digest}" if digest else name)


def push(catalog: Catalog, asked: Push) -> None:
    """Push the selected images, all of which must be built. Raises Wrong and Failed."""
    if asked.registry is None:
        raise Wrong("push needs to know where; add --registry=host[:port][/path]")
    prefix = reference.registry_prefix(asked.registry, "--registry")
    selected = catalog.select(asked.framework, asked.target)
    chosen = bases.choose(catalog, [image.framework for image in selected], asked.base, asked.tag)
    names = [planning.name(image, chosen[image.framework]) for image in selected]
    client = engine.any_client()
    if client.podman:
        raise Wrong("push works with docker; with podman use `podman push`")
    found = engine.images(client, names)
    missing = [name for name in names if name not in found]
    if missing:
        raise Failed(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not built; run `invoke build` with the same options first"
        )
    stand_ins = [name for name in names if bases.is_stand_in(found[name].labels)]
    if stand_ins and not asked.allow_stand_in:
        raise Wrong(
            f"{', '.join(stand_ins)} stand on the stand-in and serve nothing real; add --allow-stand-in to push them all the same"
        )
    if asked.plan:
        print("\n".join(shlex.join(command) for command in commands(client, names, prefix)))
        return
    run(client, names, prefix)
