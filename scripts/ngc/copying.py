"""Images from one registry to another, byte for byte, so that digests stay; what is there already is not sent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from ngc import manifests, registry_write
from ngc.errors import Failed
from ngc.manifests import Manifest, valid
from ngc.reference import Reference
from ngc.registry import Access

JOBS = 4  # blobs on their way at once
_ASKERS = 8  # questions at once
_ELSEWHERE = ("foreign", "nondistributable")  # in the media type of layers that registries do not keep
_INSTEAD = "or choose another --registry"
_DEEPEST, _MOST, _LARGEST = (
    3,
    500,
    64 << 20,
)  # indexes in each other, manifests and their bytes of one image; real ones stay far below

# Told of the work: ("start" | "sent" | "mounted", digest, bytes that are there, size).
Listener = Callable[[str, str, int, int], None]


@dataclass(frozen=True)
class Stored:
    """A manifest or index as it was sent; `name` is what it is stored under, its digest or a tag."""

    name: str
    digest: str
    kind: str  # media type
    data: bytes = field(repr=False)
    content: Manifest = field(repr=False)


@dataclass(frozen=True)
class Copy:
    """One image to copy. `manifests` in the order of storing: the tag is last, and nothing has it before all else is there.

    `blobs` are sizes in bytes by digest; `there` those that the target has, `mounted` those it has in another repository.
    """

    source: Reference
    target: Reference
    digest: str
    platforms: tuple[str, ...]
    manifests: tuple[Stored, ...]
    blobs: dict[str, int]
    there: frozenset[str]
    mounted: dict[str, str]  # digest: repository
    done: bool  # the target has it under its tag

    @property
    def missing(self) -> dict[str, int]:
        """Sizes of the blobs that must be sent, by digest, largest first."""
        left = {digest: size for digest, size in self.blobs.items() if digest not in self.there}
        return {} if self.done else dict(sorted(left.items(), key=lambda item: -item[1]))

    @property
    def to_send(self) -> int:
        """Bytes."""
        return sum(size for digest, size in self.missing.items() if digest not in self.mounted)


def plan(images: Sequence[Reference], prefix: str) -> list[Copy]:
    """What copying these images to a registry sends. Asks both registries, sends nothing. Raises Wrong and Failed."""
    found: list[Copy] = []
    for image in images:
        found.append(_planned(image, image.at(prefix), found))
    return found


def _planned(source: Reference, target: Reference, before: Sequence[Copy]) -> Copy:
    """The plan of one image; `before` are those whose blobs will be there when it begins."""
    asked, asking = Access(source, "or name another image with --base"), Access(target, _INSTEAD)
    tag = (
        target.tag or source.digest or "latest"
    )  # of an image that is named by its digest alone nothing more is stored
    found = _manifests(asked, source.digest or tag)
    top = found[-1]
    blobs = dict(blob for stored in found for blob in _blobs(stored))
    done = registry_write.there(asking, f"/manifests/{tag}") == top.digest
    with ThreadPoolExecutor(_ASKERS) as pool:
        answers = pool.map(lambda name: done or registry_write.there(asking, f"/blobs/{name}"), blobs)
        there = frozenset(name for name, answer in zip(blobs, answers, strict=True) if answer)
    near = {
        name: other.target.repository for other in before for name in other.blobs if other.target.host == target.host
    }
    near |= dict.fromkeys(blobs, source.repository) if source.host == target.host else {}
    mounted = {name: near[name] for name in blobs if name not in there and name in near}
    platforms = top.content.named
    named = (*found, replace(top, name=tag))
    return Copy(source, target, top.digest, platforms, named, blobs, there, mounted, done)


def _manifests(access: Access, name: str) -> list[Stored]:
    """An image's manifests, those that an index names before the index, attestations included; each once. Raises Failed for too many."""
    found: dict[str, Stored] = {}
    title = str(access.reference)

    def one(name: str, depth: int) -> None:
        if depth > _DEEPEST or len(found) >= _MOST or sum(len(each.data) for each in found.values()) > _LARGEST:
            raise Failed(f"{title} is an index of more manifests than an image has; name another one")
        answer = access.manifest_as_sent(name)
        digest, manifest = manifests.digest_of(answer.data), access.read(answer, Manifest, "manifest")
        if manifest.manifests is None and manifest.layers is None:
            kind = manifest.mediaType or "of an old kind"
            raise Failed(f"{title} is neither an image nor an index, but {kind}; name another one")
        for entry in manifest.manifests or ():
            if valid(entry.digest, title) not in found:
                one(entry.digest, depth + 1)
        kind = manifest.mediaType or answer.headers.get("Content-Type") or manifests.KINDS[2]
        found[digest] = Stored(digest, digest, kind, answer.data, manifest)

    one(name, 0)
    return list(found.values())


def _blobs(stored: Stored) -> Iterator[tuple[str, int]]:
    for entry in (stored.content.config, *(stored.content.layers or ())):
        if entry is not None and not any(word in entry.kind for word in _ELSEWHERE):
            yield valid(entry.digest, stored.digest), entry.size


def run(copies: Sequence[Copy], listen: Listener) -> None:
    """Copy the images, one after another. A second run after any crash sends only what is missing. Raises Failed."""
    for copy in copies:
        if not copy.done:
            _run(copy, listen)


def _run(copy: Copy, listen: Listener) -> None:
    source, target = Access(copy.source, "run again"), Access(copy.target, _INSTEAD)
    stop = threading.Event()

    def one(digest: str, size: int) -> None:
        listen("start", digest, 0, size)
        upload = registry_write.Upload(source, target, digest, size, stop, lambda at: listen("sent", digest, at, size))
        if upload.send(copy.mounted.get(digest)):
            listen("mounted", digest, size, size)

    with ThreadPoolExecutor(JOBS) as pool:
        futures = [pool.submit(one, digest, size) for digest, size in copy.missing.items()]
        try:
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
        except BaseException:
            stop.set()
            for future in futures:
                future.cancel()
            raise
    for stored in copy.manifests:
        registry_write.put_manifest(target, stored.name, stored.data, stored.kind)
    kept = registry_write.there(target, f"/manifests/{copy.manifests[-1].name}")
    if kept != copy.digest:
        raise Failed(
            f"{copy.target.host} keeps {copy.target} as {kept}, not as {copy.digest}; it changes what it is given: use another registry"
        )
