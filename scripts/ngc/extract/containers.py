"""The container that a local image is read through: made, never started, and removed however the run ends.

Its label says which process it belongs to, so that the next run can remove what a killed one has left.
"""

from __future__ import annotations

import os
import subprocess
import threading
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from ngc import engine as engines
from ngc.clean import TEST_LABEL
from ngc.engine import Engine
from ngc.errors import Failed

OWNER_LABEL = "ngc-dynamo.owner"


class Container:
    """A container of an image, made when its name is first asked for. For use in several threads."""

    def __init__(self, client: Engine, image: str) -> None:
        self._client, self._image = client, image
        self._made: Future[str] | None = None
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        """Its id. Raises Failed."""
        with self._lock:
            if self._made is None:
                self._made = Future()
                # In a thread, as a signal ends the main one only: what was asked of the engine is always heard of.
                threading.Thread(target=self._make, args=(self._made,)).start()
        return self._made.result()

    def _make(self, made: Future[str]) -> None:
        try:
            _remove_left(self._client)
            made.set_result(_create(self._client, self._image))
        except BaseException as error:
            made.set_exception(error)

    def remove(self) -> None:
        """Remove it, if there is one; one that is just being made is waited for."""
        if self._made is not None:
            with suppress(Failed):
                _remove(self._client, self._made.result())
            self._made = None


def _create(client: Engine, image: str) -> str:
    labels = ("--label", f"{TEST_LABEL}=extract", "--label", f"{OWNER_LABEL}={_owner(os.getpid())}")
    words = (client.client, "create", *labels, "--entrypoint", "/none", image, "none")
    # In a session of its own: Ctrl-C goes to all processes of a terminal, and the engine would go on without a client to say so.
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        errors="replace",
        env=client.environment,
        start_new_session=True,
        check=False,
    )
    if done.returncode or not done.stdout.split():
        raise Failed(engines.explain(client, done.stderr))
    return done.stdout.split()[-1]


def _remove(client: Engine, *names: str) -> None:
    engines.ask(client, "rm", "--force", "--volumes", *names, fails=False)


def _remove_left(client: Engine) -> None:
    """Remove containers of processes of this machine that have ended."""
    listed = engines.ask(client, "ps", "--all", "--quiet", "--filter", f"label={OWNER_LABEL}", fails=False)
    if not listed or not listed.split():
        return
    form = '{{.Id}} {{index .Config.Labels "' + OWNER_LABEL + '"}}'
    # One of them may be gone meanwhile: the others are told all the same, but podman and docker then say that they failed.
    for name in listed.split():
        said = (engines.ask(client, "container", "inspect", "--format", form, name, fails=False) or "").split()
        if len(said) == 2 and _has_ended(said[1]):
            _remove(client, said[0])


def _owner(pid: int) -> str:
    """This boot of this machine, the namespace of process ids, the process, and when it started: none of it comes again."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    space = Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
    # The name in parentheses may hold spaces and parentheses; the time is the 20th field behind it (proc(5)).
    start = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return f"{boot}:{space}:{pid}:{start}"


def _has_ended(owner: str) -> bool:
    """Whether a process has ended; False for one that cannot be seen from here."""
    boot, _, rest = owner.partition(":")
    space, _, process = rest.partition(":")
    pid = process.partition(":")[0]
    ours = _owner(os.getpid()).split(":")
    if [boot, space] != ours[:2] or not pid.isdecimal():
        return False
    try:
        return _owner(int(pid)) != owner
    except (OSError, IndexError):
        return True
