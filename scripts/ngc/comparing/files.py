"""The files of an image that is here, as a container would see them, read from the engine's export and not kept."""

from __future__ import annotations

import hashlib
import posixpath
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from ngc import engine as engines
from ngc.clean import TEST_LABEL
from ngc.engine import Engine
from ngc.errors import Failed
from ngc.extract.layers import FILE, FOLDER, HARD_LINK, SYMLINK, Entry, content, members
from ngc.extract.tape import Tape, text

DEPTH = 4  # folders of a path under which files are added up
_CHUNK = 1 << 20
# The engine puts these into every container.
_OF_THE_ENGINE = frozenset((b".dockerenv", b"etc/hostname", b"etc/hosts", b"etc/resolv.conf", b"etc/mtab"))
_OF_THE_KERNEL = (b"dev/", b"proc/", b"sys/")
# Where packages say which files are theirs.
_DPKG = re.compile(rb"var/lib/dpkg/info/[^/]+\.list")
_WHEEL = re.compile(rb"(?P<folder>.+)/[^/]+\.dist-info/RECORD")
_MERGED = re.compile(rb"(bin|sbin|lib|lib32|lib64|libx32)/")
# What nobody wrote and nobody misses.
NOISE = re.compile(
    rb"(?:.*/)?__pycache__/|.*\.pyc$|(?:tmp|run|root/\.cache|var/(?:cache|log|lib/(?:apt|dpkg)))/"
    rb"|usr/share/(?:doc|info|lintian|locale|man)/|etc/ld\.so\.cache$"
    rb"|etc/(?:alternatives|rc[0-9S]\.d|apparmor\.d/local)/|var/lib/(?:ucf|systemd)/"
)
_ALTERNATIVE = b"/etc/alternatives/"  # update-alternatives makes links to it when packages are installed


class File(NamedTuple):
    """A file or symlink: its kind, its bytes, and its sha256 or target."""

    kind: str
    size: int
    content: bytes


@dataclass
class Tree:
    """Files by path without the leading slash, and the paths that packages of the system or of Python call theirs."""

    files: dict[bytes, File] = field(default_factory=dict)
    owned: set[bytes] = field(default_factory=set)


def read(client: Engine, image: str) -> Tree:
    """All files of an image. Reads the whole image, about 300 MB a second; nothing is run in it."""
    label = f"{TEST_LABEL}=compare"  # so that `clean` finds what a killed run leaves behind
    made = engines.ask(client, "create", "--label", label, "--entrypoint", "/none", image, "none")
    container = (made or "").split()[-1]
    # Not by `sh`, which hands output over in lines.
    child = subprocess.Popen(
        [client.client, "export", container], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=client.environment
    )
    try:
        assert child.stdout is not None and child.stderr is not None  # asked for above
        tree = of_tape(Tape(iter(lambda: child.stdout.read(_CHUNK), b""), image))  # type: ignore[union-attr]  # as above
        for _ in iter(lambda: child.stdout.read(_CHUNK), b""):  # type: ignore[union-attr]  # what stands behind the tar's end
            pass
        said = child.stderr.read().decode(errors="replace")
        if child.wait():
            raise Failed(engines.explain(client, said))
        return tree
    finally:
        child.kill()
        child.communicate()
        engines.ask(client, "rm", "--force", "--volumes", container, fails=False)


def of_tape(tape: Tape) -> Tree:
    """All files of a root file system as a tar."""
    tree = Tree()
    links: dict[bytes, bytes] = {}
    for entry in members(tape):
        if entry.name in _OF_THE_ENGINE or entry.name.startswith(_OF_THE_KERNEL) or entry.kind == FOLDER:
            continue
        if entry.kind == HARD_LINK:
            links[entry.name] = entry.link
        elif entry.kind == FILE:
            tree.files[entry.name] = _file(tape, entry, tree.owned)
        else:
            tree.files[entry.name] = File(entry.kind, 0, entry.link if entry.kind == SYMLINK else b"")
    for name, target in links.items():
        if target in tree.files:
            tree.files[name] = tree.files[target]
    return tree


def _file(tape: Tape, entry: Entry, owned: set[bytes]) -> File:
    digest = hashlib.sha256()
    system, wheel = _DPKG.fullmatch(entry.name), _WHEEL.fullmatch(entry.name)
    parts: list[bytes] = []

    def data(piece: memoryview) -> None:
        digest.update(piece)
        if system or wheel:
            parts.append(bytes(piece))

    def hole(length: int) -> None:
        for start in range(0, length, _CHUNK):
            digest.update(bytes(min(_CHUNK, length - start)))

    content(tape, entry, data, hole)
    if system:
        owned.update(_of_system(b"".join(parts)))
    elif wheel:
        owned.update(_of_wheel(b"".join(parts), wheel["folder"]))
    return File(FILE, entry.size, digest.digest())


def _of_system(listed: bytes) -> Iterator[bytes]:
    """Paths of a dpkg list; since /bin, /lib ... are links into /usr, their files are there."""
    for line in listed.splitlines():
        name = line.strip(b"/")
        yield name
        if _MERGED.match(name):
            yield b"usr/" + name


def _of_wheel(record: bytes, folder: bytes) -> Iterator[bytes]:
    """Paths of a RECORD, a table whose first column is a path from site-packages."""
    for line in record.splitlines():
        name = line.rsplit(b",", 2)[0].strip(b'"')
        yield posixpath.normpath(folder + b"/" + name).lstrip(b"/")


def changes(a: Tree, b: Tree) -> dict[str, dict[str, dict[str, int]]]:
    """Files that B has more, no more, or with other content or target: {folder: {files, bytes}}, bytes as where they are."""
    return {
        "added": by_folder((name, b.files[name]) for name in b.files.keys() - a.files.keys()),
        "removed": by_folder((name, a.files[name]) for name in a.files.keys() - b.files.keys()),
        "changed": by_folder((n, b.files[n]) for n in a.files.keys() & b.files.keys() if a.files[n] != b.files[n]),
    }


def missing(a: Tree, b: Tree) -> dict[str, dict[str, int]]:
    """Files of A that B has nowhere and that no package brought: what somebody put there by hand, by folder."""
    return by_folder(
        (name, a.files[name])
        for name in a.files.keys() - b.files.keys()
        if name not in a.owned and not NOISE.match(name) and not a.files[name].content.startswith(_ALTERNATIVE)
    )


def by_folder(found: Iterable[tuple[bytes, File]]) -> dict[str, dict[str, int]]:
    """{folder: {files, bytes}}, largest first."""
    sums: Mapping[str, dict[str, int]] = defaultdict(lambda: {"files": 0, "bytes": 0})
    for name, file in found:
        parts = text(name).split("/")
        row = sums["/" + "/".join(parts[: min(DEPTH, len(parts) - 1)])]
        row["files"], row["bytes"] = row["files"] + 1, row["bytes"] + file.size
    return dict(sorted(sums.items(), key=lambda item: (-item[1]["bytes"], -item[1]["files"], item[0])))
