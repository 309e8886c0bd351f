"""IP addresses of the machine, and the hosts by which it is reached."""

from __future__ import annotations

import ctypes
import ipaddress
import os
import socket
import sys
from collections.abc import Sequence

from sanderling.server.reach import INTERFACES

__all__ = ["Address", "advertised", "interface_addresses", "parse_address", "reachable_hosts", "url_host"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# Where the address stands in sockaddr_in and sockaddr_in6; the same in every system that has getifaddrs.
_IPV4_AT, _IPV6_AT = 4, 8


class _InterfaceAddress(ctypes.Structure):
    """``struct ifaddrs`` as far as it is read (getifaddrs(3)); the rest is the same on Linux, macOS and BSD."""


_InterfaceAddress._fields_ = [
    ("next", ctypes.POINTER(_InterfaceAddress)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.c_void_p),
]


def interface_addresses() -> tuple[Address, ...]:
    """Addresses of the interfaces, each once: IPv4 before IPv6, loopback last, none that is link-local.

    Link-local addresses mean nothing to another machine without the name of our interface.
    """
    library = ctypes.CDLL(None, use_errno=True)
    first = ctypes.POINTER(_InterfaceAddress)()
    if library.getifaddrs(ctypes.byref(first)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"the network interfaces cannot be listed: {os.strerror(number)}")
    found: list[Address] = []
    try:
        entry = first
        while entry:  # type: ignore[truthy-bool]  # a null pointer is false
            address = _read(entry.contents.address)
            if address is not None and not address.is_link_local and address not in found:
                found.append(address)
            entry = entry.contents.next
    finally:
        library.freeifaddrs(first)
    return tuple(sorted(found, key=lambda address: (address.is_loopback, address.version)))


def _read(sockaddr: int | None) -> Address | None:
    if not sockaddr:
        return None
    if sys.platform == "linux":
        family = ctypes.c_ushort.from_address(sockaddr).value
    else:  # a length comes first
        family = ctypes.c_ubyte.from_address(sockaddr + 1).value
    if family == socket.AF_INET:
        return ipaddress.IPv4Address(ctypes.string_at(sockaddr + _IPV4_AT, 4))
    if family == socket.AF_INET6:
        return ipaddress.IPv6Address(ctypes.string_at(sockaddr + _IPV6_AT, 16))
    return None


def parse_address(text: str) -> Address | None:
    """``text`` as an address, None when it is none; an IPv4 address in IPv6 clothes (RFC 4291 2.5.5.2) is undressed."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def url_host(host: str) -> str:
    """``host`` as it stands in a URL: IPv6 addresses in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def reachable_hosts(host: str, addresses: Sequence[Address]) -> tuple[str, ...]:
    """Hosts by which a server bound to ``host`` is reached, those that another machine can use first.

    An address that means "every one" is none a client can connect to: it stands for the interfaces' addresses,
    ``0.0.0.0`` for the IPv4 ones.
    """
    bound = parse_address(host.strip("[]"))
    if bound is None or not bound.is_unspecified:
        return (host,)
    return tuple(str(address) for address in addresses if bound.version == 6 or address.version == 4)


def advertised(public: Sequence[str], addresses: Sequence[Address]) -> tuple[str, ...]:
    """Addresses for candidates: ``public`` with ``interfaces`` spelled out; none = the engine's choice."""
    result: list[str] = []
    for value in public:
        for text in [str(address) for address in addresses] if value == INTERFACES else [value]:
            if text not in result:
                result.append(text)
    return tuple(result)
