"""A ZeroMQ PUB socket on asyncio, in ZMTP 3.0, with the little msgpack it needs: pyzmq and msgspec would cost 10 MB.

Only what Dynamo's KV event reader speaks: NULL security, SUB peers, three-part messages.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Sequence
from typing import Any

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)
MORE, LONG, COMMAND = 1, 2, 4


def pack(value: Any) -> bytes:
    """msgpack of None, int, float, str and sequences of them."""
    if value is None:
        return b"\xc0"
    if isinstance(value, float):
        return struct.pack("!Bd", 0xCB, value)
    if isinstance(value, int):
        if 0 <= value < 128:
            return bytes([value])
        return struct.pack("!BQ", 0xCF, value) if value >= 0 else struct.pack("!Bq", 0xD3, value)
    if isinstance(value, str):
        text = value.encode()
        return struct.pack("!BH", 0xDA, len(text)) + text
    if isinstance(value, Sequence):
        return struct.pack("!BI", 0xDD, len(value)) + b"".join(map(pack, value))
    raise TypeError(f"no msgpack for {type(value)}")


def frame(body: bytes, flags: int = 0) -> bytes:
    """One ZMTP frame."""
    if len(body) > 255:
        return struct.pack("!BQ", flags | LONG, len(body)) + body
    return struct.pack("!BB", flags, len(body)) + body


READY = frame(b"\x05READY" + b"\x0bSocket-Type" + struct.pack("!I", 3) + b"PUB", COMMAND)


class Publisher:
    """Sends vLLM's KV event batches: topic, sequence number (8 bytes, big endian), msgpack [time, events, rank]."""

    def __init__(self, endpoint: str, topic: str = "", rank: int = 0) -> None:
        host, _, port = endpoint.removeprefix("tcp://").rpartition(":")
        # Bound here and not in start(): Dynamo's reader connects as soon as the engine is made. `*` is every address.
        self._socket = socket.create_server(("" if host == "*" else host, int(port)))
        self._topic = topic.encode()
        self._rank = rank
        self._sequence = 0
        self._peers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Greet those who connect."""
        await asyncio.start_server(self._greet, sock=self._socket)

    def publish(self, events: Sequence[Sequence[Any]]) -> None:
        """Send a batch to whoever listens; as every PUB socket, forget it when nobody does."""
        body = pack([time.time(), events, self._rank])
        parts = frame(self._topic, MORE) + frame(struct.pack("!Q", self._sequence), MORE) + frame(body)
        self._sequence += 1
        for peer in self._peers:
            peer.write(parts)

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(GREETING)
            await reader.readexactly(len(GREETING))
            writer.write(READY)
            self._peers.add(writer)
            # Subscriptions follow; Dynamo's reader takes every topic, so what they say does not matter.
            while await reader.read(4096):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._peers.discard(writer)
            writer.close()
