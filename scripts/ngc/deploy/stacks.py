"""Which stacks `up` started on this machine: written down so that `down`, `status` and `logs` need no flags."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ngc import cache
from ngc.deploy import promise as promises
from ngc.deploy.promise import Promise
from ngc.errors import Wrong

RECORD, FILE = "stack.json", "compose.json"


@dataclass(frozen=True)
class Stack:
    """A stack of this machine."""

    name: str
    config: str
    image: str | None
    url: str
    promise: Promise

    @property
    def project(self) -> str:
        return f"ngc-{self.name}"

    @property
    def folder(self) -> Path:
        return cache.state("stacks") / self.name

    @property
    def file(self) -> Path:
        """The Compose file. It is JSON, which is YAML: Compose reads it, and nothing has to be quoted twice."""
        return self.folder / FILE


def write(stack: Stack, texts: Mapping[str, str]) -> None:
    """Keep a stack's record and its files, whole or not at all."""
    staged = stack.folder.with_name(f".{stack.name}.staged")
    shutil.rmtree(staged, ignore_errors=True)
    for name, text in {**texts, RECORD: json.dumps(asdict(stack), indent=2)}.items():
        (staged / name).parent.mkdir(parents=True, exist_ok=True)
        (staged / name).write_text(text)
    # Running containers have the files mounted by their folders, so files are replaced one by one; the record is last.
    for path in sorted((p for p in staged.rglob("*") if p.is_file()), key=lambda path: path.name == RECORD):
        target = stack.folder / path.relative_to(staged)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
    shutil.rmtree(staged)


def forget(stack: Stack) -> None:
    """Drop a stack's record and files."""
    shutil.rmtree(stack.folder, ignore_errors=True)


def known() -> list[Stack]:
    """Every stack on record."""
    return [_read(path) for path in sorted(cache.state("stacks").glob(f"*/{RECORD}"))]


def _read(path: Path) -> Stack:
    data = json.loads(path.read_text())
    return Stack(**{**data, "promise": promises.from_data(data["promise"])})


def choose(name: str | None) -> Stack:
    """The stack of that name, or the only one. Raises Wrong with the names there are."""
    stacks = known()
    names = ", ".join(stack.name for stack in stacks)
    if name is None and len(stacks) == 1:
        return stacks[0]
    for stack in stacks:
        if name in (stack.name, stack.config):
            return stack
    if not stacks:
        raise Wrong("no stack is up on this machine; `invoke up --config=NAME` starts one")
    if name is None:
        raise Wrong(f"several stacks are up; name one with --config: {names}")
    raise Wrong(f"'{name}' is not up on this machine; what is up: {names}")
