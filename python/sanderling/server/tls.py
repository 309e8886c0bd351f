"""The certificate of the HTTPS port: the operator's own, or one made on request and kept in the state folder."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sanderling.errors import ErrorCode, SanderlingError
from sanderling.server.addresses import Address, parse_address
from sanderling.server.config import ServerConfig
from sanderling.server.reach import INTERFACES, SELF_SIGNED
from sanderling.server.storage.sqlite import make_state_folder

__all__ = ["Certificate", "fingerprint", "names_of", "prepare_certificate"]

FOLDER = "tls"
CERTIFICATE = "certificate.pem"
KEY = "key.pem"

VALIDITY = dt.timedelta(days=398)
"""The longest that browsers take (CA/Browser Forum baseline requirements, section 6.3.2)."""
RENEWED_BEFORE = dt.timedelta(days=30)
"""A certificate that ends sooner than this is made anew, so that a server that is seldom restarted does not expire."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Files of a usable certificate. ``fingerprint``: SHA-256 of the certificate itself, ``AA:BB:…``."""

    certificate: Path
    key: Path
    fingerprint: str
    self_signed: bool


def fingerprint(der: bytes) -> str:
    """SHA-256 of a certificate as browsers show it: pairs of hexadecimal digits with colons."""
    return hashlib.sha256(der).digest().hex(":").upper()


def names_of(config: ServerConfig, hostname: str, addresses: Sequence[Address]) -> tuple[str, ...]:
    """Names and addresses that a certificate of this server covers."""
    names = ["localhost", "127.0.0.1", "::1"]
    host = parse_address(config.host.strip("[]"))
    if host is None or not host.is_unspecified:
        names.append(config.host.strip("[]"))
    public = urlsplit(config.public_url).hostname
    names += [hostname, *(str(address) for address in addresses)]
    names += [name for name in config.public_address if name != INTERFACES]
    names += [public] if public else []
    return tuple(dict.fromkeys(_normal(name) for name in names if name))


def prepare_certificate(
    config: ServerConfig, names: Sequence[str], *, now: dt.datetime
) -> Certificate | None:
    """The certificate that ``config.tls`` asks for, None for plain HTTP.

    1000017 with a sentence when a file cannot be used. A self-signed certificate is used again as long as it covers
    ``names`` and is valid for a while; otherwise it is made anew, with a new key and fingerprint.
    """
    if not config.tls:
        return None
    if config.tls == SELF_SIGNED:
        folder = config.state_folder / FOLDER
        certificate, key = folder / CERTIFICATE, folder / KEY
        if not _still_good(certificate, key, names, now):
            make_state_folder(config.state_folder)
            make_state_folder(folder)
            _make(certificate, key, names, now)
    else:
        certificate, key = (Path(part.strip()).expanduser() for part in config.tls.split(",") if part.strip())
    loaded = _check(certificate, key)
    der = loaded.public_bytes(serialization.Encoding.DER)
    return Certificate(certificate, key, fingerprint(der), config.tls == SELF_SIGNED)


def _normal(name: str) -> str:
    address = parse_address(name)
    return str(address) if address is not None else name.lower()


def _check(certificate: Path, key: Path) -> x509.Certificate:
    """Load both as the server will; the key must be the certificate's and not be encrypted."""

    def refuse_password() -> bytes:
        raise ValueError(
            "the key is encrypted; store it without a password, readable by the server's user only"
        )

    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=refuse_password)
    except OSError as error:
        # SSLError is one too: "key values mismatch", "no start line".
        reason = error.reason if isinstance(error, ssl.SSLError) else error.strerror
        place = f" ({error.filename})" if error.filename else ""
        raise _unusable(certificate, key, f"{reason or error}{place}".replace("_", " ").lower()) from None
    except ValueError as error:
        raise _unusable(certificate, key, str(error)) from None
    return loaded


def _unusable(certificate: Path, key: Path, why: str) -> SanderlingError:
    return SanderlingError(
        ErrorCode.ILLEGAL_PARAMETER,
        f"the certificate {certificate} with the key {key} cannot be used: {why}",
        hint="--tls CERT,KEY takes two PEM files; --tls self-signed makes them",
    )


def _still_good(certificate: Path, key: Path, names: Sequence[str], now: dt.datetime) -> bool:
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
        covered = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=b"")
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    known = set(covered.get_values_for_type(x509.DNSName))
    known |= {str(address) for address in covered.get_values_for_type(x509.IPAddress)}
    lasts = loaded.not_valid_before_utc <= now <= loaded.not_valid_after_utc - RENEWED_BEFORE
    return lasts and set(_san_texts(names)) <= known


def _san_texts(names: Sequence[str]) -> list[str]:
    """Names that can stand in a certificate; a host name outside of ASCII or with an underscore is left out."""
    return [
        name
        for name in names
        if parse_address(name) is not None
        or (name.isascii() and name.replace("-", "").replace(".", "").isalnum())
    ]


def _make(certificate: Path, key: Path, names: Sequence[str], now: dt.datetime) -> None:
    secret = ec.generate_private_key(ec.SECP256R1())
    public = secret.public_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sanderling, self-signed")])
    alternatives: list[x509.GeneralName] = []
    for text in _san_texts(names):
        address = parse_address(text)
        alternatives.append(
            x509.IPAddress(ipaddress.ip_address(str(address))) if address is not None else x509.DNSName(text)
        )
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        # An hour early: the clocks of phones are not exact.
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now - dt.timedelta(hours=1) + VALIDITY)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        # Not a CA: whoever trusts this certificate trusts this server alone.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(secret, hashes.SHA256())
    )
    private = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        # The key first: a certificate without its key is made anew at the next start.
        _write(key, private, 0o600)
        _write(certificate, signed.public_bytes(serialization.Encoding.PEM), 0o644)
    except OSError as error:
        raise SanderlingError(
            ErrorCode.ILLEGAL_PARAMETER,
            f"the certificate cannot be written to {certificate.parent}: {error.strerror or error}",
            hint="choose another state folder with --state DIR",
        ) from None


def _write(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all, and never readable by others in between."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
