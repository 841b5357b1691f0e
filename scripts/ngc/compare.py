"""Two images like for like: on disk against on disk, compressed against compressed, and nothing guessed."""

from __future__ import annotations

from typing import Any

from ngc.comparing import differences, sides


def compare(a: str, b: str, platform: str | None = None, pull: bool = False) -> dict[str, Any]:
    """Everything about two images as plain data; `inside` is null unless both are here. Raises Wrong and Failed.

    `platform` chooses among those of an image in a registry (default: this machine's); `pull` fetches what is not here.
    """
    one, two = sides.find((a, b), platform, pull)
    data = differences.of(one, two)
    if not (one.here and two.here):
        return {**data, "inside": None}
    from ngc.comparing import inside

    return {**data, "inside": inside.of(one, two)}
