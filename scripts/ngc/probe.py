"""Runs inside an image, by the image's own Python (3.8 or newer, nothing but the standard library): what is there, as JSON.

`ngc.show` sends this file to the standard input of a container; nothing else imports it.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

SECONDS = 30  # for one program
# Programs that say their version: name, arguments, what stands before the version.
PROGRAMS = (
    ("etcd", ("--version",), "etcd Version: "),
    ("nats-server", ("--version",), "nats-server: v"),
    ("uv", ("--version",), "uv "),
    ("nvcc", ("--version",), "release "),
    ("gcc", ("-dumpfullversion",), ""),
    ("git", ("--version",), "git version "),
)
TOOLS = (
    "sh", "bash", "curl", "jq", "git", "gcc", "g++", "cmake", "ninja", "meson", "gdb", "strace", "nano", "python3", "pip", "uv",
    "etcd", "etcdctl", "nats-server", "nvcc", "nvidia-smi", "ucx_info", "ucx_perftest", "nixlbench", "bench-ucx", "bench-nixl",
    "ib_write_bw", "rdma", "tcpdump", "py-spy", "pytest", "ruff", "mpirun", "ssh",
)  # fmt: skip
NIXL = """
import json
from nixl._api import nixl_agent, nixl_agent_config
agent = nixl_agent("show", nixl_agent_config(backends=["UCX"]))
names = ("libucp.", "libucs.", "libuct.", "libnixl.", "libplugin_UCX.")
files = {line.split()[-1] for line in open("/proc/self/maps") if "/" in line}
print(json.dumps(sorted(f for f in files if f.rpartition("/")[2].replace("-", ".").startswith(names))))
"""


def run(*command: str) -> str | None:
    """stdout and stderr of a program that succeeds, None otherwise."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")


def os_name() -> str:
    file = Path("/etc/os-release")
    found = re.search(r'^PRETTY_NAME="?([^"\n]*)', file.read_text() if file.exists() else "", re.M)
    return found[1] if found else platform.platform()


def packages() -> list[dict[str, str]]:
    """Python packages that the image's Python sees, with the folder they are in."""
    found = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name and name not in found:
            found[name] = {
                "name": name,
                "version": distribution.version or "unknown",
                "path": str(distribution.locate_file("")),
            }
    return sorted(found.values(), key=lambda package: package["name"].lower())


def programs() -> list[dict[str, str]]:
    found = []
    for name, arguments, before in PROGRAMS:
        path = shutil.which(name)
        match = re.search(re.escape(before) + r"(\d[\w.+-]*)", run(path, *arguments) or "") if path else None
        if path:
            found.append({"name": name, "version": match[1] if match else "unknown", "path": path})
    return found


def ucx() -> list[dict[str, str]]:
    """UCX as its own program sees it; the library's path is the file that was loaded."""
    said = run("ucx_info", "-v") or ""
    version, path = (re.search(f"Library {key}: (.*)", said) for key in ("version", "path"))
    return [{"name": "ucx", "version": version[1].strip(), "path": path[1].strip() if path else ""}] if version else []


def cuda() -> list[dict[str, str]]:
    """The CUDA runtime library, as it says itself; the driver is none of the image's."""
    for name in ("libcudart.so.13", "libcudart.so.12"):
        for folder in ("", "/usr/local/cuda/lib64/"):
            try:
                library, number = ctypes.CDLL(folder + name), ctypes.c_int()
            except OSError:
                continue
            if library.cudaRuntimeGetVersion(ctypes.byref(number)) == 0:
                version = f"{number.value // 1000}.{number.value % 1000 // 10}"
                loaded = (line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if name in line)
                return [{"name": "cuda runtime", "version": version, "path": next(loaded, folder + name)}]
    return []


def nixl_loads() -> list[str] | None:
    """Files of UCX and NIXL in the maps of a process with a NIXL agent; None if it does not start."""
    said = run(sys.executable, "-c", NIXL)
    lines = [line for line in (said or "").splitlines() if line.startswith("[")]
    return json.loads(lines[-1]) if lines else None


def plugins() -> list[str]:
    folder = os.environ.get("NIXL_PLUGIN_DIR")
    names = (path.name for path in Path(folder).glob("libplugin_*.so")) if folder else ()
    return sorted(name[len("libplugin_") : -len(".so")] for name in names)


def report() -> dict[str, Any]:
    python = {"name": "python", "version": platform.python_version(), "path": sys.executable}
    system = (run("dpkg-query", "--show", "--showformat=${Package}=${Version}\n") or "").split()
    return {
        "os": os_name(),
        "components": [python, *ucx(), *cuda(), *programs()],
        "python_packages": packages(),
        "system_packages": system,
        "nixl_plugins": plugins(),
        "nixl_loads": nixl_loads(),
        "tools": {name: shutil.which(name) for name in TOOLS},
    }


if __name__ == "__main__":
    print(json.dumps(report()))
