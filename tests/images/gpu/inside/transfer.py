"""Move GPU memory by NIXL over UCX and compare what arrived; prints JSON. Needs NIXL, and no PyTorch.

Arguments: bytes, GPU of the source, GPU of the sink, processes (1 or 2: cuda_ipc works between processes only).
"""

import ctypes
import hashlib
import json
import multiprocessing
import random
import sys
import time
import uuid


class Memory:
    """`size` bytes on a GPU, by the driver alone."""

    def __init__(self, size, gpu):
        self.size, self.gpu = size, gpu
        self.cuda = ctypes.CDLL("libcuda.so.1")
        self.call("cuInit", 0)
        device, self.context, pointer = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
        self.call("cuDeviceGet", ctypes.byref(device), gpu)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(self.context), device)
        self.call("cuCtxSetCurrent", self.context)
        self.call("cuMemAlloc_v2", ctypes.byref(pointer), ctypes.c_size_t(size))
        self.address = pointer.value

    def call(self, name, *arguments):
        status = getattr(self.cuda, name)(*arguments)
        if status:
            sys.exit(f"{name} on GPU {self.gpu}: error {status}")

    def write(self, data):
        self.call("cuCtxSetCurrent", self.context)
        self.call("cuMemcpyHtoD_v2", ctypes.c_uint64(self.address), data, ctypes.c_size_t(self.size))
        self.call("cuCtxSynchronize")

    def digest(self):
        self.call("cuCtxSetCurrent", self.context)
        data = ctypes.create_string_buffer(self.size)
        self.call("cuMemcpyDtoH_v2", data, ctypes.c_uint64(self.address), ctypes.c_size_t(self.size))
        return hashlib.sha256(data.raw).hexdigest()


class Side:
    """A NIXL agent with one registered piece of GPU memory."""

    def __init__(self, size, gpu, data):
        from nixl._api import nixl_agent, nixl_agent_config  # after the fork: it loads UCX, which loads CUDA

        self.memory = Memory(size, gpu)
        self.memory.write(data)
        self.agent = nixl_agent(uuid.uuid4().hex, nixl_agent_config(backends=["UCX"]))
        self.agent.register_memory([(self.memory.address, size, gpu, "")], "VRAM")

    def describe(self):
        return {"metadata": self.agent.get_agent_metadata(), "address": self.memory.address, "gpu": self.memory.gpu}

    def send(self, peer):
        """Write all of it to the peer; (state, seconds of the last of three)."""
        name = self.agent.add_remote_agent(peer["metadata"])
        mine = self.agent.get_xfer_descs([(self.memory.address, self.memory.size, self.memory.gpu)], "VRAM")
        theirs = self.agent.get_xfer_descs([(peer["address"], self.memory.size, peer["gpu"])], "VRAM")
        for _ in range(3):  # the first one also connects
            handle = self.agent.initialize_xfer("WRITE", mine, theirs, name)
            begun = time.monotonic()
            state = self.agent.transfer(handle)
            while state not in ("DONE", "ERR") and time.monotonic() - begun < 60:
                state = self.agent.check_xfer_state(handle)
            took = time.monotonic() - begun
        return state, took


def sink_process(pipe, size, gpu):
    side = Side(size, gpu, bytes(size))
    pipe.send(side.describe())
    pipe.recv()
    pipe.send(side.memory.digest())


size, source_gpu, sink_gpu, processes = map(int, sys.argv[1:])
data = random.Random(7).randbytes(size)
if processes == 2:
    pipe, other = multiprocessing.get_context("fork").Pipe()
    multiprocessing.get_context("fork").Process(target=sink_process, args=(other, size, sink_gpu), daemon=True).start()
    source = Side(size, source_gpu, data)
    if not pipe.poll(60):
        sys.exit("the process with the sink did not start within 60 s")
    state, seconds = source.send(pipe.recv())
    pipe.send("done")
    arrived = pipe.recv()
else:
    source, sink = Side(size, source_gpu, data), Side(size, sink_gpu, bytes(size))
    state, seconds = source.send(sink.describe())
    arrived = sink.memory.digest()
equal = arrived == hashlib.sha256(data).hexdigest()
print(json.dumps({"state": state, "equal": equal, "gigabytes_per_second": round(size / seconds / 1e9, 3)}))
