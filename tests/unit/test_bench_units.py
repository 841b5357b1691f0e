"""Sizes, ranges, addresses and percentiles of the benchmark commands."""

import pytest

from bench import units
from bench.errors import Wrong


@pytest.mark.parametrize(
    "text, size",
    [("4096", 4096), ("4K", 4096), ("4KiB", 4096), ("64 KiB", 65536), ("1M", 1 << 20), ("1GiB", 1 << 30)],
)
def test_a_size_is_read_in_powers_of_1024(text, size):
    assert units.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "4KB", "4k", "-4K", "1.5M", "lots", "4K4K"])
def test_a_size_that_could_mean_two_things_is_refused_with_an_example(text):
    with pytest.raises(Wrong, match="64KiB"):
        units.parse_size(text)


@pytest.mark.parametrize("text", ["4095", "2G", "0"])
def test_a_size_outside_4_kib_to_1_gib_is_refused_with_the_limits(text):
    with pytest.raises(Wrong, match="between 4 KiB and 1 GiB"):
        units.parse_size(text)


def test_a_range_doubles_and_always_has_its_end():
    assert units.parse_sizes("4K-64K") == [4096, 8192, 16384, 32768, 65536]
    assert units.parse_sizes("4096-10000") == [4096, 8192, 10000]
    assert units.parse_sizes("1M") == [1 << 20]


def test_a_list_is_sorted_and_has_each_size_once():
    assert units.parse_sizes("1M,4K-16K,8K") == [4096, 8192, 16384, 1 << 20]


def test_the_whole_range_is_19_sizes():
    assert len(units.parse_sizes("4K-1G")) == 19


def test_a_range_from_large_to_small_is_refused():
    with pytest.raises(Wrong, match="smaller end first"):
        units.parse_sizes("1M-4K")


@pytest.mark.parametrize("size, text", [(4096, "4 KiB"), (1 << 30, "1 GiB"), (3 << 19, "1536 KiB"), (5000, "5000 B")])
def test_a_size_is_shown_in_the_largest_unit_that_divides_it(size, text):
    assert units.format_size(size) == text


@pytest.mark.parametrize(
    "text, address",
    [
        ("7000", ("0.0.0.0", 7000)),
        ("host:7000", ("host", 7000)),
        ("[::1]:7000", ("::1", 7000)),
        (":7000", ("0.0.0.0", 7000)),
    ],
)
def test_an_address_is_host_and_port_or_port_alone(text, address):
    assert units.parse_address(text, default="0.0.0.0") == address


@pytest.mark.parametrize("text", ["", "host", "host:", "host:0", "host:65535", "host:http"])
def test_an_address_without_a_usable_port_is_refused(text):
    with pytest.raises(Wrong, match="port"):
        units.parse_address(text, default="0.0.0.0")


def test_percentiles_are_values_that_were_measured():
    values = list(range(1, 101))
    assert [units.percentile(values, rank) for rank in (0, 50, 90, 99, 100)] == [1, 50, 90, 99, 100]
    assert units.percentile([7], 99) == 7
    assert units.percentile([1, 2], 50) == 1


def test_a_percentile_of_nothing_is_an_error():
    with pytest.raises(ValueError):
        units.percentile([], 50)


def test_latency_is_microseconds_in_any_order_of_measurement():
    assert units.latency([3000, 1000, 2000]) == units.Latency(1.0, 2.0, 3.0, 3.0, 3.0)
