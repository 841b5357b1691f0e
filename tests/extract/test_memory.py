"""Memory is bounded by what is wanted, not by the number of members."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ..unit.extracting import END, Image, header

MEMBERS = 20_000


@pytest.fixture(scope="module")
def peak(root, tmp_path_factory):
    """Bytes that a verb takes at most, by image and component."""

    def measured(image, path: str) -> int:
        place = tmp_path_factory.mktemp("peak")
        words = ["-m", "invoke", "--search-root", str(root), "extract-from-ngc", f"--image={image}"]
        code = (  # what the kernel says of this program alone: ru_maxrss begins with its parent's
            "import runpy, sys\n"
            "try: runpy.run_module('invoke', run_name='__main__', alter_sys=True)\n"
            "finally: sys.stderr.write(open('/proc/self/status').read())"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *words[2:], f"--component={path}", f"--out={place / 'out'}"],
            capture_output=True, text=True, env={"XDG_CACHE_HOME": str(place), "PATH": "/usr/bin:/bin", "HOME": str(place)}, check=True,
        )  # fmt: skip
        return int(done.stderr.rpartition("VmHWM:")[2].split()[0]) * 1024

    return measured


def image_of(members: int, path):
    folder = [header(b"few/", b"5", at_100=b"0000755\0"), header(b"few/x")]
    many = [header(b"many/%06d/" % number, b"5", at_100=b"0000755\0") for number in range(members)]
    return Image([b"".join([*folder, *many, END])]).layout(path)


def test_an_image_of_many_folders_of_which_few_are_wanted_takes_hardly_more_than_a_small_one(peak, tmp_path):
    small = peak(image_of(10, tmp_path / "small"), "/few")
    assert peak(image_of(MEMBERS, tmp_path / "large"), "/few") - small < 6 << 20


def test_a_wanted_folder_takes_less_than_a_kilobyte(peak, tmp_path):
    small = peak(image_of(10, tmp_path / "small"), "/many")
    assert peak(image_of(MEMBERS, tmp_path / "large"), "/many") - small < MEMBERS * 1024
