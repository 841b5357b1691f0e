"""NIXL and UCX: which are there, and which are really used. Passes on an untouched base as well."""

import json

import pytest

from ..logs import unexpected
from ..programs import LOADED, PLUGINS, TRANSFER, UCX_VERSION
from ..versions import check_version

UCX_LIBRARIES = ("libucp", "libuct", "libucs", "libucm")


@pytest.fixture(scope="module")
def loaded(container, driver):
    """Files that a process with a NIXL agent has mapped."""
    return json.loads(container.python(LOADED).splitlines()[-1])


def real(container, path):
    """A folder as a process's maps name it: from 1.3.0 on vLLM's /opt/dynamo/nixl is a link into Python's packages."""
    return container.output("realpath", "-e", path)


def test_nixl_is_the_version_of_the_base(container, component):
    """TensorRT-LLM and vLLM break with a NIXL other than the one they were built with (NVIDIA/TensorRT-LLM#9752)."""
    program = "from importlib.metadata import version; print(version('nixl'))"
    nixl = component("nixl")
    check_version(container.python(program), nixl, container)


def test_ucx_is_the_version_of_the_base(container, component):
    """Ubuntu's own UCX 1.16 slipped into a derived image once and broke nixlbench (ai-dynamo/dynamo#4263)."""
    ucx = component("ucx")
    if ucx.path is None:  # there are no programs: the library is asked
        said = container.python(UCX_VERSION, ucx.libraries)
    else:
        lines = container.output("ucx_info", "-v").splitlines()
        said = next((line.split()[-1] for line in lines if "Library version: " in line), "no version")
    check_version(said, ucx, container)


def test_nixl_loads_ucx_from_the_base(request, container, component):
    """A second UCX beside the base's passes every version test; only the process's maps tell (ai-dynamo/dynamo#4263)."""
    folder = real(container, component("ucx").libraries)
    files = request.getfixturevalue("loaded")["libraries"]
    for library in UCX_LIBRARIES:
        assert files[library], f"{library} is not loaded at all"
        assert [file for file in files[library] if not file.startswith(f"{folder}/")] == []


def test_ucx_loads_its_modules_from_the_base(request, container, component):
    """Without the base's modules UCX takes GPU memory for host memory, and a transfer dies with SIGSEGV."""
    folder = real(container, component("ucx").libraries)
    modules = request.getfixturevalue("loaded")["modules"]
    assert modules, "UCX loaded none of its modules"
    assert [file for file in modules if not file.startswith(f"{folder}/ucx/")] == []


def test_nixl_is_loaded_once_and_from_the_base(request, container, component):
    """Three copies of NIXL in one image clashed (ai-dynamo/dynamo#6671)."""
    folder = real(container, component("nixl").path)
    files = request.getfixturevalue("loaded")["libraries"]["libnixl.so"]
    assert files, "libnixl.so is not loaded at all"
    assert [file for file in files if not file.startswith(f"{folder}/")] == []
    assert len(files) == 1


def test_nixl_loads_its_ucx_plugin_from_the_base(request, container, component):
    """NIXL_PLUGIN_DIR decides whose plugins load; another NIXL's do not fit (ai-dynamo/dynamo#1758)."""
    folder = real(container, component("nixl").path)
    files = request.getfixturevalue("loaded")["libraries"]
    assert files["libplugin_UCX.so"], "NIXL's UCX plugin is not loaded, and NIXL says nothing (ai-dynamo/dynamo#9911)"
    assert [file for file in files["libplugin_"] if not file.startswith(f"{folder}/")] == []


def test_the_plugins_of_nixl_are_there_and_start(request, container, component):
    """A plugin that does not load is left out with a line in the log and no error (ai-dynamo/dynamo#1758)."""
    wanted = component("nixl").plugins
    if not wanted:
        pytest.skip("image.yaml names no plugins of this base's NIXL")
    request.getfixturevalue("driver")
    found = json.loads(container.python(PLUGINS, *wanted).splitlines()[-1])
    assert set(wanted) <= set(found["listed"])
    assert found["started"] == list(wanted)


def test_a_nixl_transfer_arrives_with_the_same_content(request, container, component):
    """NIXL can be installed and do nothing (ai-dynamo/dynamo#9911): only moved bytes prove it."""
    component("nixl")
    request.getfixturevalue("driver")
    assert container.python(TRANSFER).splitlines()[-1] == "DONE equal"


def test_a_nixl_transfer_warns_of_nothing(request, container, component, entry):
    """A plugin or setting that is not used says so only here: exit code and content stay right (ai-dynamo/dynamo#9911)."""
    component("nixl")
    request.getfixturevalue("driver")
    result = container.run("python3", "-c", TRANSFER)
    lines = f"{result.stdout}\n{result.stderr}".splitlines()
    assert any("Backend UCX was instantiated" in line for line in lines), "NIXL's log is not to be seen at all"
    assert unexpected(lines, entry) == []
