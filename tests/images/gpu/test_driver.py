"""The driver and its GPUs, as a process of the image meets them."""

import re

import pytest

from ngc import bases, catalog


@pytest.fixture
def floors():
    """The oldest driver branch by CUDA release, from ngc-builds/releases.yaml."""
    return bases.read_releases(catalog.read())["driver_floors"]


def test_nvidia_smi_lists_the_gpus(container, driver):
    """The driver's tools are mounted by the container toolkit; without them nobody can look."""
    listed = container.output("nvidia-smi", "-L").splitlines()
    assert len([line for line in listed if re.match(r"GPU \d+: ", line)]) == driver["gpus"] > 0


def test_the_driver_starts_and_is_no_stub(driver):
    """A libcuda.so.1 of the image that is found before the driver's answers 'no device' on a machine with GPUs."""
    assert (driver["init"], driver["gpus"] > 0) == (0, True), driver
    assert [file for file in driver["loaded"] if "stub" in file or "stand-in" in file] == []


def test_the_driver_is_as_new_as_the_images_cuda_asks(container, driver, floors):
    """An older driver ends in 'error 803: system has unsupported display driver / cuda driver combination' (ai-dynamo/dynamo#1101)."""
    if driver["image"] is None:
        pytest.skip("this image has no CUDA: neither CUDA_VERSION nor a CUDA runtime library")
    if driver["image"] not in floors:
        pytest.skip(
            f"the oldest driver for CUDA {driver['image']} is not known; add it to driver_floors in releases.yaml"
        )
    versions = container.output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader").splitlines()
    assert min(int(version.split(".")[0]) for version in versions) >= floors[driver["image"]]


def test_the_driver_supports_the_images_cuda(driver):
    """A CUDA newer than the driver's runs only what needs no just-in-time compilation, and some of it not at all."""
    if driver["image"] is None:
        pytest.skip("this image has no CUDA: neither CUDA_VERSION nor a CUDA runtime library")
    assert driver["driver"], "the driver does not say which CUDA it supports"
    numbers = [tuple(map(int, driver[key].split("."))) for key in ("driver", "image")]
    assert numbers[0] >= numbers[1]
