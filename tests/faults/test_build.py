"""After any crash the same command succeeds, and nothing half-made is left where the finished thing goes."""

import os
import shutil
import signal

import pytest

from ngc import catalog

FRAMEWORK = catalog.read().frameworks[0].name
MOMENTS = (
    "stand-in root: started",
    f"{FRAMEWORK} base: [heavy 2",
    f"{FRAMEWORK} base: [layout",
    f"{FRAMEWORK}-benchmark: [3",
)
LEFT = 3 * 10**8  # bytes left on the full disk: enough to begin, too few to end

pytestmark = pytest.mark.timeout(1200)


def expected(daemon):
    stand_in = {f"dynamo-stand-in-{FRAMEWORK}:0.6.1", "dynamo-stand-in-root:local"}
    return stand_in | {f"dynamo-{FRAMEWORK}-{target}:0.6.1-stand-in" for target in ("runtime", "benchmark")}


def forget(daemon):
    """Back to an engine with nothing in it, its build cache included."""
    for name in daemon.names():
        daemon.docker("image", "rm", "--force", name, codes=(0, 1))
    daemon.docker("builder", "prune", "--all", "--force")


@pytest.mark.parametrize("whole", [True, False], ids=["with its children", "alone"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_build_is_followed_by_a_good_one(daemon, build, moment, whole):
    forget(daemon)
    running = build()
    running.reach(moment)
    if whole:
        os.killpg(running.child.pid, signal.SIGKILL)
    else:
        running.child.signal(signal.SIGKILL)
    running.end()
    assert daemon.names() <= expected(daemon)
    code, said = build().end()
    assert code == 0, said
    assert daemon.names() == expected(daemon)


def test_ctrl_c_ends_with_130_and_leaves_only_finished_images(daemon, build):
    forget(daemon)
    running = build()
    running.reach(MOMENTS[1])
    running.child.signal(signal.SIGINT)
    code, said = running.end()
    assert code == 130, said
    assert "interrupted" in said
    assert daemon.names() <= expected(daemon)
    code, said = build().end()
    assert code == 0, said


def test_a_daemon_killed_in_the_middle_is_said_and_the_same_command_succeeds_after_its_restart(daemon, build):
    forget(daemon)
    running = build()
    running.reach(MOMENTS[1])
    daemon.kill()
    code, said = running.end()
    assert code == 1, said
    assert "the docker daemon went away; start it" in said
    daemon.start()
    code, said = build().end()
    assert code == 0, said
    assert daemon.names() == expected(daemon)


def test_a_full_disk_is_said_and_the_same_command_succeeds_once_there_is_room(daemon, build):
    forget(daemon)
    filler = daemon.disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(daemon.disk).free - LEFT)
    try:
        code, said = build().end()
    finally:
        filler.unlink()
    assert code == 1, said
    assert "the disk is full" in said
    assert daemon.names() <= expected(daemon)
    code, said = build().end()
    assert code == 0, said
    assert daemon.names() == expected(daemon)
