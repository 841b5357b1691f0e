"""docs/COMPARISON.md: every figure has a kind and a source, and what is computed is computed right."""

from __future__ import annotations

import pytest

from ngc import comparisonpage


def test_every_published_figure_has_a_source():
    published = comparisonpage.read()["published"].values()
    assert all(entry["source"] and entry["what"] and ("bytes" in entry) != ("seconds" in entry) for entry in published)


def test_measured_figures_name_the_machine_and_the_day():
    measured = comparisonpage.read()["measured"]
    assert measured["machine"]
    assert str(measured["date"])


@pytest.mark.parametrize(("compressed", "gigabits", "seconds"), [(8_730_000_000, 1, 69.84), (8_730_000_000, 10, 6.984)])
def test_a_pull_is_bytes_over_the_line(compressed, gigabits, seconds):
    assert comparisonpage.pull_seconds(compressed, gigabits) == pytest.approx(seconds)


def test_size_is_claimed_like_for_like_only(tree):
    rows = comparisonpage.promise(tree.read())
    assert rows[1][:2] == ("smaller, on disk against on disk", "**1.9x**")
    assert "not like for like" in rows[2][1]
