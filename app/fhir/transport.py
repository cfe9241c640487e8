"""One process's connections to EHRs: pooled, bounded in time and size, only to servers it may talk to.

A hook call names its own `fhirServer`, so every limit here also holds against a server that means harm.
"""

from __future__ import annotations

import contextlib
import copy
import http.cookiejar
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, ParamSpec, TypeVar

import requests
import requests.adapters
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationParseError, NewConnectionError, ProtocolError
from urllib3.util import parse_url
from urllib3.util.connection import create_connection

from app.errors import EhrError
from app.fhir.addresses import is_public

_CHUNK = 64 * 1024

LATE = "The EHR did not answer in time"

P = ParamSpec("P")
T = TypeVar("T")


class EhrStatusError(EhrError):
    """The EHR answered with an HTTP status other than 200."""

    def __init__(self, status: int) -> None:
        super().__init__(f"The EHR answered with HTTP status {status}")
        self.status = status


class Origin(NamedTuple):
    """What must be equal for two URLs to be one server."""

    scheme: str
    host: str
    port: int


def origin_of(url: str) -> Origin | None:
    """The server of an http(s) URL, read by the very parser that will connect; None for anything else."""
    try:
        parts = parse_url(url)
    except LocationParseError:
        return None
    if parts.scheme not in ("http", "https") or not parts.host or parts.auth is not None:
        return None
    return Origin(parts.scheme, parts.host, parts.port or (443 if parts.scheme == "https" else 80))


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """The FHIR base URLs that may be read, each with everything below it. None: any (for a sandbox only).

    `public_only`: and only where they lead to a public address, whatever their names resolve to (`addresses`).
    """

    allowed_bases: tuple[str, ...] | None
    public_only: bool = False

    def allows(self, base_url: str) -> bool:
        """Whether `base_url` is a plain http(s) base URL on the list, on the same scheme, host and port."""
        asked = _base(base_url)
        if asked is None:
            return False
        if self.allowed_bases is None:
            return True
        allowed = [base for base in map(_base, self.allowed_bases) if base]
        return any(asked[0] == server and (asked[1] + "/").startswith(path + "/") for server, path in allowed)


def _base(url: str) -> tuple[Origin, str] | None:
    # Dots and escapes in a path could climb out of an allowed base on the way to the server's router; some take
    # "..;" for dots.
    if any(bad in url for bad in "%\\?#;") or any(mark.isspace() for mark in url):
        return None
    server = origin_of(url)
    path = (url.split("://", 1)[-1].partition("/")[2]).rstrip("/")
    if server is None or {".", ".."} & set(path.split("/")):
        return None
    return server, f"/{path}" if path else ""


