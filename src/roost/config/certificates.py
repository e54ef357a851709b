"""Certificates: those that were given, and the self-signed pair that a server makes for itself."""

import fcntl
import hashlib
import ipaddress
import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from roost import private
from roost.core.errors import BadValue

if TYPE_CHECKING:
    from cryptography import x509

NAME = "roost"
DAYS = 825  # from its first moment to its last: what clients accept at most
EARLY = timedelta(days=30)  # before its end a pair of ours is replaced
SLACK = timedelta(hours=1)  # for clients whose clocks are behind

_ANYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to


class Pair(Struct, frozen=True):
    """A certificate with its key.  `fingerprint` is the SHA-256 of the certificate, in hexadecimal."""

    cert: Path
    key: Path
    fingerprint: str
    self_signed: bool
    ends: datetime

    @property
    def shown(self) -> str:
        """The fingerprint as people compare it."""
        return _colons(self.fingerprint)


def load(cert: Path, key: Path) -> Pair:
    """A pair that lies in two files; the first may hold a chain, the server's certificate first.

    Raises:
        BadValue: one can't be read, is not PEM, or they do not belong together.
    """
    leaf = read(cert)
    fits(cert, key)
    return Pair(
        cert,
        key,
        hashlib.sha256(_der(leaf)).hexdigest(),
        self_signed=leaf.issuer == leaf.subject,
        ends=leaf.not_valid_after_utc,
    )


def own(folder: Path, host: str, *, now: datetime | None = None, elsewhere: Path | None = None) -> Pair:
    """The pair in `folder`, made if it is not there; where it is ours it is replaced before it ends, and as soon as
    it does not cover `host`.  A pair that lies `elsewhere` is taken where there is none yet, if it will do.

    Raises:
        BadValue: there is half a pair, or one that is not ours and can't be used.
    """
    now = now or datetime.now(UTC)
    cert, key = folder / "cert.pem", folder / "key.pem"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with alone(folder):
            found = [path for path in (cert, key) if path.exists()]
            if not found and elsewhere is not None and (other := _usable(elsewhere, host, now)) is not None:
                return other
            if len(found) == 1:
                missing = key if found == [cert] else cert
                raise BadValue(f"{found[0]} is there, but {missing} is not: bring it back, or delete the other too")
            if not found or _is_due(cert, key, host, now):
                _make(cert, key, host, now)
            return load(cert, key)
    except OSError as error:
        raise BadValue(f"can't keep a certificate in {folder}: {error.strerror or error}") from error


def context(pair: Pair) -> ssl.SSLContext:
    """What a server needs to speak TLS, 1.2 or newer, and HTTP/1.1 in it."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    made.load_cert_chain(pair.cert, pair.key)
    return made


def fingerprint(cert: Path) -> str:
    """The SHA-256 of a certificate, as people compare it.

    Raises:
        BadValue: it can't be read.
    """
    return _colons(hashlib.sha256(_der(read(cert))).hexdigest())


def _colons(digest: str) -> str:
    text = digest.upper()
    return ":".join(text[at : at + 2] for at in range(0, len(text), 2))


# -- reading ------------------------------------------------------------------------------------


def read(path: Path) -> "x509.Certificate":
    """The first certificate of a file.

    Raises:
        BadValue: there is none.
    """
    # It takes longer to load than a whole command takes that has no use for it.
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0]
    except OSError as error:
        raise BadValue(f"the TLS certificate {path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise BadValue(f"the TLS certificate {path} is no certificate in PEM form") from error


def fits(cert: Path, key: Path) -> None:
    """Whether TLS can be spoken with them.

    Raises:
        BadValue
    """
    try:
        text = key.read_bytes()
    except OSError as error:
        raise BadValue(f"the TLS key {key} can't be read: {error.strerror}") from error
    if b"PRIVATE KEY-----" not in text:
        raise BadValue(f"the TLS key {key} is no private key in PEM form")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=_refuse)
    except ssl.SSLError as error:
        if "MISMATCH" in (error.reason or ""):
            raise BadValue(f"the TLS key {key} does not belong to the certificate {cert}") from error
        raise BadValue(f"the TLS key {key} can't be used: {error.reason or error}") from error
    except _Encrypted:
        raise BadValue(f"the TLS key {key} is encrypted: only keys without a password can be used") from None


class _Encrypted(Exception):
    """A key asks for a password."""


def _refuse() -> str:
    raise _Encrypted


def _usable(folder: Path, host: str, now: datetime) -> Pair | None:
    """The pair in another folder, if it is whole, valid and covers the host."""
    try:
        pair = load(folder / "cert.pem", folder / "key.pem")
    except BadValue:
        return None
    leaf = read(pair.cert)
    valid = leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc
    return pair if valid and _covers(leaf, host) else None


def _is_due(cert: Path, key: Path, host: str, now: datetime) -> bool:
    """Whether the certificate is one of ours, and another has to take its place."""
    leaf = read(cert)
    if leaf.issuer != leaf.subject or leaf.subject != _subject():
        return False
    if not (leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc - EARLY and _covers(leaf, host)):
        return True
    try:
        fits(cert, key)
    except BadValue:  # a crash came between the two
        return True
    return False


def _covers(leaf: "x509.Certificate", host: str) -> bool:
    """Whether clients find the host in it; all will do for one that is every address."""
    from cryptography import x509

    if host in _ANYWHERE:
        return True
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    if (known := address(host)) is not None:
        return known in names.get_values_for_type(x509.IPAddress)
    return spelled(host) in {name.lower() for name in names.get_values_for_type(x509.DNSName)}


def named(leaf: "x509.Certificate") -> list[str]:
    """The names and addresses that a certificate is for."""
    from cryptography import x509

    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that a host is; None for a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def spelled(name: str) -> str:
    """A host name as certificates spell it; "" where it is none."""
    try:
        return name.lower().encode("idna").decode("ascii")
    except UnicodeError:
        return ""


def _der(leaf: "x509.Certificate") -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return leaf.public_bytes(Encoding.DER)


# -- making -------------------------------------------------------------------------------------


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Two servers that start at once do not make two halves."""
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _subject() -> "x509.Name":
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])


def _make(cert: Path, key: Path, host: str, now: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import ExtendedKeyUsageOID

    secret = ec.generate_private_key(ec.SECP256R1())
    start = now - SLACK
    builder = (
        x509.CertificateBuilder()
        .subject_name(_subject())
        .issuer_name(_subject())
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(secret.public_key()), critical=False)
    )
    signed = builder.sign(secret, hashes.SHA256())
    private.write(key, secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    private.write(cert, signed.public_bytes(Encoding.PEM), mode=0o644)


def _names(host: str) -> "list[x509.GeneralName]":
    """What clients may call this server."""
    from cryptography import x509

    names = ["localhost"]
    addresses = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
    for name in (socket.gethostname(), "" if host in _ANYWHERE else host):
        if (known := address(name)) is not None:
            addresses.append(known)
        elif ascii_name := spelled(name):
            names.append(ascii_name)
    return [
        *(x509.DNSName(name) for name in dict.fromkeys(names)),
        *(x509.IPAddress(one) for one in dict.fromkeys(addresses)),
    ]
