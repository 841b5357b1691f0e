"""Where things are kept between runs that can be made again at any time."""

from __future__ import annotations

import os
from pathlib import Path


def folder(name: str) -> Path:
    """A folder of ours in the user's cache (XDG Base Directory Specification); it need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ngc-dynamo" / name


def state(name: str) -> Path:
    """A folder of ours for what must outlive a run but is no setting, such as which stack is up; it need not exist."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "ngc-dynamo" / name
