import pytest

from ngc import reference
from ngc.errors import Wrong


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "digest"),
    [
        ("redis:7", "", "redis", "7", None),
        ("localhost:5000/a/b", "localhost:5000", "a/b", None, None),
        ("localhost/a", "localhost", "a", None, None),
        ("nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.6.1", "nvcr.io", "nvidia/ai-dynamo/vllm-runtime", "0.6.1", None),
        ("team/app@sha256:" + "0" * 64, "", "team/app", None, "sha256:" + "0" * 64),
        ("h.example/app:1@sha256:" + "a" * 64, "h.example", "app", "1", "sha256:" + "a" * 64),
        ("[::1]:5000/app:1", "[::1]:5000", "app", "1", None),
    ],
)
def test_a_reference_is_read_as_docker_reads_it(text, registry, repository, tag, digest):
    found = reference.parse(text)
    assert (found.registry, found.repository, found.tag, found.digest) == (registry, repository, tag, digest)
    assert str(found) == text


@pytest.mark.parametrize("text", ["", "UPPER", "a b", "a:", "a/:1", "a@sha256:12", "http://h/x", "-a", "a:t:u"])
def test_what_is_no_reference_is_refused(text):
    with pytest.raises(Wrong, match="is not an image reference"):
        reference.parse(text)


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("0.6.1", "0.6.1"),
        ("0.6.1.post1", "0.6.1-post1"),
        ("0.8.1.post1-cuda13", "0.8.1-post1-cuda13"),
        ("1.3.0-dev.1", "1.3.0-dev.1"),
        ("latest", None),
        ("1.2", None),
        (None, None),
    ],
)
def test_a_tag_becomes_a_strict_semantic_version(tag, version):
    assert reference.semantic_version(tag) == version


def test_a_mirror_replaces_the_registry_and_may_add_a_path():
    image = reference.parse("nvcr.io/nvidia/ai-dynamo/vllm-runtime:0.6.1")
    assert str(image.at("mirror.example/team")) == "mirror.example/team/nvidia/ai-dynamo/vllm-runtime:0.6.1"


@pytest.mark.parametrize("text", ["https://registry.example", "a b", "", "host/UPPER"])
def test_a_registry_that_is_none_is_refused_with_the_flag_that_gave_it(text):
    with pytest.raises(Wrong, match="--registry is"):
        reference.registry_prefix(text, "--registry")
