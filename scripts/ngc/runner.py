"""Doing a plan: parents first, everything else at once, one failure stops only what stands on it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from ngc import engine as engines
from ngc import files, inputs, sizes
from ngc.catalog import ROOT
from ngc.engine import Found
from ngc.plan import MADE_ANEW, Plan, Step, build_command

LOGS = ROOT / "build"
# Seconds that interrupted children get after each signal.
PATIENCE = ((signal.SIGINT, 5.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))
_PREFIX = re.compile(r"^(#\d+ )?\d+\.\d+ ")  # BuildKit's `#8 21.87 ` before each line of a step
_ERROR = re.compile(r"(error|ERROR|Error|E|fatal|make: \*\*\*)\b[: ]")


@dataclass(frozen=True)
class Result:
    """What became of a step. `outcome`: built, up to date, failed, skipped, interrupted, over budget."""

    step: Step
    outcome: str
    seconds: float = 0.0
    note: str = ""
    log: Path | None = None
    replay: Path | None = None
    found: Found | None = None

    @property
    def good(self) -> bool:
        return self.outcome in ("built", "up to date")


# Told of everything that happens: (step name, what), where what is "start", "end <outcome>" or a line of output.
Listener = Callable[[str, str], None]


class InterruptedRun(Exception):  # no error: the user asked for it
    """Ctrl-C while a plan ran; carries the results so far."""

    def __init__(self, results: list[Result]) -> None:
        super().__init__("interrupted")
        self.results = results


def run(plan: Plan, jobs: int, listen: Listener, logs: Path = LOGS) -> list[Result]:
    """Do the plan's steps, `jobs` at a time, and return a result for each. Raises InterruptedRun on Ctrl-C, with all children ended."""
    runner = _Runner(plan, listen, logs)
    waiting = list(plan.steps)
    results: dict[str, Result] = {}
    running: dict[Future[Result], Step] = {}
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        try:
            while waiting or running:
                for step in list(waiting):
                    lost = [need for need in step.needs if need in results and not results[need].good]
                    if lost:
                        waiting.remove(step)
                        results[step.name] = Result(step, "skipped", note=f"{lost[0]} {results[lost[0]].outcome}")
                        listen(step.name, "end skipped")
                    elif all(need in results for need in step.needs):
                        waiting.remove(step)
                        parent = next((results[need].found for need in step.needs), None)
                        running[pool.submit(runner.do, step, parent)] = step
                if running:
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        results[running.pop(future).name] = future.result()
        except KeyboardInterrupt:
            runner.stop()
            for future, step in running.items():
                results[step.name] = future.result()
            raise InterruptedRun([results.get(s.name, Result(s, "interrupted")) for s in plan.steps]) from None
    return [results[step.name] for step in plan.steps]


