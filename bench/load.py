"""A closed-loop load: so many connections, each sending its next request when the answer is there."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from dataclasses import dataclass

from bench.body import NUMBER

numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients saw. Latencies in milliseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    errors: int

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def press(port: int, path: str, body: bytes, *, connections: int, seconds: float) -> Load:
    """Press for some seconds. Plain sockets, so that the clients cost little beside what they measure."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    message = head.encode() + body
    latencies: list[list[float]] = [[] for _ in range(connections)]
    errors = [0] * connections
    until = time.perf_counter() + seconds

    def client(number: int) -> None:
        while time.perf_counter() < until:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                goes_on = True
                while goes_on and time.perf_counter() < until:
                    numbered = message.replace(NUMBER, b"%08d" % next(numbers))
                    started = time.perf_counter()
                    connection.sendall(numbered)
                    good, goes_on = _answered(connection)
                    errors[number] += not good
                    latencies[number].append((time.perf_counter() - started) * 1000)

    started = time.perf_counter()
    clients = [threading.Thread(target=client, args=(number,)) for number in range(connections)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    elapsed = time.perf_counter() - started
    every = sorted(latency for one in latencies for latency in one)
    return Load(len(every), elapsed, every[len(every) // 2], every[int(len(every) * 0.99)], sum(errors))


def _answered(connection: socket.socket) -> tuple[bool, bool]:
    """Read one answer whole: whether it is a 200, and whether the connection goes on."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, rest = received.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
    )
    missing = length - len(rest)
    while missing > 0:
        missing -= len(connection.recv(65536))
    return head.startswith(b"HTTP/1.1 200"), b"connection: close" not in head.lower()
