"""Addresses of this machine, for servers that have no loopback candidates."""

from __future__ import annotations

import ipaddress
import socket

from sanderling.bench.failure import BenchFailed

__all__ = ["address_beyond_loopback"]


def address_beyond_loopback() -> str:
    """An IPv4 address of this machine that is not loopback; what goes there from here uses loopback all the same."""
    found = ""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: connecting a datagram socket only chooses the address it would be sent from.
            probe.connect(("192.0.2.1", 9))
            found = str(probe.getsockname()[0])
        except OSError:
            pass
    if not found or ipaddress.ip_address(found).is_loopback:
        raise BenchFailed(
            "this machine has no address but loopback, at which Janus offers no media",
            "connect a network, or add one: sudo ip link add dummy0 type dummy; "
            "sudo ip address add 10.213.8.1/24 dev dummy0; sudo ip link set dummy0 up; "
            "sudo ip route add default dev dummy0",
        )
    return found
