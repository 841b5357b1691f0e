"""What every image keeps of its base. Passes on an untouched base as well."""

from ..versions import check_version


def test_the_image_starts_through_its_own_entrypoint(run_image):
    """Whatever the base's entrypoint is, it must still run a command (facts of each release differ: a script, or none)."""
    assert "it runs" in run_image("echo", "it runs")


def test_the_operators_probe_finds_its_tools(container):
    """Dynamo's operator probes with sh, curl and jq: without them the frontend is never Ready (ai-dynamo/dynamo#3726)."""
    answer = container.output("sh", "-c", 'curl --version >/dev/null && echo \'{"status": "ready"}\' | jq -r .status')
    assert answer == "ready"


def test_dynamo_is_the_version_of_the_base(container, component):
    """A derived image that moved Dynamo's Python packages no longer fits the runtime wheel that NVIDIA built."""
    program = "from importlib.metadata import version; print(version('ai-dynamo'), version('ai-dynamo-runtime'))"
    dynamo = component("dynamo")
    package, runtime = container.python(program).split()
    check_version(package, dynamo, container)
    assert runtime == package


def test_no_package_of_the_system_brings_a_second_ucx(container):
    """apt's libucx0 shadows the base's UCX for whoever drops LD_LIBRARY_PATH (ai-dynamo/dynamo#4263)."""
    listed = container.output("dpkg-query", "--show", "--showformat=${Package}\\n").split()
    assert "bash" in listed
    assert [package for package in listed if package.startswith(("libucx", "libucp", "ucx-"))] == []
