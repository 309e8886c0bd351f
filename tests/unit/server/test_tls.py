from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.server.config import ServerConfig
from sanderling.server.tls import Certificate, names_of, prepare_certificate

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NAMES = ("localhost", "127.0.0.1", "fd00::2", "stage.example")


def prepare(state: Path, names: tuple[str, ...] = NAMES, *, now: dt.datetime = NOW) -> Certificate:
    certificate = prepare_certificate(ServerConfig(tls="self-signed", state=str(state)), names, now=now)
    assert certificate is not None
    return certificate


def load(certificate: Certificate) -> x509.Certificate:
    return x509.load_pem_x509_certificate(certificate.certificate.read_bytes())


def test_without_tls_there_is_no_certificate(tmp_path: Path) -> None:
    assert prepare_certificate(ServerConfig(state=str(tmp_path)), NAMES, now=NOW) is None
    assert list(tmp_path.iterdir()) == []


def test_a_self_signed_certificate_covers_every_name(tmp_path: Path) -> None:
    certificate = prepare(tmp_path)
    loaded = load(certificate)
    names = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"localhost", "stage.example"}
    assert {str(address) for address in names.get_values_for_type(x509.IPAddress)} == {"127.0.0.1", "fd00::2"}
    assert loaded.not_valid_after_utc - loaded.not_valid_before_utc == dt.timedelta(days=398)
    assert loaded.not_valid_before_utc <= NOW
    constraints = loaded.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not constraints.ca, "whoever trusts it must not trust what it signs"


def test_the_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    certificate = prepare(tmp_path)
    assert certificate.key.stat().st_mode & 0o777 == 0o600
    assert certificate.key.parent.stat().st_mode & 0o777 == 0o700


def test_the_fingerprint_is_the_sha256_of_the_certificate(tmp_path: Path) -> None:
    certificate = prepare(tmp_path)
    der = load(certificate).public_bytes(serialization.Encoding.DER)
    assert certificate.fingerprint.replace(":", "").lower() == hashlib.sha256(der).hexdigest()
    assert certificate.self_signed


def test_it_is_used_again_while_it_covers_the_names(tmp_path: Path) -> None:
    first = prepare(tmp_path)
    assert prepare(tmp_path) == first
    assert prepare(tmp_path, NAMES[:2], now=NOW + dt.timedelta(days=300)) == first


@pytest.mark.parametrize(
    ("names", "later"),
    [((*NAMES, "192.0.2.9"), 0), (NAMES, 380), (NAMES, 500), (NAMES, -2)],
    ids=["a new address", "about to expire", "expired", "the clock went back"],
)
def test_it_is_made_anew_when_it_no_longer_serves(tmp_path: Path, names: tuple[str, ...], later: int) -> None:
    first = prepare(tmp_path)
    second = prepare(tmp_path, names, now=NOW + dt.timedelta(days=later))
    assert second.fingerprint != first.fingerprint


@pytest.mark.parametrize("file", ["certificate", "key"])
def test_damaged_files_are_replaced(tmp_path: Path, file: str) -> None:
    first = prepare(tmp_path)
    getattr(first, file).write_text("junk")
    assert prepare(tmp_path).fingerprint != first.fingerprint


def test_a_host_name_that_no_certificate_takes_is_left_out(tmp_path: Path) -> None:
    first = prepare(tmp_path, ("my_machine", "bühne", "localhost"))
    assert prepare(tmp_path, ("my_machine", "bühne", "localhost")) == first


def test_own_files_are_used_as_they_are(tmp_path: Path) -> None:
    made = prepare(tmp_path / "made")
    config = ServerConfig(tls=f"{made.certificate},{made.key}", state=str(tmp_path / "state"))
    certificate = prepare_certificate(config, NAMES, now=NOW)
    assert certificate == Certificate(made.certificate, made.key, made.fingerprint, self_signed=False)
    assert not (tmp_path / "state").exists()


def test_files_that_cannot_be_used_are_named_with_the_reason(tmp_path: Path) -> None:
    one, two = prepare(tmp_path / "one"), prepare(tmp_path / "two")
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    encrypted = tmp_path / "encrypted.pem"
    encrypted.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    for certificate, key, reason in [
        (tmp_path / "none.pem", one.key, "no such file"),
        (one.certificate, tmp_path / "none.pem", "no such file"),
        (junk, one.key, "cannot be used"),
        (one.certificate, junk, "cannot be used"),
        (one.certificate, two.key, "mismatch"),
        (one.certificate, encrypted, "encrypted"),
    ]:
        config = ServerConfig(tls=f"{certificate},{key}")
        with pytest.raises(SanderlingError, match=reason) as refused:
            prepare_certificate(config, NAMES, now=NOW)
        assert refused.value.code == ErrorCode.ILLEGAL_PARAMETER
        assert str(certificate) in refused.value.message


def test_a_client_that_trusts_the_file_completes_a_handshake(tmp_path: Path) -> None:
    certificate = prepare(tmp_path, now=dt.datetime.now(dt.UTC))
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate.certificate, certificate.key)
    client_side = ssl.create_default_context(cafile=certificate.certificate)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_side.wrap_bio(to_server, to_client, server_side=True)
    client = client_side.wrap_bio(to_client, to_server, server_hostname="fd00::2")
    done = set()
    while len(done) < 2:
        for side in (client, server):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue


def test_the_names_are_those_of_the_machine_and_the_settings() -> None:
    config = ServerConfig(
        host="0.0.0.0", public_address=("203.0.113.9", "interfaces"), public_url="https://Live.example/x"
    )
    names = names_of(config, "Stage", [ipaddress.ip_address("192.0.2.2")])
    assert names == ("localhost", "127.0.0.1", "::1", "stage", "192.0.2.2", "203.0.113.9", "live.example")
    assert "192.0.2.4" in names_of(ServerConfig(host="192.0.2.4"), "stage", [])
