"""The side channel: one TCP connection, on which a worker tells what a reader must know. Length, then JSON."""

import asyncio
import struct

from stand_in.kv import Peer

SECONDS = 3.0
LENGTH = struct.Struct("!I")


async def serve(peer: Peer, host: str, port: int) -> asyncio.Server:
    """Tell `peer` to everyone who connects. Binds the very address that others are told, so a wrong one shows."""
    answer = peer.dump()

    async def tell(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(LENGTH.pack(len(answer)) + answer)
        await writer.drain()
        writer.close()

    return await asyncio.start_server(tell, host, port)


async def ask(host: str, port: int) -> Peer:
    """Ask a worker. Raises OSError, TimeoutError or ValueError when there is none, or another thing."""

    async def exchange() -> Peer:
        reader, writer = await asyncio.open_connection(host, port)
        try:
            (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
            return Peer.load(await reader.readexactly(length))
        except asyncio.IncompleteReadError as error:
            raise ConnectionError("the side channel was closed early") from error
        finally:
            writer.close()

    return await asyncio.wait_for(exchange(), SECONDS)
