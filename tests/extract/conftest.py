"""An extraction with a cache and a result of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from ngc import catalog

from ..unit.extracting import Extraction


@pytest.fixture
def extract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Extraction:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "around").mkdir()
    return Extraction(catalog, tmp_path / "around" / "out")
