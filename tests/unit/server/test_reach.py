from __future__ import annotations

import ipaddress

import pytest

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.server.addresses import (
    advertised,
    interface_addresses,
    parse_address,
    reachable_hosts,
    url_host,
)
from sanderling.server.config import ServerConfig, load_config
from sanderling.server.reach import parse_networks, parse_prefix, split_list, turn_urls

ADDRESSES = tuple(ipaddress.ip_address(text) for text in ("192.0.2.2", "fd00::2", "127.0.0.1", "::1"))


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"public_address": "no-address"}, "public_address"),
        ({"public_address": "0.0.0.0"}, "public_address"),
        ({"public_address": "224.0.0.1"}, "public_address"),
        ({"public_address": "interfaces"}, "public_address"),
        ({"tls": "yes"}, "tls"),
        ({"tls": "only-one.pem"}, "tls"),
        ({"tls": "a,b,c"}, "tls"),
        ({"trusted_proxies": "10.0.0.1/8"}, "trusted_proxies"),
        ({"trusted_proxies": "proxy.example"}, "trusted_proxies"),
        ({"path_prefix": "/a b"}, "path_prefix"),
        ({"path_prefix": "/a/../b"}, "path_prefix"),
        ({"path_prefix": "//a?b"}, "path_prefix"),
        ({"public_url": "live.example.org"}, "public_url"),
        ({"public_url": "https://user@live.example.org"}, "public_url"),
        ({"public_url": "https://live.example.org/?a=b"}, "public_url"),
        ({"public_url": "https://live.example.org:99999"}, "public_url"),
        ({"turn": "turn.example.org", "turn_secret_file": "f"}, "HOST:PORT"),
        ({"turn": "turn.example.org:3478/x", "turn_secret_file": "f"}, "HOST:PORT"),
        ({"turn": "turn.example.org:3478"}, "turn_secret_file"),
        ({"turn_secret_file": "f"}, "turn"),
        ({"turn_ttl_s": "1"}, "turn_ttl_s"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, str], word: str) -> None:
    environment = {f"SANDERLING_{name.upper()}": value for name, value in settings.items()}
    with pytest.raises(SanderlingError, match=word) as refused:
        load_config(environment=environment)
    assert refused.value.code == ErrorCode.ILLEGAL_PARAMETER


def test_lists_come_with_commas() -> None:
    config = load_config(
        environment={"SANDERLING_PUBLIC_ADDRESS": "203.0.113.9, interfaces", "SANDERLING_TRUSTED_PROXIES": ""}
    )
    assert config.public_address == ("203.0.113.9", "interfaces")
    assert config.trusted_proxies == ()
    assert split_list(["a,b", " c "]) == ["a", "b", "c"]
    assert split_list([]) is None


def test_an_empty_variable_is_as_good_as_none() -> None:
    names = ("PUBLIC_URL", "TLS", "PUBLIC_ADDRESS", "PATH_PREFIX", "TURN")
    assert load_config(environment={f"SANDERLING_{name}": "" for name in names}) == ServerConfig()


@pytest.mark.parametrize(
    ("settings", "proxies"),
    [
        ({}, ()),
        ({"proxy_headers": True}, ("127.0.0.0/8", "::1/128")),
        ({"trusted_proxies": ("10.0.0.0/8",)}, ("10.0.0.0/8",)),
        ({"proxy_headers": True, "trusted_proxies": ("10.0.0.7",)}, ("10.0.0.7",)),
    ],
)
def test_proxies_are_believed_only_when_asked_for(
    settings: dict[str, object], proxies: tuple[str, ...]
) -> None:
    assert ServerConfig(**settings).believed_proxies == proxies  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "prefix"),
    [
        ({}, ""),
        ({"path_prefix": "/"}, ""),
        ({"path_prefix": "live/"}, "/live"),
        ({"path_prefix": "/a/b"}, "/a/b"),
        ({"public_url": "https://example.org/live/"}, "/live"),
        ({"public_url": "https://example.org/live", "path_prefix": "/inner"}, "/inner"),
    ],
)
def test_the_prefix_is_that_of_the_path_or_of_the_public_url(settings: dict[str, str], prefix: str) -> None:
    assert ServerConfig(**settings).prefix == prefix  # type: ignore[arg-type]


def test_networks_and_prefixes() -> None:
    assert [str(network) for network in parse_networks(["192.0.2.1", "fd00::/8"])] == [
        "192.0.2.1/32",
        "fd00::/8",
    ]
    assert parse_prefix("") == ""


@pytest.mark.parametrize(
    ("server", "urls"),
    [
        ("192.0.2.1:3478", ("turn:192.0.2.1:3478?transport=udp", "turn:192.0.2.1:3478?transport=tcp")),
        ("turn:a.example:3478", ("turn:a.example:3478?transport=udp", "turn:a.example:3478?transport=tcp")),
        ("[fd00::1]:3478", ("turn:[fd00::1]:3478?transport=udp", "turn:[fd00::1]:3478?transport=tcp")),
        ("turns:a.example:5349", ("turns:a.example:5349?transport=tcp",)),
    ],
)
def test_turn_urls(server: str, urls: tuple[str, ...]) -> None:
    assert turn_urls(server) == urls


def test_the_interfaces_include_loopback_last_and_nothing_link_local() -> None:
    addresses = interface_addresses()
    assert ipaddress.ip_address("127.0.0.1") in addresses
    assert len(set(addresses)) == len(addresses)
    assert not any(address.is_link_local or address.is_unspecified for address in addresses)
    loopback = [address.is_loopback for address in addresses]
    assert loopback == sorted(loopback)


@pytest.mark.parametrize(
    ("host", "hosts"),
    [
        ("0.0.0.0", ("192.0.2.2", "127.0.0.1")),
        ("::", ("192.0.2.2", "fd00::2", "127.0.0.1", "::1")),
        ("[::]", ("192.0.2.2", "fd00::2", "127.0.0.1", "::1")),
        ("192.0.2.2", ("192.0.2.2",)),
        ("localhost", ("localhost",)),
    ],
)
def test_an_unspecified_host_stands_for_the_interfaces(host: str, hosts: tuple[str, ...]) -> None:
    assert reachable_hosts(host, ADDRESSES) == hosts


def test_public_addresses_replace_or_join_those_of_the_interfaces() -> None:
    assert advertised((), ADDRESSES) == ()
    assert advertised(("203.0.113.9",), ADDRESSES) == ("203.0.113.9",)
    joined = advertised(("203.0.113.9", "interfaces", "192.0.2.2"), ADDRESSES)
    assert joined == ("203.0.113.9", "192.0.2.2", "fd00::2", "127.0.0.1", "::1")


def test_addresses_in_urls_and_in_ipv6_clothes() -> None:
    assert [url_host(host) for host in ("::1", "[::1]", "192.0.2.1", "a.example")] == [
        "[::1]",
        "[::1]",
        "192.0.2.1",
        "a.example",
    ]
    assert str(parse_address("::ffff:192.0.2.7")) == "192.0.2.7"
    assert parse_address("a.example") is None
