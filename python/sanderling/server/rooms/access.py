"""Which clients a project admits: by address, and to several rooms at once."""

from __future__ import annotations

import functools
import ipaddress
import re

from sanderling.errors import ErrorCode, RoomError, SanderlingError
from sanderling.server.storage.settings import ProjectSettings

__all__ = ["check_address", "check_multi_room"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def check_address(settings: ProjectSettings, origin: str) -> None:
    """1000039 when the project does not admit clients from ``origin``, an address with or without a port.

    A denied address is refused even where it is an allowed one; an unknown one is none of the allowed ones.
    """
    if not settings.allowed_addresses and not settings.denied_addresses:
        return
    address = _address_of(origin)
    denied = _within(address, _networks(settings.denied_addresses))
    allowed = not settings.allowed_addresses or _within(address, _networks(settings.allowed_addresses))
    if denied or not allowed:
        raise SanderlingError(
            ErrorCode.ACCESS_DENIED,
            "this project does not admit clients from your address",
            hint="ask the operator of the server (project settings allowed_addresses, denied_addresses)",
        )


def check_multi_room(settings: ProjectSettings, user_id: str) -> None:
    """1002063 when this user may be in one room only, though the project has several for others."""
    users = settings.multi_room_users
    if settings.max_rooms > 1 and users and not any(_matches(user_id, one) for one in users):
        raise RoomError(
            ErrorCode.NO_MULTI_ROOM_PERMISSION,
            f"user {user_id!r} may be in one room at a time",
            hint="log out of the other room first, or add the user to multi_room_users of the project",
        )


def _matches(user_id: str, pattern: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), user_id) is not None


@functools.lru_cache(maxsize=1024)
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


def _within(address: Address | None, networks: tuple[Network, ...]) -> bool:
    return address is not None and any(
        address.version == network.version and address in network for network in networks
    )


def _address_of(origin: str) -> Address | None:
    """The address in ``192.0.2.7:51000``, ``[2001:db8::7]:51000``, or the same without the port."""
    for text in (origin, origin.rpartition(":")[0].strip("[]")):
        try:
            return ipaddress.ip_address(text)
        except ValueError:
            continue
    return None