class _Runner:
    """The running children of one plan, so that Ctrl-C can end them."""

    def __init__(self, plan: Plan, listen: Listener, logs: Path) -> None:
        self.plan, self.listen, self.logs = plan, listen, logs
        self.groups: list[int] = []
        self.stopping = threading.Event()

    def do(self, step: Step, parent: Found | None) -> Result:
        """Do one step, in a worker thread; never raises for what a step can fail of."""
        engine, build = self.plan.engine, step.build
        if self.stopping.is_set():
            return Result(step, "interrupted")
        try:
            if not step.why:
                return self._in_budget(Result(step, "up to date", found=step.found), parent)
            command = step.command
            if build is not None:
                here = parent or engines.images(engine, [build.parent])[build.parent]
                unchanged = (
                    step.found is not None
                    and inputs.reason(build.inputs(self.plan.context, here.id), step.found.labels.get(inputs.LABEL))
                    is None
                )
                if unchanged and step.why.endswith(MADE_ANEW):
                    return self._in_budget(Result(step, "up to date", found=step.found), here)
                command = build_command(self.plan, step, here.id, _moment(here))
                parent = here
            return self._in_budget(self._command(step, command), parent)
        except Exception as error:
            return Result(step, "failed", note=str(error))

    def _in_budget(self, result: Result, parent: Found | None) -> Result:
        """The result, or a failure if the image is over its budget: an image that was there already is held to it too."""
        image = result.step.build.target if result.step.build else None
        if not result.good or image is None or image.budget is None or result.found is None or parent is None:
            return result
        note = sizes.over_budget(self.plan.engine, result.found, parent, image.budget)
        return replace(result, outcome="over budget", note=note) if note else result

    def _command(self, step: Step, command: tuple[str, ...]) -> Result:
        import sh

        log, replay = write_replay(self.logs, step, command, self.plan.engine.client)
        self.listen(step.name, "start")
        start = time.monotonic()
        environment = {**self.plan.engine.environment, "DOCKER": self.plan.engine.client}
        with log.open("a") as file:

            def line(text: str) -> None:
                file.write(text)
                file.flush()
                self.listen(step.name, text.rstrip())

            child = sh.Command(command[0])(
                *command[1:],
                _env=environment,
                _out=line,
                _err_to_out=True,
                _tty_out=False,
                _decode_errors="replace",  # else one wrong byte ends the log, and the child waits for its reader
                _bg=True,
                _bg_exc=False,
                _new_session=True,
                _no_out=True,
            )
            self.groups.append(child.pid)  # a new session: the child leads a group of its own
            try:
                child.wait()
                outcome = "built"
            except sh.ErrorReturnCode:
                outcome = "interrupted" if self.stopping.is_set() else "failed"
        seconds = time.monotonic() - start
        if outcome != "built":
            self.listen(step.name, f"end {outcome}")
            return Result(step, outcome, seconds, cause(log), log, replay)
        found = engines.images(self.plan.engine, [step.image]).get(step.image)
        if found is None:
            self.listen(step.name, "end failed")
            return Result(
                step, "failed", seconds, f"the command ended well and left no image {step.image}", log, replay
            )
        self._drop_replaced(step, found)
        self.listen(step.name, "end built")
        return Result(step, "built", seconds, log=log, replay=replay, found=found)

    def _drop_replaced(self, step: Step, found: Found) -> None:
        """Remove the image that the new one took the name of, unless another name or a container still uses it."""
        old = step.found
        if old is not None and step.build is not None and old.id != found.id and len(old.tags) == 1:
            engines.ask(self.plan.engine, "image", "rm", old.id, fails=False)

    def stop(self) -> None:
        """End the running children and all of their groups, more firmly each time: a shell's children ignore SIGINT."""
        self.stopping.set()
        for number, patience in PATIENCE:
            for group in self.alive():
                with suppress(ProcessLookupError):
                    os.killpg(group, number)
            deadline = time.monotonic() + patience
            while self.alive() and time.monotonic() < deadline:
                time.sleep(0.05)

    def alive(self) -> list[int]:
        """The children's process groups that still have a process."""
        return [group for group in list(self.groups) if _exists(group)]


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def write_replay(logs: Path, step: Step, command: tuple[str, ...], client: str) -> tuple[Path, Path]:
    """Start the step's log anew, and write the script that repeats it by hand. Both under build/<image>/."""
    folder = logs / step.image.replace("/", "_").replace(":", "-")
    folder.mkdir(parents=True, exist_ok=True)
    log, replay = folder / "log.txt", folder / "replay.sh"
    log.write_text(f"$ {shlex.join(command)}\n")
    text = f"#!/bin/sh\n# Repeats {step.name} as it was last run.\nset -eu\nexport DOCKER_BUILDKIT=1 DOCKER={shlex.quote(client)}\nexec {folded(command)}\n"
    files.write(replay, text, 0o755)
    return log, replay


def folded(command: tuple[str, ...]) -> str:
    """A command for the shell, one option a line."""
    lines: list[list[str]] = [[]]
    for word in command:
        if word.startswith("--"):
            lines.append([])
        lines[-1].append(shlex.quote(word))
    return " \\\n  ".join(" ".join(line) for line in lines)


def cause(log: Path) -> str:
    """The line of a failed command's log that says why, with the fix where it is known."""
    lines = [_PREFIX.sub("", line).strip() for line in log.read_text(errors="replace").splitlines()[1:]]
    text = "\n".join(lines)
    if re.search(r"no space left on device", text, re.IGNORECASE):
        return "the disk is full; `docker system df` shows what takes it, `invoke clean` and `docker builder prune` free some"
    if re.search(r"Cannot connect to the Docker daemon|error reading from server: EOF|connection reset", text):
        return "the docker daemon went away; start it (`invoke setup --yes`) and run the same command again"
    said = [line for line in lines if line]
    errors = [line for line in said if _ERROR.match(line)]
    # What the failed program said tells more than BuildKit's own line, which repeats the command.
    own = [line for line in errors if "executor failed" not in line and "failed to solve" not in line]
    return (own or errors or said or ["it printed nothing"])[-1][:300]


def _moment(parent: Found) -> dict[str, str]:
    labels = {"org.opencontainers.image.created": datetime.now(timezone.utc).isoformat(timespec="seconds")}
    if revision := _revision():
        labels["org.opencontainers.image.revision"] = revision
    if parent.digests:
        labels["org.opencontainers.image.base.digest"] = parent.digests[0].partition("@")[2]
    return labels


def _revision() -> str | None:
    import sh

    try:
        return str(
            sh.Command("git")("-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=40", _tty_out=False)
        ).strip()
    except (sh.CommandNotFound, sh.ErrorReturnCode):
        return None
