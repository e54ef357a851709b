"""A certificate authority of one's own: phones trust it once, and it vouches for this server alone.

It lies in `ca.pem` and `ca-key.pem`; what it has signed, in `own-cert.pem` and `own-key.pem`, beside the self-signed
pair, which stays as it is.  By its name constraints it can vouch for nothing but private networks and this machine.
"""

import ipaddress
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from roost import addresses, private
from roost.config import certificates
from roost.config.certificates import EARLY, SLACK, Pair
from roost.core.errors import BadValue

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

YEARS = 10  # that the authority lasts
DAYS = 397  # that what it signs lasts
_NETWORKS = (
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
)
_DOMAINS = ("localhost", "local", "lan", "internal", "home.arpa")


class Authority(Struct, frozen=True):
    """The authority's certificate, and the pair that it vouches for."""

    cert: Path
    key: Path
    pair: Pair
    left_out: tuple[str, ...] = ()  # names that clients may use, and that it may not vouch for

    @property
    def public(self) -> bytes:
        """Its certificate in PEM form, and nothing else that its file may hold."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return certificates.read(self.cert).public_bytes(Encoding.PEM)


def own(folder: Path, host: str, *, also: tuple[str, ...] = (), now: datetime | None = None) -> Authority:
    """Both, made if they are not there.  The pair is replaced before it ends, and as soon as a name is missing in it.

    It covers this machine by name and by the addresses that it has now, `host`, and `also`.

    Raises:
        BadValue: the folder can't be written, or the authority in it can't be used.
    """
    now = now or datetime.now(UTC)
    cert, key = folder / "ca.pem", folder / "ca-key.pem"
    leaf, secret = folder / "own-cert.pem", folder / "own-key.pem"
    try:
        private.folder(folder)
        with certificates.alone(folder):
            if not cert.exists() and not key.exists():
                _make(cert, key, _wanted(host, also), now)
            signer = _Signer(cert, key, now)
            wanted = [name for name in _wanted(host, also) if signer.may(name)]
            if not (leaf.exists() and secret.exists()) or signer.is_due(leaf, secret, wanted):
                signer.sign(leaf, secret, wanted)
            left_out = tuple(name for name in _wanted(host, also) if not signer.may(name))
            return Authority(cert, key, certificates.load(leaf, secret), left_out)
    except OSError as error:
        place = error.filename or folder
        raise BadValue(f"can't keep an authority of our own: {place}: {error.strerror or error}") from error


def _wanted(host: str, also: tuple[str, ...]) -> list[str]:
    """What clients may call this server, as certificates spell it."""
    machine = socket.gethostname().lower()
    named = ["localhost", machine, f"{machine.partition('.')[0]}.local", "127.0.0.1", "::1", *addresses.outward()]
    found: dict[str, None] = {}
    for name in [*named, *(one for one in (host, *also) if one not in addresses.ANYWHERE)]:
        address = certificates.address(name)
        if spelled := str(address) if address is not None else certificates.spelled(name):
            found[spelled] = None
    return list(found)


class _Signer:
    """The authority, at work."""

    def __init__(self, cert: Path, key: Path, now: datetime) -> None:
        # It takes longer to load than a whole command takes that has no use for it.
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        self._now = now
        self._cert = certificates.read(cert)
        try:
            secret = load_pem_private_key(key.read_bytes(), None)
        except (ValueError, TypeError) as error:
            raise BadValue(f"{key} is no private key in PEM form") from error
        certificates.fits(cert, key)
        if now < self._cert.not_valid_before_utc:
            raise BadValue(f"the authority {cert} is not valid yet: set this machine's clock, or delete it and {key}")
        if now >= self._cert.not_valid_after_utc:
            raise BadValue(f"the authority {cert} has expired: delete it and {key}, and install the new one on phones")
        self._key: ec.EllipticCurvePrivateKey = secret  # type: ignore[assignment]

    def may(self, name: str) -> bool:
        """Whether it may vouch for a name or an address."""
        from cryptography import x509

        try:
            limits = self._cert.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
        except x509.ExtensionNotFound:
            return True
        address = certificates.address(name)
        for limit in limits:
            match limit:
                case x509.IPAddress(value=ipaddress.IPv4Network() | ipaddress.IPv6Network() as network):
                    if address is not None and address in network:
                        return True
                case x509.DNSName(value=domain) if address is None and f".{name}".endswith(f".{domain}"):
                    return True
        return False

    def is_due(self, leaf: Path, key: Path, wanted: list[str]) -> bool:
        """Whether another pair has to take the place of this one."""
        try:
            known = certificates.read(leaf)
            known.verify_directly_issued_by(self._cert)
            certificates.fits(leaf, key)
        except Exception:  # another authority's, or half of a pair: whatever is wrong, a new one puts it right
            return True
        valid = known.not_valid_before_utc <= self._now < known.not_valid_after_utc - EARLY
        return not valid or not set(wanted) <= set(certificates.named(known))

    def sign(self, leaf: Path, key: Path, names: list[str]) -> None:
        """A new pair for these names."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID

        secret = ec.generate_private_key(ec.SECP256R1())
        ends = min(self._now + timedelta(days=DAYS), self._cert.not_valid_after_utc)
        theirs = self._cert.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        builder = (
            _builder(secret, "roost", self._now - SLACK, ends)
            .issuer_name(self._cert.subject)
            .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(theirs), critical=False)
        )
        _write(leaf, key, builder.sign(self._key, hashes.SHA256()), secret)


def _make(cert: Path, key: Path, names: list[str], now: datetime) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    secret = ec.generate_private_key(ec.SECP256R1())
    machine = socket.gethostname()[:40]
    usage = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    )
    builder = _builder(secret, f"Roost on {machine}", now - SLACK, now + timedelta(days=365 * YEARS))
    builder = (
        builder.issuer_name(_name(f"Roost on {machine}"))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False),
            critical=True,
        )
        .add_extension(x509.NameConstraints(_permitted(names), None), critical=True)
    )
    _write(cert, key, builder.sign(secret, hashes.SHA256()), secret)


def _permitted(names: list[str]) -> "list[x509.GeneralName]":
    """Private networks and local domains, and what this server is called besides."""
    from cryptography import x509

    domains, networks = list(_DOMAINS), [ipaddress.ip_network(network) for network in _NETWORKS]
    for name in names:
        if (address := certificates.address(name)) is None:
            if not any(f".{name}".endswith(f".{domain}") for domain in domains):
                domains.append(name)
        elif not any(address in network for network in networks):
            networks.append(ipaddress.ip_network(address))
    return [*map(x509.DNSName, domains), *map(x509.IPAddress, networks)]


def _builder(
    secret: "ec.EllipticCurvePrivateKey", called: str, start: datetime, ends: datetime
) -> "x509.CertificateBuilder":
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(_name(called))
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(secret.public_key()), critical=False)
    )


def _name(called: str) -> "x509.Name":
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called)])


def _general(name: str) -> "x509.GeneralName":
    from cryptography import x509

    address = certificates.address(name)
    return x509.DNSName(name) if address is None else x509.IPAddress(address)


def _write(cert: Path, key: Path, signed: "x509.Certificate", secret: "ec.EllipticCurvePrivateKey") -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private.write(key, secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    private.write(cert, signed.public_bytes(Encoding.PEM), mode=0o644)
