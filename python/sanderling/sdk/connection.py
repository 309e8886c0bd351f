"""The asyncio shell of :mod:`sanderling.signaling.client`: a WebSocket, a clock and nothing else."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from sanderling.errors import ErrorCode, RoomError, SanderlingError
from sanderling.sdk.geo_fence import GeoFence
from sanderling.sdk.tls import TLS, explain, make_context, pinned_connection
from sanderling.signaling.client import ClientEvent, SignalingClient
from sanderling.signaling.codec import MAX_MESSAGE_BYTES, REGION_HEADER

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

__all__ = ["Connection", "websocket_url"]

log = logging.getLogger("sanderling.sdk")

_socket_log = logging.getLogger("sanderling.sdk.websocket")
# At DEBUG the library writes out what is sent, and the login carries the token.
_socket_log.setLevel(logging.INFO)

CONNECT_TIMEOUT = 8.0
"""Seconds for TCP, TLS and the upgrade."""
CLOSE_TIMEOUT = 1.0
"""Seconds the closing handshake may take."""

UNREACHABLE = "check host and port of the server URL, and that the server runs and is not behind a firewall"

_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def websocket_url(server: str) -> str:
    """The signalling address of a server given as ``http(s)://`` or ``ws(s)://host:port[/prefix]``; else 1000017."""
    parts = urlsplit(server)
    try:
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        port_is_valid = False
    if parts.scheme not in _SCHEMES or not parts.hostname or not port_is_valid:
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER,
            f"{server!r} is not the URL of a server",
            hint="write it as http://host:7700, https://host/prefix or the same with ws:// or wss://",
        )
    path = parts.path.rstrip("/")
    if not path.endswith("/ws"):
        path += "/ws"
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, parts.query, ""))


class Connection:
    """Runs one signalling session: sends what the client says, gives it what arrives, hands on its events."""

    def __init__(
        self,
        server: str,
        client: SignalingClient,
        on_event: Callable[[ClientEvent], None],
        *,
        tls: TLS | None = None,
        fence: GeoFence | None = None,
    ) -> None:
        self._url = websocket_url(server)
        if tls is not None and not self._url.startswith("wss:"):
            raise SanderlingError(
                ErrorCode.ILLEGAL_PARAMETER,
                f"{server!r} is not encrypted, so that a certificate cannot be checked",
                hint="write the server as https:// or wss://, or leave EngineProfile.tls away",
            )
        self._tls = tls
        self._fence = fence
        self._client = client
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._socket: ClientConnection | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._aborted = False

    def open(self, seconds: float | None = None) -> asyncio.Task[None]:
        """Start connecting, for at most ``seconds`` (else :data:`CONNECT_TIMEOUT`).

        The task ends when the socket is open and raises what kept it from being so: 1002030 or 1002031 with the reason.
        """
        task = self._spawn(self._connect(seconds or CONNECT_TIMEOUT), "sanderling-connect")
        task.add_done_callback(_retrieve)  # there may be nobody to raise to any more
        return task

    def now(self) -> float:
        """The clock of the session in seconds."""
        return self._loop.time()

    def flush(self) -> None:
        """Send what the client wants sent and deliver its events; call after every command."""
        self._wake.set()
        self._settle()

    async def close(self) -> None:
        """Close the socket and stop; nothing is delivered afterwards."""
        self.abort()
        socket, self._socket = self._socket, None
        if socket is not None:
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await socket.close()
            except (TimeoutError, OSError):
                pass
            finally:
                socket.transport.abort()
        current = asyncio.current_task()
        others = [task for task in self._tasks if task is not current]
        if others:
            await asyncio.wait(others)

    def abort(self) -> None:
        """Stop without waiting for anything; the client hears nothing more from here."""
        self._aborted = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for task in self._tasks:
            task.cancel()

    def _spawn(self, work: Coroutine[object, object, None], name: str) -> asyncio.Task[None]:
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _connect(self, seconds: float) -> None:
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidHandshake, InvalidURI, WebSocketException

        try:
            async with asyncio.timeout(seconds):
                security: dict[str, Any] = {}
                if self._url.startswith("wss:"):
                    # Reads the authorities' certificates.
                    security["ssl"] = await self._loop.run_in_executor(None, make_context, self._tls)
                    if self._tls is not None and self._tls.fingerprint:
                        security["create_connection"] = pinned_connection(self._tls.fingerprint)
                self._socket = await connect(
                    self._url,
                    **security,
                    max_size=MAX_MESSAGE_BYTES,
                    open_timeout=None,
                    ping_interval=None,  # the protocol has its own heartbeat
                    close_timeout=CLOSE_TIMEOUT,
                    proxy=None,
                    logger=_socket_log,
                )
        except TimeoutError:
            raise self._refused(ErrorCode.LOGIN_TIMEOUT, "nothing answered in time") from None
        except InvalidHandshake as error:
            why = f"what answers there is no Sanderling server ({error})"
            raise self._refused(ErrorCode.LOGIN_FAILED, why) from None
        except ssl.SSLError as error:
            raise self._refused(ErrorCode.LOGIN_FAILED, *explain(error)) from None
        except (OSError, WebSocketException, InvalidURI) as error:
            raise self._refused(ErrorCode.LOGIN_FAILED, str(error) or type(error).__name__) from None
        self._check_region(self._socket)
        self._spawn(self._receive(self._socket), "sanderling-receive")
        self._spawn(self._send(self._socket), "sanderling-send")

    def _check_region(self, socket: ClientConnection) -> None:
        """1000039 when the server stands where it may not; nothing has been said to it yet."""
        if self._fence is None:
            return
        region = socket.response.headers.get(REGION_HEADER, "") if socket.response is not None else ""
        if not self._fence.admits(region):
            where = f"stands in {region}" if region else "does not say where it stands"
            raise SanderlingError(
                ErrorCode.ACCESS_DENIED,
                f"the server {where}, which the geo-fence of this engine shuts out",
                hint="use another server, change the geo-fence, or set the server's `region`",
                context={"url": self._url},
            )

    def _refused(self, code: ErrorCode, why: str, hint: str = UNREACHABLE) -> RoomError:
        return RoomError(
            code,
            f"no connection to {self._url}: {why}",
            hint=hint,
            context={"url": self._url},
        )

    async def _receive(self, socket: ClientConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        detail = ""
        try:
            while True:
                data = await socket.recv()
                if self._aborted:
                    return
                self._client.receive(data, now=self.now())
                self._wake.set()
                self._settle()
        except ConnectionClosed as error:
            received = error.rcvd
            detail = received.reason if received is not None and received.reason else ""
        except (OSError, UnicodeError) as error:
            detail = str(error)
        self._client.disconnected(detail)
        self._settle()

    async def _send(self, socket: ClientConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            while True:
                self._wake.clear()
                for data in self._client.take_outgoing():
                    await socket.send(data, text=True)
                await self._wake.wait()
        except (ConnectionClosed, OSError):
            return  # the receiving task reports it

    def _settle(self) -> None:
        for event in self._client.take_events():
            self._on_event(event)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = None if self._aborted else self._client.wake_at()
        if due is not None and due != float("inf"):
            self._timer = self._loop.call_at(due, self._timeout)

    def _timeout(self) -> None:
        self._timer = None
        self._client.handle_timeout(now=self.now())
        self._wake.set()
        self._settle()


def _retrieve(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()
