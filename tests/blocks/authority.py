"""A certificate for `localhost`, made by openssl, and a TLS front for a server that was built without TLS."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import ssl
import struct
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from faberdb.dsn import Dsn

_OPENSSL = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem"
    " -out certificate.pem -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
)
_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104


class Authority(Struct, frozen=True):
    """A self-signed certificate, which is its own authority."""

    folder: Path

    @property
    def certificate(self) -> str:
        return (self.folder / "certificate.pem").read_text()


def make_authority(folder: Path) -> Authority:
    subprocess.run(
        shlex.split(_OPENSSL),
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return Authority(folder)


@contextlib.contextmanager
def tls_front(server: Dsn, authority: Authority | None) -> Iterator[int]:
    """Listen on the loopback interface, speak PostgreSQL's TLS handshake, and hand on to the server's socket.

    The embedded PostgreSQL is built without TLS, so it cannot do this itself; the client cannot tell.

    Args:
        server: behind it.
        authority: None answers, as a server without TLS does, that there is none.

    Yields:
        The port.
    """
    context = None
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.folder / "certificate.pem", authority.folder / "key.pem")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened = [writer]
        try:
            head = await reader.readexactly(8)
            while struct.unpack("!II", head)[1] in {_SSL_REQUEST, _GSS_REQUEST}:
                if struct.unpack("!II", head)[1] == _SSL_REQUEST and context is not None:
                    writer.write(b"S")
                    await writer.start_tls(context)
                else:
                    writer.write(b"N")
                head = await reader.readexactly(8)
            path = f"{server.host}/.s.PGSQL.{server.port}"
            inner, outer = await asyncio.open_unix_connection(path)
            opened.append(outer)
            outer.write(head)
            await asyncio.gather(_pump(reader, outer), _pump(inner, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client did not like what it saw, as some tests want
        finally:
            for each in opened:
                each.transport.abort()

    loop = asyncio.new_event_loop()
    front = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield front.sockets[0].getsockname()[1]
    finally:
        asyncio.run_coroutine_threadsafe(_end(front), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _end(front: asyncio.Server) -> None:
    front.close()
    left = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await asyncio.sleep(0.05)  # what was aborted closes its sockets in the loop's next turns
