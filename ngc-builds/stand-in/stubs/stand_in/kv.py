"""The KV cache of one worker: slots in host memory, registered with real NIXL over real UCX.

The content of a slot follows from the prompt alone, so a reader knows what it must find there. Slots are handed out as
an engine does it: exported ones stay until the reader's NIXL notification, or until they are too old.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import socket
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from nixl import _api as nixl

log = logging.getLogger(__name__)

SLOTS = int(os.environ.get("STAND_IN_KV_SLOTS", "64"))
SLOT_BYTES = 64 * 1024
# An exported slot that nobody fetched for this many seconds may be used again (canaries, a decode that died).
EXPORT_SECONDS = 5.0
TRANSFER_SECONDS = 10.0
# Test of the test: this variable makes a prefill write wrong content, and answers must then begin with 1004.
CORRUPT = os.environ.get("STAND_IN_FAULT") == "corrupt"


@dataclass(frozen=True)
class Peer:
    """What a reader must know of a worker to read its slots. `metadata` is NIXL's, as hex."""

    engine_id: str
    agent: str
    metadata: str
    address: int
    slot_bytes: int

    def dump(self) -> bytes:
        """For the wire."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def load(cls, text: bytes) -> "Peer":
        """From the wire."""
        return cls(**json.loads(text))


def content(tokens: Sequence[int]) -> np.ndarray:
    """The KV content of a prompt, SLOT_BYTES long."""
    digest = hashlib.shake_256(np.asarray(tokens, dtype=np.uint32).tobytes()).digest(SLOT_BYTES)
    return np.frombuffer(digest, dtype=np.uint8)


def quiet_nixl() -> None:
    """Make NIXL agents start without a progress thread unless told: it burns a whole core of an idle worker.

    dynamo.trtllm makes one agent with NIXL's defaults (nixl_connect.Connector, for multimodal data) and does not use it
    for text.
    """
    start = nixl.nixl_agent_config.__init__
    start.__defaults__ = (False, *start.__defaults__[1:])


class KvPool:
    """Slots, their NIXL agent, and the task that makes progress for both. Needs a running event loop."""

    def __init__(self) -> None:
        # A new name per start: a peer that knew the last process must not take this one for it.
        self.engine_id = f"{socket.gethostname()}-{uuid.uuid4().hex[:12]}"
        self._agent = nixl.nixl_agent(
            self.engine_id, nixl.nixl_agent_config(enable_prog_thread=False, backends=["UCX"])
        )
        self._memory = np.zeros((SLOTS, SLOT_BYTES), dtype=np.uint8)
        self._address = self._memory.ctypes.data
        self._agent.register_memory([(self._address, self._memory.nbytes, 0, "kv")], "DRAM")
        self._free = list(range(SLOTS))
        self._exported: dict[int, float] = {}
        self._freed = asyncio.Condition()
        self._peers: dict[str, Peer] = {}
        self._task = asyncio.get_running_loop().create_task(self._progress())

    @property
    def peer(self) -> Peer:
        """What others need to read from here."""
        metadata = self._agent.get_agent_metadata().hex()
        return Peer(self.engine_id, self.engine_id, metadata, self._address, SLOT_BYTES)

    def close(self) -> None:
        """Stop making progress."""
        self._task.cancel()

    async def export(self, tokens: Sequence[int]) -> int:
        """Put the content of a prompt into a slot for others to read; returns the slot."""
        slot = await self._acquire()
        self._memory[slot] = content([*tokens, 0] if CORRUPT else tokens)
        self._exported[slot] = time.monotonic()
        return slot

    def knows(self, engine_id: str) -> bool:
        """Whether slots of this engine can be read without asking for its metadata again."""
        return engine_id in self._peers

    def add(self, peer: Peer) -> None:
        """Remember an engine to read from."""
        if peer.engine_id not in self._peers:
            self._agent.add_remote_agent(bytes.fromhex(peer.metadata))
            self._peers[peer.engine_id] = peer

    async def read(self, engine_id: str, slot: int, tokens: Sequence[int]) -> bool:
        """Read a slot of a known engine over NIXL. True when all of it came and is the content of the prompt."""
        peer = self._peers[engine_id]
        own = await self._acquire()
        self._memory[own] = 0
        try:
            await asyncio.wait_for(self._transfer(peer, slot, own), TRANSFER_SECONDS)
            return bool(np.array_equal(self._memory[own], content(tokens)))
        except Exception as error:  # NIXL's errors have no common type
            log.warning("KV transfer from %s failed: %r", engine_id, error)
            self._peers.pop(engine_id, None)
            return False
        finally:
            await self._release(own)

    async def _transfer(self, peer: Peer, slot: int, own: int) -> None:
        agent = self._agent
        mine = agent.get_xfer_descs([(self._address + own * SLOT_BYTES, SLOT_BYTES, 0)], "DRAM")
        theirs = agent.get_xfer_descs([(peer.address + slot * peer.slot_bytes, SLOT_BYTES, 0)], "DRAM")
        handle = agent.initialize_xfer("READ", mine, theirs, peer.agent, str(slot).encode())
        try:
            state = agent.transfer(handle)
            while state == "PROC":
                await asyncio.sleep(0.0005)
                state = agent.check_xfer_state(handle)
            if state != "DONE":
                raise RuntimeError(f"state {state}")
        finally:
            agent.release_xfer_handle(handle)

    async def _acquire(self) -> int:
        async with self._freed:
            while not self._free:
                oldest = min(self._exported, key=self._exported.__getitem__, default=None)
                if oldest is not None and time.monotonic() - self._exported[oldest] > EXPORT_SECONDS:
                    del self._exported[oldest]
                    return oldest
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._freed.wait(), 0.5)
            return self._free.pop(0)

    async def _release(self, slot: int) -> None:
        async with self._freed:
            self._free.append(slot)
            self._freed.notify()

    async def _progress(self) -> None:
        """Drive NIXL, as its own thread would, at a fraction of the cost; free the slots that readers are done with."""
        while True:
            for messages in self._agent.get_new_notifs().values():
                for message in messages:
                    if self._exported.pop(int(message), None) is not None:
                        await self._release(int(message))
            await asyncio.sleep(0.002 if self._exported else 0.01)
