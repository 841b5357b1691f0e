"""Bases and built images in a private registry: bases from registry to registry, ours by the engine's push."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from ngc import bases, copying, engine, output, planning, push, reference, releases, sizes
from ngc.asked.images import Mirror
from ngc.bases import Chosen
from ngc.catalog import Catalog, Framework
from ngc.copying import Copy, Listener
from ngc.engine import Engine
from ngc.errors import Failed, Wrong
from ngc.extract.report import short
from ngc.reference import Reference


@dataclass(frozen=True)
class Plan:
    """What is to be done. `images` are built ones by their local names; `left_out` says of others why not."""

    prefix: str
    copies: tuple[Copy, ...]
    images: tuple[str, ...]
    client: Engine | None
    left_out: tuple[str, ...]

    @property
    def text(self) -> str:
        """A line per image, and the commands for those that the engine pushes."""
        lines = [line for copy in self.copies for line in _lines(copy)]
        if self.client:
            lines += [shlex.join(command) for command in push.commands(self.client, self.images, self.prefix)]
        return output.lines([*lines, *(f"# left out: {why}" for why in self.left_out)])


def make(catalog: Catalog, asked: Mirror) -> Plan:
    """Ask both registries and the engine what is there. Raises Wrong and Failed."""
    if asked.registry is None:
        raise Wrong("mirror needs to know where; add --registry=host[:port][/path]")
    prefix = reference.registry_prefix(asked.registry, "--registry")
    chosen = [catalog.framework(name) for name in dict.fromkeys(asked.framework)] or list(catalog.frameworks)
    wanted = bases.choose(catalog, [framework.name for framework in chosen], asked.base)
    known = releases.read(catalog)
    images: list[Reference] = []
    for on in wanted.values():
        image = reference.parse(on.reference)
        if why := known.why_broken(image):
            raise Wrong(f"{releases.title(image)}:{image.tag} is known to be broken: {why}")
        if not on.made_here and image not in images:
            images.append(image)
    client, ours, left_out = _built(chosen, wanted, asked.allow_stand_in)
    if not (images or ours):
        raise Wrong(f"there is nothing to send: {'; '.join(left_out)}")
    return Plan(prefix, tuple(copying.plan(images, prefix)), ours, client, left_out)


def _built(
    chosen: Sequence[Framework], wanted: Mapping[str, Chosen], allow_stand_in: bool
) -> tuple[Engine | None, tuple[str, ...], tuple[str, ...]]:
    """(engine, images to push, why others are not)."""
    try:
        client = engine.any_client()
        names = [planning.name(image, wanted[framework.name]) for framework in chosen for image in framework.images]
        found = engine.images(client, names)
    except Failed as error:
        return None, (), (f"built images, for {error}",)
    if client.podman:
        return None, (), ("built images, which podman must push by hand: `podman push`",)
    left_out, ours = [], []
    for name in names:
        if name not in found:
            left_out.append(f"{name} is not built")
        elif bases.is_stand_in(found[name].labels) and not allow_stand_in:
            left_out.append(f"{name} stands on the stand-in and serves nothing real; add --allow-stand-in to send it")
        else:
            ours.append(name)
    return client, tuple(ours), tuple(left_out)


def _lines(copy: Copy) -> Iterator[str]:
    total = sizes.text(sum(copy.blobs.values()))
    what = f"{copy.source} -> {copy.target}  {', '.join(copy.platforms) or 'one platform'}, {total} compressed"
    if copy.done:
        yield f"there  {what}, {short(copy.digest)}"
        return
    yield f"copy   {what}, {short(copy.digest)}"
    mounted = [digest for digest in copy.missing if digest in copy.mounted]
    sent = len(copy.missing) - len(mounted)
    yield (
        f"       {sent} of {len(copy.blobs)} blobs to send, {sizes.text(copy.to_send)}; {len(copy.there)} are there, "
        f"{len(mounted)} are in another repository there"
    )


def run(plan: Plan) -> None:
    """Do it, and print what is there now with its digest. Raises Failed."""
    for why in plan.left_out:
        print(output.line(f"left out: {why}"), file=sys.stderr)
    with listening(sum(copy.to_send for copy in plan.copies)) as listener:
        for copy in plan.copies:
            copying.run([copy], listener)
            print(f"{copy.target}@{copy.digest}", flush=True)
    if plan.client and plan.images:
        push.run(plan.client, plan.images, plan.prefix)


@contextmanager
def listening(total: int) -> Iterator[Listener]:
    """A live line per blob on a terminal, a line per finished blob elsewhere; on stderr."""
    if not sys.stderr.isatty():
        yield _plain
        return
    begun, blobs = time.monotonic(), dict[str, tuple[str, int, int]]()

    def rows() -> Iterator[Sequence[str]]:
        sent = sum(at for what, at, _ in list(blobs.values()) if what == "sent")
        speed = sizes.text(int(sent / max(time.monotonic() - begun, 1)))
        yield "all", f"{sizes.text(sent)} of {sizes.text(total)}", f"{speed}/s"
        for digest, (what, at, size) in list(blobs.items()):
            yield short(digest), what if what == "mounted" else f"{sizes.text(at)} of {sizes.text(size)}", ""

    def listen(what: str, digest: str, at: int, size: int) -> None:
        blobs[digest] = what, at, size

    with output.live(rows):
        yield listen


def _plain(what: str, digest: str, at: int, size: int) -> None:
    if what == "mounted":
        print(f"{short(digest)}: was there in another repository", file=sys.stderr, flush=True)
    elif what == "sent" and at == size:
        print(f"{short(digest)}: {sizes.text(size)} sent", file=sys.stderr, flush=True)
