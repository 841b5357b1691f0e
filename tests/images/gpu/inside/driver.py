"""What the driver says, as JSON: the CUDA it supports, its GPUs; and the CUDA runtime of the image. Needs no package."""

import ctypes
import json
import os
from pathlib import Path


def number(version):
    """CUDA's own form, 12080, as text."""
    return f"{version // 1000}.{version % 1000 // 10}" if version else None


def runtime():
    """The CUDA of the image: what NVIDIA's base says, else what its runtime library says; None without either."""
    if os.environ.get("CUDA_VERSION"):
        return ".".join(os.environ["CUDA_VERSION"].split(".")[:2])
    for name in ("libcudart.so.13", "libcudart.so.12"):
        for folder in ("", "/usr/local/cuda/lib64/"):
            try:
                library, found = ctypes.CDLL(folder + name), ctypes.c_int()
            except OSError:
                continue
            if library.cudaRuntimeGetVersion(ctypes.byref(found)) == 0:
                return number(found.value)
    return None


cuda = ctypes.CDLL("libcuda.so.1")
version, count = ctypes.c_int(), ctypes.c_int()
started = cuda.cuInit(0)
cuda.cuDriverGetVersion(ctypes.byref(version))
if started == 0:
    cuda.cuDeviceGetCount(ctypes.byref(count))
maps = Path("/proc/self/maps").read_text().splitlines()
loaded = sorted({line.split()[-1] for line in maps if "libcuda.so" in line or "libcuda-" in line})
print(
    json.dumps(
        {"init": started, "driver": number(version.value), "gpus": count.value, "image": runtime(), "loaded": loaded}
    )
)
