"""Starts the parts in order, tells whether they are up, and takes them down in the opposite order."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
from dataclasses import dataclass, field

import structlog

from sanderling.bridge import MediaEngine
from sanderling.bridge.engine import NativeModule
from sanderling.errors import ErrorCode, MediaUnavailable, SanderlingError
from sanderling.server.addresses import Address, advertised, interface_addresses
from sanderling.server.bus import InProcessBus
from sanderling.server.config import ServerConfig, parse_port_range
from sanderling.server.registry import InProcessRegistry
from sanderling.server.rooms.context import RoomContext
from sanderling.server.rooms.manager import RoomManager
from sanderling.server.source_limits import SourceLimits
from sanderling.server.storage import SqliteStorage, Storage
from sanderling.server.tls import Certificate, names_of, prepare_certificate
from sanderling.server.turn import TurnServers, read_secret
from sanderling.server.ws.session import SessionLimits, SessionObserver

__all__ = ["Services", "start_services", "stop_services"]

log = structlog.get_logger("server")

HEALTH_TIMEOUT_S = 2.0
SETTLE_S = 5.0
"""How long after a start clients are told that others may be about to return. Lower: those who take longer to come
back are seen to go and come; higher: those who do not come back are seen for longer."""
TICK_S = 0.2
"""How often is looked whether something is due in the rooms."""


@dataclass(slots=True)
class Services:
    """The running parts of one node."""

    config: ServerConfig
    storage: Storage
    engine: MediaEngine
    bus: InProcessBus
    registry: InProcessRegistry
    rooms: RoomManager
    limits: SessionLimits
    sources: SourceLimits = field(default_factory=SourceLimits)
    observer: SessionObserver = field(default_factory=SessionObserver)
    addresses: tuple[Address, ...] = ()
    """Those of this machine's interfaces at the start."""
    certificate: Certificate | None = None
    """Of the HTTPS port; None when it speaks plain HTTP."""
    ticker: asyncio.Task[None] | None = None
    """Looks at the rooms' agenda."""
    draining: bool = False

    async def health(self) -> dict[str, str]:
        """What is down, by part, with the reason; empty when everything is up."""
        down: dict[str, str] = {}
        if self.draining:
            down["server"] = "shutting down"
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                await self.storage.check()
        except Exception as error:  # noqa: BLE001 - whatever it is, the storage is down
            log.warning("storage_down", error=str(error))
            down["storage"] = type(error).__name__
        try:
            async with asyncio.timeout(HEALTH_TIMEOUT_S):
                await self.engine.snapshot()
        except Exception as error:  # noqa: BLE001 - whatever it is, the media engine is down
            log.warning("media_down", error=str(error))
            down["media"] = type(error).__name__
        return down


async def start_services(config: ServerConfig, *, native: NativeModule | None = None) -> Services:
    """Storage, then media, then rooms. When one fails, those before it are taken down again."""
    addresses = interface_addresses()
    certificate = await asyncio.to_thread(_certificate, config, addresses)
    secret = await asyncio.to_thread(read_secret, config.turn_secret_file) if config.turn else ""
    storage = SqliteStorage(config.state_folder)
    await storage.open()
    try:
        engine = _start_engine(config, addresses, native)
    except BaseException:
        await storage.aclose()
        raise
    bus, registry = InProcessBus(), InProcessRegistry()
    context = RoomContext(
        engine=engine,
        storage=storage,
        registry=registry,
        bus=bus,
        silent_s=config.heartbeat_timeout_s,
        closed_s=config.closed_timeout_s,
        resume_s=config.resume_timeout_s,
        settle_s=SETTLE_S,
        ice_servers=TurnServers(config.turn, secret, ttl_s=config.turn_ttl_s),
    )
    limits = SessionLimits(
        login_timeout_s=config.login_timeout_s,
        messages_per_s=config.messages_per_s,
        messages_burst=config.messages_per_s * 2,
    )
    rooms = RoomManager(context)
    return Services(
        config,
        storage,
        engine,
        bus,
        registry,
        rooms,
        limits,
        SourceLimits(posts_per_s=config.posts_per_s, logins_per_s=config.logins_per_s),
        addresses=addresses,
        certificate=certificate,
        ticker=asyncio.get_running_loop().create_task(_tick(rooms)),
    )


async def _tick(rooms: RoomManager) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        rooms.tick()


def _certificate(config: ServerConfig, addresses: tuple[Address, ...]) -> Certificate | None:
    names = names_of(config, socket.gethostname(), addresses)
    return prepare_certificate(config, names, now=dt.datetime.now(dt.UTC))


def _start_engine(
    config: ServerConfig, addresses: tuple[Address, ...], native: NativeModule | None
) -> MediaEngine:
    try:
        return MediaEngine(
            workers=config.media_workers,
            listen=config.media_listen,
            ports=parse_port_range(config.media_ports),
            advertise=advertised(config.public_address, addresses),
            max_sessions=config.max_sessions,
            native=native,
        )
    except OSError as error:
        raise MediaUnavailable(
            ErrorCode.NOT_INSTALLED,
            f"no media port could be opened in {config.media_ports}: {error}",
            hint="choose other ones with --media-ports FIRST-LAST",
        ) from None
    except ValueError as error:
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER,
            f"the media engine refuses its settings: {error}",
            hint="see --media-ports, --public-address and --workers",
        ) from None


async def drain(services: Services) -> None:
    """Tell every client that the server goes down; their connections close."""
    services.draining = True
    services.rooms.drain()


async def stop_services(services: Services) -> None:
    """Rooms, then media, then storage. Idempotent."""
    services.draining = True
    services.rooms.drain()
    if services.ticker is not None:
        services.ticker.cancel()
    await services.rooms.settle()
    await services.engine.aclose()
    await services.bus.aclose()
    await services.registry.aclose()
    await services.storage.aclose()
