"""The settings of common/base-configs: each is shown by a process that uses it."""

import pytest

from ..programs import UCX_SETTINGS


def test_ucx_uses_the_limit_on_unreleased_registrations(container, component):
    """Without it workers that move KV cache over NIXL grew until they were killed (vllm-project/vllm#24264)."""
    ucx = component("ucx")
    # Where there are no programs the library is asked.
    said = container.output("ucx_info", "-c") if ucx.path else container.python(UCX_SETTINGS, ucx.libraries)
    assert "UCX_RCACHE_MAX_UNRELEASED=1K" in said.split()


@pytest.mark.parametrize("name", ["UCX_TLS", "UCX_NET_DEVICES"])
def test_nothing_narrows_the_transports(image, name):
    """What works over TCP on one machine must not switch off RDMA on another."""
    variables = dict(line.partition("=")[::2] for line in image.environment)
    assert "UCX_RCACHE_MAX_UNRELEASED" in variables
    assert name not in variables


def test_a_worker_can_be_drained(container):
    """configs/ stop workers and frontends by it: without it an update gave requests to some that were going."""
    assert "--frontend" in container.output("dynamo-drain", "--help")
