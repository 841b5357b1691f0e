"""Whether the nodes can get a graph's images: what a registry says of a tag, what nodes report to have, and what is a stand-in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from ngc import bases, engine, logins, manifests, registry
from ngc import reference as references
from ngc.deploy.cluster.checking import FAIL, PASS, UNKNOWN, WARN, Check
from ngc.deploy.cluster.nodes import Node
from ngc.deploy.graph import Graph
from ngc.errors import Failed, Wrong
from ngc.reference import HUB, Reference

INSTEAD = "or deploy another with --image"
# A name that every machine has for itself: what this one finds there says nothing of the nodes.
_HERE = re.compile(r"(localhost|127\.[\d.]+|\[::1\])(:\d+)?")


@dataclass(frozen=True)
class Published:
    """A tag as its registry has it. `platforms` () where it does not say; `anonymous`: this machine knows no login there, and needed none."""

    platforms: tuple[str, ...]
    user: str
    stand_in: bool
    anonymous: bool


def named(graph: Graph) -> list[str]:
    """The images of all services, each once."""
    return list(dict.fromkeys(service.image for service in graph.services if service.image))


def elsewhere(image: str) -> Reference | None:
    """The reference of an image that nodes pull from a registry which can be asked from here too; None for all others."""
    try:
        reference = references.parse(image)
    except Wrong:
        return None
    return None if not reference.registry or _HERE.fullmatch(reference.registry) else reference


@lru_cache(maxsize=64)
def published(image: str) -> Published | Wrong | Failed | None:
    """What a registry says of an image, asked once; the error where it says no, None where there is none to ask."""
    reference = elsewhere(image)
    if reference is None:
        return None
    try:
        return _look_up(reference)
    except (Wrong, Failed) as error:
        return error


def _look_up(reference: Reference) -> Published:
    access = registry.Access(reference, INSTEAD)
    _, manifest = access.manifest(reference.digest or reference.tag or "latest")
    platforms = manifest.named
    if manifest.manifests is not None:
        if not manifest.platforms:
            raise Wrong(f"{reference} is a list of no images; push it again, {INSTEAD}")
        _, manifest = access.manifest(manifests.valid(next(iter(manifest.platforms.values())), str(reference)))
    config = access.config(manifests.parts(manifest, str(reference))[0].digest)
    platforms = platforms or tuple(filter(None, (config.platform,)))
    stand_in = bases.is_stand_in(config.labels)
    return Published(platforms, config.run.User or "", stand_in, logins.find(reference) is None)


def is_stand_in(image: str) -> bool:
    """True if the tag says so, or the label: of the image on this machine, else of the one in its registry."""
    try:
        tag = references.parse(image).tag or ""
    except Wrong:
        return False
    if tag.endswith(f"-{bases.STAND_IN}"):
        return True
    try:
        client = engine.any_client()
        here = engine.images(client, [image])
    except (Failed, Wrong):
        here = {}  # no engine: deploying needs none
    if image in here:
        return bases.is_stand_in(here[image].labels)
    said = published(image)
    return isinstance(said, Published) and said.stand_in


def refuse_stand_ins(graph: Graph, allowed: bool) -> bool:
    """True if an image of the graph is a stand-in. Raises Wrong if so, unless that is allowed."""
    found = [image for image in named(graph) if is_stand_in(image)]
    if found and not allowed:
        raise Wrong(
            f"{', '.join(found)} stand{'s' if len(found) == 1 else ''} on the stand-in and serve{'s' if len(found) == 1 else ''} "
            "nothing real; add --allow-stand-in to deploy it all the same"
        )
    return bool(found)


def check(image: str, said: Published | Wrong | Failed | None, nodes: Sequence[Node] | None) -> Check:
    """Whether the nodes have the image, or can pull it. `nodes` None: they were not told."""
    usable = [node for node in nodes or () if not node.cordoned]
    having = [node.name for node in usable if _has(node, image)]
    if usable and len(having) == len(usable):
        return Check(
            "image", PASS, f"{image} is on {'the node' if len(having) == 1 else f'all {len(having)} nodes'} already"
        )
    if isinstance(said, Published):
        return _platforms(image, said, usable)
    if isinstance(said, Wrong):
        return Check("image", FAIL, str(said), f"invoke push --registry={_prefix(image)}")
    if isinstance(said, Failed):
        host = references.parse(image).host
        return Check("image", UNKNOWN, f"{image}: {said}", f"docker login {host}" if "login" in str(said) else "")
    push = "invoke push --registry=HOST, then deploy with the same --registry"
    if having:
        return Check(
            "image",
            WARN,
            f"{image} names no registry and is on {', '.join(having)} only: pods that start elsewhere cannot run",
            push,
        )
    what = "names a registry of this machine" if references.parse(image).registry else "names no registry"
    seen = "; no node reports it" if usable else ""
    return Check("image", UNKNOWN, f"{image} {what}: the nodes must have it already{seen}", push)


def _platforms(image: str, said: Published, nodes: Sequence[Node]) -> Check:
    wanted = sorted({f"linux/{node.architecture}" for node in nodes if node.architecture})
    lacking = [platform for platform in wanted if platform not in said.platforms]
    if not said.platforms or not lacking:
        return Check(
            "image",
            PASS,
            f"{image} is in its registry" + (f" for {', '.join(wanted)}" if wanted and said.platforms else ""),
        )
    text = f"{image} is {' and '.join(said.platforms)} only, and nodes are {', '.join(wanted)}"
    if len(lacking) == len(wanted):
        return Check("image", FAIL, f"{text}: no node can run it", f"invoke build --platform={wanted[0]} ...")
    fitting = next(p for p in wanted if p in said.platforms).partition("/")[2]
    return Check("image", WARN, f"{text}: pods must stay off the others",
                 f"add --set 'spec.services.NAME.extraPodSpec.nodeSelector[\"kubernetes.io/arch\"]={fitting}' for each service")  # fmt: skip


def _has(node: Node, image: str) -> bool:
    reference = references.parse(image)
    text = image if reference.tag or reference.digest else f"{image}:latest"
    if reference.registry:
        return text in node.images
    library = "" if "/" in reference.repository else "library/"
    return bool({text, f"{HUB}/{library}{text}", f"localhost/{text}"} & node.images)


def _prefix(image: str) -> str:
    reference = references.parse(image)
    folder, _, _ = reference.repository.rpartition("/")
    return f"{reference.registry}/{folder}".rstrip("/")
