"""gunicorn's threaded worker, for clients that are slow on purpose or by nature.

gunicorn gives each new connection a thread at once and lets it keep it for seconds until the first byte comes; so a few
hundred silent connections keep everyone out. Here a connection costs no thread until it has sent something, and a
request that does not arrive whole in time is given up.
"""

from __future__ import annotations

import selectors
import socket
import time
from errno import EAGAIN, ECONNABORTED, EWOULDBLOCK
from functools import partial
from typing import Any, cast

from gunicorn.http.errors import NoMoreData
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.gthread import TConn, ThreadWorker

READ_S = 10.0
"""For a request to arrive whole, and for a new connection to send its first byte."""

REQUESTS_A_CONNECTION = 1000
"""Then it is closed, and the client's next one may come to another worker.

A few connections that are never idle, as of a gateway, would otherwise stay with the worker that took them first, and
the other cores have nothing to do.
"""


class _Timed:
    """The receiving side of a connection's socket, until its deadline."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def recv(self, size: int) -> bytes:
        """The next bytes. NoMoreData, as when the client goes away, once its time is over."""
        receiving: socket.socket = self._connection.sock
        left = self._connection.until - time.monotonic()
        if left > 0:
            receiving.settimeout(left)
            try:
                return receiving.recv(size)
            except TimeoutError:
                pass
            finally:
                receiving.settimeout(None)
        raise NoMoreData


class Connection(TConn):
    """A connection with a deadline for the request it is sending."""

    until = 0.0
    asked = 0  # requests so far

    def init(self) -> None:
        """Make the parser read until the deadline."""
        super().init()
        unreader = getattr(self.parser, "unreader", None)
        if isinstance(unreader, SocketUnreader):
            unreader.sock = cast(socket.socket, _Timed(self))


class Worker(ThreadWorker):
    """The worker class of `gunicorn.conf.py`."""

    def accept(self, listener: socket.socket) -> None:
        """Take a connection, and wait for its first byte where waiting costs nothing."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno not in (EAGAIN, ECONNABORTED, EWOULDBLOCK):
                raise
            return
        self.nr_conns += 1
        connection = Connection(self.cfg, client, address, listener.getsockname())
        connection.timeout = time.monotonic() + READ_S
        self.pending_conns.append(connection)
        readable = partial(self.on_pending_socket_readable, connection)
        self.poller.register(client, selectors.EVENT_READ, readable)

    def handle(self, conn: Any) -> Any:
        """Read and answer one request, in a thread."""
        conn.until = time.monotonic() + READ_S
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Answer one request, and say so when it is the last of its connection."""
        conn.asked += 1
        if conn.asked >= REQUESTS_A_CONNECTION:
            req.force_close()
        return super().handle_request(req, conn)
