"""What people rebuild and debug native parts with."""

import pytest

from ..versions import check_version

TOOLS = {
    "gcc": "UCX and NIXL are C and C++",
    "g++": "NIXL is C++",
    "make": "UCX's build",
    "cmake": "NIXL's dependencies",
    "ninja": "meson's backend",
    "meson": "NIXL's build",
    "autoconf": "UCX's build",
    "automake": "UCX's build",
    "libtoolize": "UCX's build",
    "pkg-config": "finding libraries",
    "git": "sources",
    "gdb": "crashes",
    "strace": "hangs",
    "lsof": "open files",
    "patchelf": "what a library loads",
    "tcpdump": "packets",
    "dig": "names",
    "ip": "addresses",
    "ping": "reachability",
    "nc": "ports",
    "nano": "editing",
    "py-spy": "where Python hangs",
    "debugpy": "stepping through Python",
    "ipython": "trying things",
    "pytest": "tests",
    "ruff": "style",
}
VERSION_FLAGS = {"nc": "-h", "ip": "-V", "ping": "-V", "dig": "-v", "lsof": "-v", "tcpdump": "--version"}

UCX_PROGRAM = """
#include <ucp/api/ucp.h>
#include <stdio.h>
int main(void) { puts(ucp_get_version_string()); return 0; }
"""
NIXL_PROGRAM = """
#include <nixl.h>
#include <iostream>
int main() { std::cout << nixlEnumStrings::statusStr(NIXL_SUCCESS) << std::endl; return 0; }
"""
# Compiler, folders of headers and libraries, library, program: what the program prints, and what it loads.
LINKED = r"""
set -eu
cd "$(mktemp -d)"
case $1 in gcc) file=probe.c ;; *) file=probe.cpp ;; esac
printf %s "$5" >"$file"
$1 "$file" -I "$2" -L "$3" "-l$4" -o probe
./probe
LD_TRACE_LOADED_OBJECTS=1 ./probe | grep "lib$4\.so"
"""


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_runs(container, tool):
    """Upstream's images cannot rebuild native parts (ai-dynamo/dynamo#10750); each tool here has its reason in TOOLS."""
    result = container.run(tool, VERSION_FLAGS.get(tool, "--version"))
    assert result.rc in (0, 1), f"{tool} ({TOOLS[tool]}) ended with {result.rc}: {result.stderr}"
    assert result.stdout or result.stderr


def test_a_c_program_links_against_the_bases_ucx(container, component):
    """The point of the dev image: what is rebuilt in it uses the UCX that serves (ai-dynamo/dynamo#4263)."""
    ucx = component("ucx")
    if ucx.path is None:
        pytest.skip(f"this base has UCX's libraries alone, in {ucx.libraries}")
    if container.run("test", "-e", f"{ucx.path}/include/ucp/api/ucp.h").rc:
        pytest.skip(f"this base has no UCX headers in {ucx.path}/include")
    words = ("gcc", f"{ucx.path}/include", f"{ucx.path}/lib", "ucp", UCX_PROGRAM)
    version, loaded = container.output("bash", "-c", LINKED, "probe", *words).splitlines()
    check_version(version, ucx, container)
    assert f"=> {ucx.path}/lib/" in loaded


def test_a_cpp_program_links_against_the_bases_nixl(container, component):
    """As for UCX: NIXL's C++ headers and library are the base's (ai-dynamo/dynamo#10750)."""
    nixl = component("nixl")
    if container.run("test", "-e", f"{nixl.path}/include/nixl.h").rc:
        pytest.skip(f"this base has no NIXL headers in {nixl.path}/include")
    libraries = container.output("printenv", "NIXL_LIB_DIR")
    words = ("g++ -std=c++17", f"{nixl.path}/include", libraries, "nixl", NIXL_PROGRAM)
    said, loaded = container.output("bash", "-c", LINKED, "probe", *words).splitlines()
    assert said == "NIXL_SUCCESS"
    assert f"=> {nixl.path}/" in loaded


def test_the_bases_python_wins_over_the_tools(container):
    """The tools have a venv of their own; whoever types python or pip gets the base's."""
    found = container.output("sh", "-c", "command -v python3 && command -v pytest")
    assert "/opt/tools" not in found.splitlines()[0]
    path = container.output("sh", "-c", 'printf %s "$PATH"').split(":")
    assert path[-1] == "/opt/tools/bin"


def test_the_bases_python_got_no_package(container):
    """Upstream's Python solve stays as it is; even a test tool in it can move a dependency."""
    listed = container.python("from importlib.metadata import distributions as d; print(*sorted(x.name for x in d()))")
    assert "ai-dynamo" in listed.split()
    assert {"ruff", "py-spy", "debugpy", "ipython"} & set(listed.split()) == set()


def test_the_tools_see_none_of_the_bases_packages(container):
    program = "import importlib.util as u; print(u.find_spec('dynamo'), u.find_spec('ruff') is not None)"
    assert container.output("/opt/tools/venv/bin/python", "-c", program) == "None True"
