"""Certificates: the pair that is made, when it is made anew, and what is refused."""

import ipaddress
import socket
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from roost.config import certificates
from roost.config.certificates import DAYS, Pair, context, load, own
from roost.core.errors import BadValue


def leaf(pair: Pair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.cert.read_bytes())


def names(pair: Pair) -> tuple[list[str], list[str]]:
    found = leaf(pair).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return found.get_values_for_type(x509.DNSName), [str(ip) for ip in found.get_values_for_type(x509.IPAddress)]


def test_a_pair_is_made_once(tmp_path: Path) -> None:
    pair = own(tmp_path / "tls", "0.0.0.0")
    assert own(tmp_path / "tls", "0.0.0.0") == pair
    assert own(tmp_path / "tls", "localhost") == pair
    assert own(tmp_path / "tls", "::1") == pair
    assert pair.self_signed
    key = leaf(pair).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert leaf(pair).subject.rfc4514_string() == "CN=roost"
    assert pair.shown.replace(":", "").lower() == pair.fingerprint
    assert ssl.create_default_context(cafile=pair.cert)


def test_its_names_are_those_that_clients_use(tmp_path: Path) -> None:
    dns, addresses = names(own(tmp_path, "build.example"))
    assert dns == list(dict.fromkeys(["localhost", socket.gethostname().lower(), "build.example"]))
    assert addresses == ["127.0.0.1", "::1"]
    assert "10.1.2.3" in names(own(tmp_path, "10.1.2.3"))[1]
    assert "fe80::1" in names(own(tmp_path, "fe80::1%eth0"))[1]
    assert "xn--mnchen-3ya.example" in names(own(tmp_path, "München.example"))[0]


def test_it_lasts_no_longer_than_clients_accept(tmp_path: Path) -> None:
    found = leaf(own(tmp_path, ""))
    assert found.not_valid_after_utc - found.not_valid_before_utc <= timedelta(days=825)


def test_d13_only_its_owner_can_read_the_key(tmp_path: Path) -> None:
    pair = own(tmp_path / "tls", "")
    assert stat.S_IMODE(pair.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(pair.key.parent.stat().st_mode) == 0o700


def test_it_is_made_anew_before_it_ends_and_when_the_host_is_not_in_it(tmp_path: Path) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    first = own(tmp_path, "", now=start)
    assert own(tmp_path, "", now=start + timedelta(days=DAYS - 31)) == first
    second = own(tmp_path, "", now=start + timedelta(days=DAYS - 29))
    assert second.fingerprint != first.fingerprint
    third = own(tmp_path, "new.example", now=start + timedelta(days=DAYS))
    assert third.fingerprint != second.fingerprint
    assert own(tmp_path, "new.example", now=start + timedelta(days=DAYS)) == third
    assert own(tmp_path, "NEW.example", now=start + timedelta(days=DAYS)) == third


def test_a_crash_between_its_halves_is_healed(tmp_path: Path) -> None:
    own(tmp_path / "a", "")
    own(tmp_path / "b", "")
    (tmp_path / "b" / "key.pem").replace(tmp_path / "a" / "key.pem")
    healed = own(tmp_path / "a", "")
    assert load(healed.cert, healed.key) == healed


@pytest.mark.parametrize("missing", ["cert.pem", "key.pem"])
def test_d23_half_a_pair_is_an_error(tmp_path: Path, missing: str) -> None:
    own(tmp_path, "")
    (tmp_path / missing).unlink()
    with pytest.raises(BadValue, match=rf"is there, but {tmp_path}/{missing} is not"):
        own(tmp_path, "")


def test_a_pair_of_somebody_else_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "NAME", "my own")
    theirs = own(tmp_path, "", now=datetime(2001, 1, 1, tzinfo=UTC))
    monkeypatch.undo()
    assert own(tmp_path, "new.example") == theirs
    own(tmp_path / "b", "")
    (tmp_path / "b" / "key.pem").replace(tmp_path / "key.pem")
    with pytest.raises(BadValue, match="does not belong to the certificate"):
        own(tmp_path, "")


def test_the_pair_of_the_original_is_read_where_there_is_none_yet(tmp_path: Path) -> None:
    zag = tmp_path / "zag"
    theirs = own(zag, "zag.example")
    assert own(tmp_path / "a", "0.0.0.0", elsewhere=zag) == theirs
    assert not (tmp_path / "a" / "cert.pem").exists()
    ours = own(tmp_path / "a", "other.example", elsewhere=zag)
    assert ours.cert == tmp_path / "a" / "cert.pem"
    assert own(tmp_path / "a", "0.0.0.0", elsewhere=zag) == ours
    (zag / "key.pem").unlink()
    assert own(tmp_path / "b", "", elsewhere=zag).cert == tmp_path / "b" / "cert.pem"
    old = own(tmp_path / "old", "", now=datetime(2001, 1, 1, tzinfo=UTC))
    assert own(tmp_path / "c", "", elsewhere=old.cert.parent).cert == tmp_path / "c" / "cert.pem"


def test_what_can_not_be_used_is_refused_with_the_reason(tmp_path: Path) -> None:
    pair, other = own(tmp_path / "a", ""), own(tmp_path / "b", "")
    nothing, text = tmp_path / "nothing", tmp_path / "text"
    text.write_text("hello")
    secret = load_pem_private_key(pair.key.read_bytes(), None)
    locked = tmp_path / "locked"
    locked.write_bytes(secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")))
    broken = tmp_path / "broken"
    broken.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    for cert, key, says in (
        (nothing, pair.key, "certificate .*nothing can't be read: No such file"),
        (pair.cert, nothing, "key .*nothing can't be read: No such file"),
        (text, pair.key, "certificate .*text is no certificate in PEM form"),
        (pair.cert, text, "key .*text is no private key in PEM form"),
        (pair.cert, other.key, "does not belong to the certificate"),
        (pair.cert, locked, "key .*locked is encrypted"),
        (pair.cert, broken, "key .*broken can't be used"),
        (tmp_path, pair.key, "certificate .* can't be read: Is a directory"),
    ):
        with pytest.raises(BadValue, match=says):
            load(cert, key)


def test_a_folder_that_can_not_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadValue, match="can't keep a certificate in"):
        own(tmp_path / "file" / "tls", "")


def test_old_tls_is_not_spoken(tmp_path: Path) -> None:
    assert context(own(tmp_path, "")).minimum_version is ssl.TLSVersion.TLSv1_2


def test_the_addresses_are_addresses(tmp_path: Path) -> None:
    for text in names(own(tmp_path, "192.0.2.7"))[1]:
        ipaddress.ip_address(text)
