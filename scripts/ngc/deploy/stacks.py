"""Which stacks `up` started on this machine: written down so that `down`, `status` and `logs` need no flags."""

from __future__ import annotations

import fcntl
import glob
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ngc import files
from ngc.deploy import promise as promises
from ngc.deploy.graph import find
from ngc.deploy.promise import Promise
from ngc.errors import Failed, Wrong

# KEEP is a second Compose file, for `down` alone: volumes that it must not remove.
RECORD, FILE, KEEP = "stack.json", "compose.json", "keep.json"
NONE = "no stack is up on this machine; `invoke up --config=NAME` starts one"


@dataclass(frozen=True)
class Stack:
    """A stack of this machine. `config` is as the user typed it, `path` the file that it is."""

    name: str
    config: str
    image: str | None
    url: str
    promise: Promise
    path: str = ""

    @property
    def project(self) -> str:
        return project(self.name)

    @property
    def file(self) -> Path:
        """The Compose file. It is JSON, which is YAML: Compose reads it, and nothing has to be quoted twice."""
        return folder(self.name) / FILE


def project(name: str) -> str:
    """The name of a stack's Compose project: the label of its containers, network and volumes."""
    return f"ngc-{name}"


def folder(name: str) -> Path:
    """Where a stack's record and files lie."""
    return files.below(files.state("stacks"), name)


@contextmanager
def locked(name: str, verb: str) -> Iterator[None]:
    """Nothing else starts or removes the stack meanwhile. The kernel ends it with this process, however that ends. Raises Wrong."""
    path = folder(f".{name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            other, _, process = (file.read() or "up or down").partition(" is process ")
            end = f" (process {process})" if process else ""
            raise Wrong(f"`invoke {other}` of {name} is running{end}; wait until it has ended, or end it") from None
        file.truncate(0)
        file.write(f"{verb} is process {os.getpid()}")
        file.flush()
        yield


def stage(stack: Stack, texts: Mapping[str, str]) -> Path:
    """Write a stack's record and files into a folder of their own, where they can be looked at before they are kept."""
    prefix = f".{stack.name}.staged-"
    for left in folder(stack.name).parent.glob(
        f"{glob.escape(prefix)}*"
    ):  # by a run that was killed: the lock says there is no other
        files.remove_tree(left)
    staged = Path(tempfile.mkdtemp(prefix=prefix, dir=folder(stack.name).parent))
    for name, text in {**texts, RECORD: json.dumps(asdict(stack), indent=2)}.items():
        path = files.below(staged, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, text)
    return staged


def keep(stack: Stack, staged: Path) -> None:
    """Put what was staged in the place of what was there."""
    # Running containers have the files mounted by their folders, so files are replaced one by one; the record is last.
    for path in sorted((p for p in staged.rglob("*") if p.is_file()), key=lambda path: path.name == RECORD):
        target = folder(stack.name) / path.relative_to(staged)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    files.remove_tree(staged)


def forget(name: str) -> None:
    """Drop a stack's record and files."""
    shutil.rmtree(folder(name), ignore_errors=True)


def kept_volumes(name: str) -> frozenset[str] | None:
    """The engine's names of volumes that are the user's own; None where it cannot be known any more."""
    try:
        data = json.loads((folder(name) / KEEP).read_text())
        return frozenset(str(entry["name"]) for entry in data["volumes"].values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def on_record() -> bool:
    """True if there is any stack, readable or not."""
    return bool(_records())


def known() -> list[Stack]:
    """Every stack whose record can be read."""
    return [stack for name in _records() if (stack := _read(name)) is not None]


def unreadable() -> list[str]:
    """A sentence for each stack whose record cannot be read."""
    return [_lost(name) for name in _records() if _read(name) is None]


def warn() -> None:
    """Warn of stacks whose record cannot be read; they must not keep anyone from the others."""
    for text in unreadable():
        print(f"warning: {text}", file=sys.stderr)


def _records() -> list[str]:
    names = (path.parent.name for path in files.state("stacks").glob(f"*/{RECORD}"))
    return sorted(name for name in names if not name.startswith("."))  # what is staged is not up


def _read(name: str) -> Stack | None:
    try:
        data = json.loads((folder(name) / RECORD).read_text())
        return Stack(**{**data, "promise": promises.from_data(data["promise"])})
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _lost(name: str) -> str:
    label = f"com.docker.compose.project={project(name)}"
    return f"{folder(name) / RECORD} cannot be read; `invoke down --config={name}` removes that stack, all that has the label {label}"


def choose(config: str | None) -> Stack:
    """The stack that is meant. Raises Wrong as `named` does, Failed if its record cannot be read."""
    name = named(config)
    stack = _read(name)
    if stack is None:
        raise Failed(_lost(name))
    return stack


def named(config: str | None) -> str:
    """The name of the stack that is meant: by its name, by its config as typed, by its config's file, or the only one.

    Also of one whose record cannot be read. Raises Wrong with the names there are.
    """
    names, stacks = _records(), known()
    if not names:
        raise Wrong(NONE)
    if config in names:
        return str(config)
    if config is None:
        return _only(names if not stacks else [stack.name for stack in stacks], "several stacks are up")
    path = _path(config)
    found = [stack.name for stack in stacks if config == stack.config or (path and path == stack.path)]
    if not found:
        raise Wrong(f"'{config}' is not up on this machine; what is up: {', '.join(names)}")
    return _only(found, f"several stacks serve {config}")


def _only(names: list[str], several: str) -> str:
    if len(names) > 1:
        raise Wrong(f"{several}; name one with --config: {', '.join(names)}")
    return names[0]


def _path(config: str) -> str:
    """The file of a config, "" where it is none."""
    with suppress(Wrong):
        return str(find(config).resolve())
    return ""
