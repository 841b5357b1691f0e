"""Images made by hand for the tests of extraction: tars with any header, OCI layouts, archives, and what is on a disk afterwards."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ngc.asked.images import Extract
from ngc.extract import asking, work

TIME = 1_600_000_000
OCI = tuple(f"application/vnd.oci.image.{name}" for name in ("manifest.v1+json", "config.v1+json", "layer.v1.tar+gzip"))
DOCKER = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
)


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A member for `tar`; fields as of TarInfo."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.mtime, info.mode = len(data), kind, TIME, 0o755 if kind == tarfile.DIRTYPE else 0o644
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def folder(name: str, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, kind=tarfile.DIRTYPE, **fields)


def symlink(name: str, to: str, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, kind=tarfile.SYMTYPE, linkname=to, **fields)


def hard_link(name: str, to: str, **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, kind=tarfile.LNKTYPE, linkname=to, **fields)


def tar(*members: tuple[tarfile.TarInfo, bytes], format: int = tarfile.PAX_FORMAT) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=format, errors="surrogateescape") as made:
        for info, content in members:
            made.addfile(info, io.BytesIO(content))
    return data.getvalue()


def header(name: bytes = b"", kind: bytes = b"0", size: bytes = b"", **places: bytes) -> bytes:
    """A raw header; `places` are at_<offset>=bytes."""
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108], block[108:116], block[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    block[124:136] = (size or b"0").rjust(11, b"0") + b"\0" if len(size) < 12 else size
    block[136:148], block[156:157] = b"%011o\0" % TIME, kind
    block[257:265] = b"ustar\x0000"
    for place, value in places.items():
        at = int(place.removeprefix("at_"))
        block[at : at + len(value)] = value
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def pax(**records: bytes) -> bytes:
    """A PAX header block; `_` in a key is a dot."""
    text = b""
    for key, value in records.items():
        line = b" " + key.replace("_", ".").encode() + b"=" + value + b"\n"
        size = len(line) + len(str(len(line) + 2))
        text += str(size).encode() + line if len(str(size)) + len(line) == size else str(size + 1).encode() + line
    return header(b"pax", b"x", b"%o" % len(text)) + padded(text)


END = bytes(1024)


def digest_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass
class Image:
    """Layers and a config, writable in every form. `packed` are the layers as they are stored, gzip unless said."""

    layers: list[bytes]
    environment: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    packed: list[bytes] = field(default_factory=list)
    docker: bool = False  # Docker's media types, not OCI's

    def __post_init__(self) -> None:
        self.packed = self.packed or [gzip.compress(layer, 1, mtime=0) for layer in self.layers]

    @property
    def config(self) -> bytes:
        return json.dumps(
            {
                "os": "linux",
                "architecture": "amd64",
                "config": {"Env": self.environment, "Labels": self.labels, "Cmd": ["x"]},
                "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in self.layers]},
            }
        ).encode()

    @property
    def manifest(self) -> bytes:
        manifest, config, layer = DOCKER if self.docker else OCI
        layers = [{"mediaType": layer, "digest": digest_of(data), "size": len(data)} for data in self.packed]
        described = {"mediaType": config, "digest": digest_of(self.config), "size": len(self.config)}
        whole = {"schemaVersion": 2, "mediaType": manifest, "config": described, "layers": layers}
        return json.dumps(whole).encode()

    @property
    def blobs(self) -> dict[str, bytes]:
        return {digest_of(data): data for data in (self.config, self.manifest, *self.packed)}

    def layout(self, path: Path) -> Path:
        """Write an OCI layout."""
        (path / "blobs" / "sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        for name, data in self.blobs.items():
            (path / "blobs" / name.replace(":", "/")).write_bytes(data)
        entry = {"digest": digest_of(self.manifest), "size": len(self.manifest), "mediaType": OCI[0]}
        (path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
        return path

    def archive(self, path: Path, name: str = "test/image:1") -> Path:
        """Write what `docker save` writes."""
        files = {f"{n}/layer.tar": layer for n, layer in enumerate(self.layers)} | {"config.json": self.config}
        manifest = [
            {"Config": "config.json", "RepoTags": [name], "Layers": [f"{n}/layer.tar" for n in range(len(self.layers))]}
        ]
        files["manifest.json"] = json.dumps(manifest).encode()
        path.write_bytes(tar(*(member(key, data) for key, data in files.items())))
        return path


def quiet(*_: object) -> None:
    """A listener that hears nothing."""


class Extraction:
    """Extracts into a folder of its own, with a cache of its own."""

    def __init__(self, tree: Any, out: Path) -> None:
        self.tree, self.out = tree, out
        self.read: list[str] = []

    def request(self, image: Path | str, *components: str, **more: Any) -> Extract:
        return Extract(None, components or ("/data",), str(image), out=str(self.out), **more)

    def __call__(self, image: Path | str, *components: str, **more: Any) -> Any:
        """The inventory; `read` is then what was read, an entry per blob."""
        order = asking.order(self.tree.read(), self.request(image, *components, **more))
        self.read = []
        return work.unchanged(order) or work.run(
            order, lambda what, blob, *_: what == "start" and self.read.append(blob.name)
        )

    def text(self, name: str) -> str:
        return (self.out / name).read_text()


def snapshot(path: Path) -> dict[bytes, tuple[Any, ...]]:
    """What is at and below a path: kind, mode, time, and content, target or first name of a hard link."""
    names = [path]
    for here, folders, files in os.walk(path):
        names += [Path(here) / name for name in (*folders, *files)]
    found: dict[bytes, tuple[Any, ...]] = {}
    inodes: dict[int, bytes] = {}
    for full in sorted(names, key=os.fsencode):
        name = b"" if full == path else os.fsencode(full.relative_to(path))
        state = full.lstat()
        if stat.S_ISLNK(state.st_mode):
            found[name] = ("symlink", int(state.st_mtime), os.readlink(full))  # noqa: PTH115  # as it stands there
            continue
        content: Any = None
        if stat.S_ISREG(state.st_mode):
            content = digest_of(full.read_bytes()), inodes.setdefault(state.st_ino, name)
        found[name] = (stat.S_IFMT(state.st_mode), oct(stat.S_IMODE(state.st_mode)), int(state.st_mtime), content)
    return found
