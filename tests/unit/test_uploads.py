"""Layers on their way to a registry whose connections break: they arrive whole, and no piece is sent more often than it must be."""

from urllib.error import HTTPError

import pytest

from ngc import copying, reference, registry_write
from ngc.errors import Failed

from .fronting import Front, push, serving
from .releasing import Made, layer
from .test_mirror import copy, get, quiet, sent
from .writing import WriteFront, taking


@pytest.fixture
def large(registry, unique, monkeypatch):
    """An image with a layer of 50 pieces."""
    monkeypatch.setattr(registry_write, "PIECE", 1000)
    return reference.parse(push(registry, f"{unique}/large", "1.0.0", Made([layer("large", 49_500)])))


@pytest.mark.parametrize("trouble", ["before", "half", "after", "500", "503", "429"])
@pytest.mark.parametrize("whole", [True, False], ids=["address", "path"])
def test_an_upload_goes_on_where_it_broke(large, registry, unique, trouble, whole):
    with taking(
        WriteFront(registry, whole=whole, remembers=True, troubles=["", "", trouble, *[""] * 25, trouble])
    ) as front:
        done = copy(large, f"{front.host}/{unique}/copy")
    assert get(registry, f"{done.target.repository}/manifests/1.0.0") == get(
        registry, f"{unique}/large/manifests/1.0.0"
    )
    biggest = max(done.blobs, key=done.blobs.get)
    assert len(get(registry, f"{done.target.repository}/blobs/{biggest}")) == done.blobs[biggest]
    assert sent(front) <= 60  # 50 pieces, the config, and those that were sent twice


@pytest.mark.parametrize("trouble", ["half", "after"])
def test_a_layer_begins_again_where_a_registry_does_not_say_how_far_it_is(large, registry, unique, trouble):
    """docker-registry 2.8 drops an upload whose last answer was lost."""
    with taking(WriteFront(registry, troubles=[*[""] * 25, trouble])) as front:
        done = copy(large, f"{front.host}/{unique}/copy")
    assert front.count("POST") == len(done.blobs) + 1
    assert copying.plan([large], f"{registry}/{unique}/copy")[0].done


def test_an_upload_that_the_registry_forgot_begins_again(large, registry, unique):
    with taking(WriteFront(registry, troubles=["", "", "", "404"])) as front:
        done = copy(large, f"{front.host}/{unique}/copy")
    assert front.count("POST") == len(done.blobs) + 1
    assert copying.plan([large], f"{registry}/{unique}/copy")[0].done


def test_a_registry_that_has_no_time_for_an_upload_is_asked_again(large, registry, unique):
    with taking(WriteFront(registry, refused=[503, 429])) as front:
        done = copy(large, f"{front.host}/{unique}/copy")
    assert front.count("POST") == len(done.blobs) + 2


def test_a_registry_that_is_gone_for_good_leaves_no_tag(large, registry, unique, monkeypatch):
    monkeypatch.setattr(registry_write, "TRIES", 2)
    with taking(WriteFront(registry, troubles=["", "", *["before"] * 99])) as front, pytest.raises(Failed) as failed:
        copy(large, f"{front.host}/{unique}/copy")
    assert str(failed.value).startswith(f"{front.host} cannot be reached")
    with pytest.raises(HTTPError, match="404"):
        get(registry, f"{unique}/copy/{unique}/large/manifests/1.0.0")


def test_a_source_that_breaks_is_read_on_from_there(large, registry, unique):
    with serving(Front(registry, cut=20_000)) as front:
        image = reference.parse(str(large).replace(registry, front.host))
        done = copy(image, f"{registry}/{unique}/copy")
    assert get(registry, f"{done.target.repository}/manifests/1.0.0") == get(
        registry, f"{unique}/large/manifests/1.0.0"
    )


def test_the_first_failure_stops_the_other_layers(registry, unique, monkeypatch):
    monkeypatch.setattr(registry_write, "PIECE", 1000)
    image = Made([layer(f"layer {number}", 49_500) for number in range(4)])
    name = reference.parse(push(registry, f"{unique}/large", "1.0.0", image))
    with taking(WriteFront(registry, troubles=[*[""] * 10, "403"])) as front:
        (planned,) = copying.plan([name], f"{front.host}/{unique}/copy")
        with pytest.raises(Failed, match="does not let us write"):
            copying.run([planned], quiet)
    assert sent(front) <= 20
