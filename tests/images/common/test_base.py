"""What every image keeps of its base. Passes on an untouched base as well."""

import json

LOADED = """
import json, os
from nixl._api import nixl_agent, nixl_agent_config
agent = nixl_agent("probe", nixl_agent_config(backends=["UCX"]))
files = {line.split()[-1] for line in open("/proc/self/maps") if "/" in line}
names = ("libucp", "libuct", "libucs", "libucm", "libnixl", "libplugin_UCX")
print(json.dumps({name: sorted(f for f in files if os.path.basename(f).startswith(name)) for name in names}))
"""

TRANSFER = """
import hashlib, time
import numpy
from nixl._api import nixl_agent, nixl_agent_config
size = 1 << 20
config = nixl_agent_config(backends=["UCX"])
sender, receiver = nixl_agent("sender", config), nixl_agent("receiver", config)
source = numpy.random.default_rng(7).integers(0, 256, size, dtype=numpy.uint8)
sink = numpy.zeros(size, dtype=numpy.uint8)
for agent, array in ((sender, source), (receiver, sink)):
    agent.register_memory([(array.ctypes.data, size, 0, "")], "DRAM")
peer = sender.add_remote_agent(receiver.get_agent_metadata())
here = sender.get_xfer_descs([(source.ctypes.data, size, 0)], "DRAM")
there = sender.get_xfer_descs([(sink.ctypes.data, size, 0)], "DRAM")
handle = sender.initialize_xfer("WRITE", here, there, peer)
state = sender.transfer(handle)
limit = time.monotonic() + 30
while state not in ("DONE", "ERR") and time.monotonic() < limit:
    state = sender.check_xfer_state(handle)
equal = hashlib.sha256(source).digest() == hashlib.sha256(sink).digest()
print(state, "equal" if equal and source.any() else "different")
"""


def test_the_image_starts_through_its_own_entrypoint(run_image):
    """Whatever the base's entrypoint is, it must still run a command (facts of each release differ: a script, or none)."""
    assert "it runs" in run_image("echo", "it runs")


def test_the_operators_probe_finds_its_tools(container):
    """Dynamo's operator probes with sh, curl and jq: without them the frontend is never Ready (ai-dynamo/dynamo#3726)."""
    container.output("sh", "-c", "command -v curl && command -v jq")


def test_dynamo_is_the_version_of_the_base(container, component):
    """A derived image that moved Dynamo's Python packages no longer fits the runtime wheel that NVIDIA built."""
    program = "from importlib.metadata import version; print(version('ai-dynamo'), version('ai-dynamo-runtime'))"
    wanted = component("dynamo").version
    assert container.python(program).split() == [wanted, wanted]


def test_nixl_is_the_version_of_the_base(container, component):
    """TensorRT-LLM and vLLM break with a NIXL other than the one they were built with (NVIDIA/TensorRT-LLM#9752)."""
    assert (
        container.python("from importlib.metadata import version; print(version('nixl'))") == component("nixl").version
    )


def test_ucx_is_the_version_of_the_base(container, component):
    """Ubuntu's own UCX 1.16 slipped into a derived image once and broke nixlbench (ai-dynamo/dynamo#4263)."""
    assert f"Library version: {component('ucx').version}" in container.output("ucx_info", "-v")


def test_nixl_loads_ucx_and_its_plugin_from_the_base(container, component):
    """A second UCX beside the base's passes every version test; only the process's maps tell (ai-dynamo/dynamo#12558)."""
    nixl, ucx = component("nixl"), component("ucx")
    loaded = json.loads(container.python(LOADED).splitlines()[-1])
    for library in ("libucp", "libuct", "libucs", "libucm"):
        assert loaded[library], f"{library} is not loaded at all"
        assert [file for file in loaded[library] if not file.startswith(f"{ucx.path}/lib")] == []
    assert loaded["libplugin_UCX"], (
        "NIXL's UCX plugin is not loaded: NIXL would fall back silently (ai-dynamo/dynamo#9911)"
    )
    assert [file for file in loaded["libplugin_UCX"] if not file.startswith(f"{nixl.path}/")] == []


def test_a_nixl_transfer_arrives_with_the_same_content(container, component):
    """NIXL can be installed and do nothing (ai-dynamo/dynamo#9911): only moved bytes prove it."""
    component("nixl")
    assert container.python(TRANSFER).splitlines()[-1] == "DONE equal"


def test_no_package_of_the_system_brings_a_second_ucx(container):
    """apt's libucx0 shadows the base's UCX for whoever drops LD_LIBRARY_PATH (ai-dynamo/dynamo#4263)."""
    listed = container.output("dpkg-query", "--show", "--showformat=${Package}\\n").split()
    assert "bash" in listed
    assert [package for package in listed if package.startswith(("libucx", "libucp", "ucx-"))] == []
