"""Programs that run inside an image, as text: they need only what every base has."""

# Agents as Dynamo's workers make them; which files the process mapped, and which plugins load.
LOADED = """
import json, os
from nixl._api import nixl_agent, nixl_agent_config
agent = nixl_agent("probe", nixl_agent_config(backends=["UCX"]))
files = {line.split()[-1] for line in open("/proc/self/maps") if "/" in line}
names = ("libucp", "libuct", "libucs", "libucm", "libnixl.so", "libplugin_UCX.so", "libplugin_")
loaded = {name: sorted(f for f in files if os.path.basename(f).startswith(name)) for name in names}
modules = sorted(f for f in files if os.path.basename(f).startswith(("libuct_", "libucm_", "libucx_perftest")))
print(json.dumps({"libraries": {k: [f for f in v if f not in modules] for k, v in loaded.items()}, "modules": modules}))
"""

# The version of the UCX in a folder, whose libraries a wheel has under names of its own; and all of its settings.
UCX_VERSION = """
import ctypes, glob, sys
(path,) = glob.glob(sys.argv[1] + "/libucp*.so.0.0.0")
version = ctypes.CDLL(path).ucp_get_version_string
version.restype = ctypes.c_char_p
print(version().decode())
"""

# What `ucx_info -c` prints, where there is no ucx_info; 1 stands for names and values.
UCX_SETTINGS = """
import ctypes, glob, sys
ucp, ucs = (ctypes.CDLL(*glob.glob(f"{sys.argv[1]}/lib{name}*.so.0.0.0")) for name in ("ucp", "ucs-"))
libc = ctypes.CDLL(None)
known = ctypes.c_char.in_dll(ucs, "ucs_config_global_list")
ucs.ucs_config_parser_print_all_opts(ctypes.c_void_p.in_dll(libc, "stdout"), b"UCX_", 1, ctypes.byref(known), None)
libc.fflush(None)
"""

PLUGINS = """
import json, sys
from nixl._api import nixl_agent, nixl_agent_config
agent = nixl_agent("probe", nixl_agent_config(backends=[]))
listed, started = agent.get_plugin_list(), []
for name in sys.argv[1:]:
    if name in listed:
        agent.create_backend(name, {})
        started.append(name)
print(json.dumps({"listed": sorted(listed), "started": started}))
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

FREE_PORTS = """
import socket, sys
sockets = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in sockets:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in sockets))
"""

# NATS's own protocol: what the server says of itself, and a message that comes back.
NATS = """
import json, socket, sys
line = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
stream = line.makefile("rb")
said = json.loads(stream.readline().split(b" ", 1)[1])
line.sendall(b'CONNECT {"verbose": false}\\r\\nSUB probe 1\\r\\nPUB probe 5\\r\\nhello\\r\\n')
words = [stream.readline().split()[0].decode() for _ in range(2)]
print(json.dumps({"jetstream": said.get("jetstream", False), "version": said["version"], "got": words}))
"""
