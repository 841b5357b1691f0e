"""What is in an image, in one short run of it: files, packages of the system, packages of the base's Python."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import sh

from ngc.clean import TEST_LABEL
from ngc.engine import Engine

SECONDS = 300  # a real base has 200,000 files
# Written by the engine into every container, not part of the image.
ENGINES_OWN = {"/.dockerenv", "/etc/hostname", "/etc/hosts", "/etc/mtab", "/etc/resolv.conf", "/run/.containerenv"}
PROGRAM = r"""
find / -xdev \( -path /proc -o -path /sys -o -path /dev \) -prune -o -printf '%y %m %U:%G %s %T@ %p\t%l\0'
printf '\0--\0'
dpkg-query --show --showformat='${db:Status-Status}\t${Package}\t${Version}\t${Pre-Depends}, ${Depends}\t${Provides}\n'
printf '\0--\0'
python3 -B -c 'from importlib.metadata import distributions as d; [print(x.name, x.version) for x in d()]'
printf '\0--\0'
cat /var/lib/dpkg/info/*.list
printf '\0--\0'
cat /etc/ssl/certs/ca-certificates.crt 2>/dev/null || :
"""


@dataclass(frozen=True)
class File:
    """One path of an image. `kind` is find's letter: f, d, l ..."""

    kind: str
    mode: int
    owner: str
    size: int
    modified: str
    target: str

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for a file that nobody touched. A folder's size and time change with what is put into it."""
        always = (self.kind, self.mode, self.owner, self.target)
        return always if self.kind == "d" else (*always, self.size, self.modified)


@dataclass(frozen=True)
class Package:
    """A package of the system. `needs` are alternatives to each other in the inner tuples."""

    version: str
    needs: tuple[tuple[str, ...], ...]
    provides: tuple[str, ...]


@dataclass(frozen=True)
class Snapshot:
    """What an image holds. `python` is name to version; `owned` are the paths of all the system's packages."""

    files: Mapping[str, File]
    packages: Mapping[str, Package]
    python: Mapping[str, str]
    owned: frozenset[str]
    trusted: str


@lru_cache(maxsize=4)
def take(client: Engine, image: str) -> Snapshot:
    """Look into an image, as root and without its entrypoint."""
    parts = _run(client, image, "sh", "-c", PROGRAM).split(b"\0--\0")
    files, packages, python, owned, trusted = (part.decode(errors="surrogateescape") for part in parts)
    return Snapshot(
        dict(_file(line) for line in files.split("\0") if line),
        dict(_package(line) for line in packages.splitlines() if line.startswith("installed\t")),
        dict(line.rsplit(" ", 1) for line in python.splitlines()),
        frozenset(merged(line) for line in owned.splitlines()),
        trusted,
    )


def containing(client: Engine, image: str, pattern: str, paths: Iterable[str]) -> list[str]:
    """Those of the paths in an image whose content matches an extended regular expression."""
    listed = "\0".join(paths).encode(errors="surrogateescape")
    program = 'xargs -0 -r grep -lEas -e "$1" -- || [ $? -eq 123 ]'
    out = _run(client, image, "sh", "-c", program, "sh", pattern, listed=listed)
    return out.decode(errors="surrogateescape").splitlines()


def merged(path: str) -> str:
    """A path as it is since /bin, /sbin and /lib are links into /usr."""
    return re.sub(r"^/(bin|sbin|lib|lib32|lib64|libx32)(?=/|$)", r"/usr/\1", path)


def _run(client: Engine, image: str, program: str, *arguments: str, listed: bytes | None = None) -> bytes:
    words = ["run", "--rm", "--interactive", "--user", "0", "--network", "none", "--label", f"{TEST_LABEL}=1"]
    docker = sh.Command(client.client)
    done = docker(
        *words, "--entrypoint", program, client.local(image), *arguments,
        _in=listed or b"", _tty_in=False, _tty_out=False, _timeout=SECONDS, _return_cmd=True,
    )  # fmt: skip
    return bytes(done.stdout)


def _file(line: str) -> tuple[str, File]:
    place, _, target = line.partition("\t")
    kind, mode, owner, size, modified, path = place.split(" ", 5)
    return path, File(kind, int(mode, 8), owner, int(size), modified, target)


def _package(line: str) -> tuple[str, Package]:
    _, name, version, needs, provides = line.split("\t")
    wanted = [tuple(_names(group.replace("|", ","))) for group in needs.split(",")]
    return name, Package(version, tuple(group for group in wanted if group), tuple(_names(provides)))


def _names(text: str) -> list[str]:
    return [word for part in text.split(",") if (word := re.sub(r"[(:\[].*", "", part).strip())]
