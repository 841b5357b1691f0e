"""What ucx_perftest 1.19.0 prints, as captured."""

import pytest

from bench import perftest
from bench.errors import Failed

ONE_THREAD = """\
+--------------+--------------+------------------------------+---------------------+-----------------------+
|              |              |        latency (usec)        |   bandwidth (MB/s)  |  message rate (msg/s) |
+--------------+--------------+----------+---------+---------+----------+----------+-----------+-----------+
|    Stage     | # iterations | 99.0%ile | average | overall |  average |  overall |  average  |  overall  |
+--------------+--------------+----------+---------+---------+----------+----------+-----------+-----------+
Final:                  1000      3.117     2.899     2.899    21558.78   21558.78      344940      344940
"""

TWO_THREADS = """\
+--------------+--------------+------------------------------+---------------------+-----------------------+
|              |              |        latency (usec)        |   bandwidth (MB/s)  |  message rate (msg/s) |
+--------------+--------------+----------+---------+---------+----------+----------+-----------+-----------+
|     Test     | # iterations | 50.0%ile | average | overall |  average |  overall |  average  |  overall  |
+--------------+--------------+----------+---------+---------+----------+----------+-----------+-----------+
                        5000                         4.490                1740.50                  445569
"""

REFUSED = "[1795568866.043561] [vm:16633:0]        perftest.c:428  UCX  ERROR client failed. connect() failed: Connection refused\n"


def test_one_thread_has_a_percentile_and_its_mb_are_2_to_the_20():
    answer = perftest.parse(ONE_THREAD)
    assert (answer.iterations, answer.percentile, answer.average) == (1000, 3.117, 2.899)
    assert answer.rate == pytest.approx(22.606, abs=0.001)


def test_more_threads_have_overall_figures_only():
    answer = perftest.parse(TWO_THREADS)
    assert (answer.iterations, answer.percentile, answer.average) == (5000, None, 4.490)
    assert answer.rate == pytest.approx(1.825, abs=0.001)


def test_the_last_line_counts_and_not_an_interim_one():
    interim = (
        "[thread 0]             99999      1.000     1.000     1.000       10.00      10.00         100         100\n"
    )
    assert perftest.parse(interim + ONE_THREAD).iterations == 1000


@pytest.mark.parametrize("text", ["", REFUSED, ONE_THREAD.partition("Final")[0]])
def test_output_without_figures_is_a_failure_and_not_a_zero(text):
    with pytest.raises(Failed, match="no figures"):
        perftest.parse(text)


def test_every_test_names_the_ucx_call_that_the_report_is_searched_for():
    assert {test.call for test in perftest.TESTS.values()} == {"ucp_put", "ucp_get", "ucp_tag_send", "ucp_am_send"}