class Exchange:
    """The socket a task is using now, so that another thread can end the task whatever the server does.

    Timeouts alone do not: they count between two bytes, and a server may send one byte a second for ever.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: socket.socket | None = None
        self._is_cut = False
        self.ended: float | None = None
        """When the task ended, by time.monotonic."""

    @contextlib.contextmanager
    def here(self) -> Iterator[None]:
        """Makes this the exchange of the connections this thread uses."""
        _this_thread.exchange = self
        try:
            yield
        finally:
            self.ended = time.monotonic()
            _this_thread.exchange = None
            with self._lock:
                self._let_go()

    def hold(self, used: socket.socket) -> None:
        """Remembers the connection in use, by a descriptor of our own that no later close or reuse can confuse."""
        with self._lock:
            self._let_go()
            self._held = socket.socket(used.family, used.type, used.proto, fileno=socket.dup(used.fileno()))
            if self._is_cut:
                self._shut_down()

    def cut(self) -> None:
        """Ends whatever the task waits for, now and from here on."""
        with self._lock:
            self._is_cut = True
            self._shut_down()

    def _shut_down(self) -> None:
        if self._held is not None:
            with contextlib.suppress(OSError):
                self._held.shutdown(socket.SHUT_RDWR)

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None


class _ThisThread(threading.local):
    exchange: Exchange | None = None


_this_thread = _ThisThread()


def _hold(used: socket.socket) -> None:
    if _this_thread.exchange is not None:
        _this_thread.exchange.hold(used)


class _HeldHTTPConnection(HTTPConnection):
    # _new_conn and not connect: a TLS handshake can be dripped as well.
    def _new_conn(self) -> socket.socket:
        made = super()._new_conn()
        _hold(made)
        return made

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is not None:
            _hold(self.sock)
        super().request(*args, **kwargs)


class _HeldHTTPSConnection(_HeldHTTPConnection, HTTPSConnection):
    pass


class _PublicHTTPConnection(_HeldHTTPConnection):
    """Looks its host up once, and connects to the very address it has checked."""

    def _new_conn(self) -> socket.socket:
        try:
            found = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
            addresses = [str(where[0]) for *_, where in found]
            # One bad address among good ones is how a name is turned against its reader.
            if not addresses or not all(map(is_public, addresses)):
                raise EhrError("The EHR's name leads to an address that is not public")
            made = self._connected(addresses)
        except TimeoutError:
            raise ConnectTimeoutError(self, "Timed out") from None
        except (OSError, UnicodeError) as error:
            raise NewConnectionError(self, type(error).__name__) from None
        _hold(made)
        return made

    def _connected(self, addresses: list[str]) -> socket.socket:
        for address in addresses[:-1]:
            with contextlib.suppress(OSError):
                return self._connect_to(address)
        return self._connect_to(addresses[-1])

    def _connect_to(self, address: str) -> socket.socket:
        return create_connection((address, self.port), self.timeout, self.source_address, self.socket_options)


class _PublicHTTPSConnection(_PublicHTTPConnection, _HeldHTTPSConnection):
    pass


class _HeldHTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HeldHTTPConnection


class _HeldHTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HeldHTTPSConnection


class _PublicHTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PublicHTTPConnection


class _PublicHTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _PublicHTTPSConnection


class _Adapter(requests.adapters.HTTPAdapter):
    classes: Mapping[str, type[urllib3.HTTPConnectionPool]] = {"http": _HeldHTTPPool, "https": _HeldHTTPSPool}

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = dict(self.classes)


class _PublicAdapter(_Adapter):
    classes = {"http": _PublicHTTPPool, "https": _PublicHTTPSPool}


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        # Even with allow_redirects=False, requests reads the whole body of a redirect to prepare the next request.
        return None


def _session(adapter: requests.adapters.HTTPAdapter, verify: bool | str) -> _Session:
    session = _Session()
    session.trust_env = False
    session.verify = verify
    # A cookie set during one call would travel with the next one's token.
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=()))
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


class ConnectionPool:
    """One per process, for all calls and all EHRs; safe in threads. Sockets are kept open between calls.

    `verify` as in requests: True, or the path of a CA bundle. `workers` bounds the reads under way at once in the
    process, `max_bytes` one decoded answer, `max_pages` the pages of one search. `observe` is told of each read or
    search of an EHR: what became of it, and how many seconds it took.
    """

    def __init__(
        self,
        policy: HostPolicy,
        *,
        verify: bool | str = True,
        workers: int = 32,
        hosts: int = 16,
        max_bytes: int = 5 * 1024 * 1024,
        max_pages: int = 5,
        observe: Callable[[str, float], None] | None = None,
    ) -> None:
        self.policy = policy
        self.observe = observe
        self.max_bytes = max_bytes
        self.max_pages = max_pages
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="ehr")
        # Two, because a kept connection is found by its host's name: what one client may reach must not serve another.
        self._sessions = {
            public_only: _session(adapter(pool_connections=hosts, pool_maxsize=workers), verify)
            for public_only, adapter in ((False, _Adapter), (True, _PublicAdapter))
        }

    def under(self, policy: HostPolicy) -> ConnectionPool:
        """This very pool, for a caller with a policy of its own. To be closed once, as any of them."""
        narrowed = copy.copy(self)
        narrowed.policy = policy
        return narrowed

    def allows(self, base_url: str) -> bool:
        """Whether this process may read from `base_url`."""
        return self.policy.allows(base_url)

    def submit(self, task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Runs `task` on one of the pool's threads."""
        return self._executor.submit(task, *args, **kwargs)

    def get(self, url: str, headers: Mapping[str, str], deadline: float) -> bytes:
        """The body of a GET answered with 200 before `deadline` (time.monotonic), decompressed.

        Asks a second time if the connection broke; follows no redirect. Raises EhrStatusError, EhrError.
        """
        for attempt in (1, 2):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                break
            try:
                return self._get(url, headers, remaining)
            except (requests.RequestException, HTTPError) as error:
                # The server may just have closed a kept connection; reading again changes nothing there.
                if not (_broke(error) and attempt == 1):
                    # `from None`: the error's text holds the URL.
                    raise EhrError(_reason(error)) from None
        raise EhrError(LATE)

    def get_within(self, url: str, headers: Mapping[str, str], seconds: float) -> bytes:
        """As `get`, and over in `seconds` however slowly a server sends."""
        exchange = Exchange()

        def get() -> bytes:
            with exchange.here():
                return self.get(url, headers, time.monotonic() + seconds)

        under_way = self.submit(get)
        try:
            return under_way.result(seconds)
        except TimeoutError:
            raise EhrError(LATE) from None
        finally:
            if not under_way.done():
                under_way.cancel()
                exchange.cut()

    def close(self) -> None:
        """Closes kept connections; reads under way end at their deadline."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        for session in self._sessions.values():
            session.close()

    def _get(self, url: str, headers: Mapping[str, str], timeout: float) -> bytes:
        with self._sessions[self.policy.public_only].get(
            url, headers=dict(headers), timeout=timeout, stream=True, allow_redirects=False
        ) as response:
            if response.status_code != 200:
                # Enough to empty the usual error page off the connection, which can then be used again.
                response.raw.read(_CHUNK, decode_content=False)
                raise EhrStatusError(response.status_code)
            body = bytearray()
            while chunk := response.raw.read(_CHUNK, decode_content=True):
                body += chunk
                if len(body) > self.max_bytes:
                    raise EhrError(f"The EHR's answer is larger than {self.max_bytes / 1024 / 1024:.3g} MB")
            return bytes(body)


def _broke(error: Exception) -> bool:
    cause = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else error
    return isinstance(cause, ProtocolError)


def _reason(error: Exception) -> str:
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError):
        return LATE
    if isinstance(error, requests.exceptions.SSLError | urllib3.exceptions.SSLError):
        return "The EHR's certificate was not accepted"
    if _broke(error):
        return "The EHR broke off the connection"
    return "The EHR could not be reached"
