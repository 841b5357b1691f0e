"""Whether a program or package is of the version that image.yaml expects."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from ngc.catalog import Component


def check_version(said: str, part: Component, container: Any) -> None:
    """The version is a pattern; a stand-in has another one, such as its distribution's, where image.yaml says so."""
    if part.stand_in is not None and container.run("printenv", "STAND_IN_FOR").rc == 0:
        assert said[: len(part.stand_in)] == part.stand_in, f"{said} is not the stand-in's"
    else:
        assert fnmatchcase(said, part.version or ""), f"{said} is not {part.version}"
