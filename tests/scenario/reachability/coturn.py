"""coturn as the page about deployment shows it, and a firewall that leaves nothing but it and the signalling."""

from __future__ import annotations

from pathlib import Path

from scenario.reachability.network import Network
from scenario.reachability.parts import documented

__all__ = ["HOSTS", "command", "only_signalling", "server_arguments"]

HOSTS = {"server": ["203.0.113.0/24"], "viewer": ["198.51.100.0/24"], "turn": ["192.0.2.0/24"]}

# Between viewer and server only the signalling passes, so that neither UDP nor ICE-TCP is a way. To the relay there is
# one: UDP, or TCP for those who are left nothing else.
ONLY_SIGNALLING = """
table inet filter {{
    chain forward {{
        type filter hook forward priority filter; policy drop
        ct state established,related accept
        iifname "viewer" oifname "server" tcp dport 7700 accept
        iifname "viewer" oifname "turn" {protocol} dport 3478 accept
        iifname "turn" oifname "server" udp dport 42000-42015 accept
    }}
}}
"""

# Besides what the page about deployment shows.
PRIVATE = """
listening-ip={relay}
relay-ip={relay}
no-tls
no-dtls
log-file=stdout
simple-log
pidfile={folder}/turnserver.pid
userdb={folder}/turn.sqlite
"""

SECRET = "shared-by-node-and-relay"


def only_signalling(protocol: str) -> str:
    """The router's rules; ``protocol``: "udp" or "tcp", by which the relay is reached."""
    return ONLY_SIGNALLING.format(protocol=protocol)


def command(network: Network, folder: Path) -> list[str]:
    """What runs coturn on the host "turn"; it writes into ``folder`` alone."""
    text = documented("conf", "turnserver.conf")
    for shown, real in {"203.0.113.10": network.address("server"), "CHANGE-ME": SECRET}.items():
        assert shown in text
        text = text.replace(shown, real)
    file = folder / "turnserver.conf"
    file.write_text(text + PRIVATE.format(relay=network.address("turn"), folder=folder))
    return [*network.inside("turn"), "turnserver", "-c", str(file)]


def server_arguments(network: Network, folder: Path) -> list[str]:
    """What tells the server of it."""
    secret = folder / "secret"
    secret.write_text(SECRET + "\n")
    relay = network.address("turn")
    return ["--host", "0.0.0.0", "--turn", f"{relay}:3478", "--turn-secret-file", str(secret)]
