"""An authority of one's own: what it vouches for, what it may not, and when it signs anew."""

import socket
import ssl
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509

from roost import addresses
from roost.config import authority, certificates
from roost.config.authority import DAYS, own
from roost.core.errors import BadValue


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses of this machine: a list that a test may change."""
    found = ["192.168.1.7"]
    monkeypatch.setattr(addresses, "outward", lambda: list(found))
    monkeypatch.setattr(socket, "gethostname", lambda: "Kiwi")
    return found


def names(path: Path) -> list[str]:
    return certificates.named(certificates.read(path))


def test_it_is_made_once_and_vouches_for_this_machine(tmp_path: Path) -> None:
    made = own(tmp_path / "tls", "0.0.0.0")
    assert own(tmp_path / "tls", "0.0.0.0") == made
    assert names(made.pair.cert) == ["localhost", "kiwi", "kiwi.local", "127.0.0.1", "::1", "192.168.1.7"]
    assert made.left_out == ()
    assert not made.pair.self_signed
    for path in (tmp_path / "tls" / "ca-key.pem", made.pair.key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700


def test_the_self_signed_pair_stays_as_it_is(tmp_path: Path) -> None:
    before = certificates.own(tmp_path, "0.0.0.0")
    own(tmp_path, "0.0.0.0")
    assert certificates.own(tmp_path, "0.0.0.0") == before


def shake(made: authority.Authority, name: str) -> None:
    """A TLS handshake with a client that trusts the authority and nobody else.

    Raises:
        SSLError: the client does not like what it sees.
    """
    ours, theirs = socket.socketpair()
    server = certificates.context(made.pair)

    def serve() -> None:
        try:
            server.wrap_socket(theirs, server_side=True).close()
        except OSError:
            theirs.close()

    thread = Thread(target=serve)
    thread.start()
    try:
        client = ssl.create_default_context(cafile=made.cert)
        client.verify_flags |= ssl.VERIFY_X509_STRICT
        client.wrap_socket(ours, server_hostname=name).close()
    finally:
        ours.close()
        thread.join()


@pytest.mark.parametrize("name", ["localhost", "kiwi.local", "192.168.1.7", "127.0.0.1", "::1", "build.example"])
def test_clients_that_trust_it_trust_the_server(tmp_path: Path, name: str) -> None:
    shake(own(tmp_path, "build.example"), name)


@pytest.mark.parametrize("name", ["other.example", "192.168.1.8", "kiwi.example"])
def test_and_no_other(tmp_path: Path, name: str) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(own(tmp_path, "build.example"), name)


def test_even_its_key_can_not_make_it_vouch_for_the_world(tmp_path: Path) -> None:
    made = own(tmp_path, "0.0.0.0")
    signer = authority._Signer(made.cert, tmp_path / "ca-key.pem", datetime.now(UTC))
    signer.sign(made.pair.cert, made.pair.key, ["bank.example", "localhost"])
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        shake(made, "bank.example")


def test_another_address_is_signed_for_at_the_next_start(tmp_path: Path, place: list[str]) -> None:
    before = own(tmp_path, "0.0.0.0")
    place[:] = ["10.0.0.9", "fd00::9"]
    after = own(tmp_path, "0.0.0.0")
    assert {"10.0.0.9", "fd00::9"} <= set(names(after.pair.cert))
    assert after.cert.read_bytes() == before.cert.read_bytes()
    assert after.pair.fingerprint != before.pair.fingerprint
    place[:] = ["fd00::9"]
    assert own(tmp_path, "0.0.0.0").pair == after.pair  # one name too many harms nobody


def test_a_name_that_it_may_not_vouch_for_is_left_out(tmp_path: Path, place: list[str]) -> None:
    own(tmp_path, "0.0.0.0")
    place[:] = ["8.8.4.4"]
    made = own(tmp_path, "0.0.0.0", also=("roost.example",))
    assert made.left_out == ("8.8.4.4", "roost.example")
    assert "8.8.4.4" not in names(made.pair.cert)
    shake(made, "localhost")


def test_what_is_public_at_first_is_permitted(tmp_path: Path, place: list[str]) -> None:
    place[:] = ["8.8.4.4"]
    made = own(tmp_path, "0.0.0.0", also=("roost.example",))
    assert made.left_out == ()
    shake(made, "8.8.4.4")
    shake(made, "roost.example")


def test_the_pair_is_replaced_before_it_ends(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    first = own(tmp_path, "0.0.0.0", now=now)
    assert own(tmp_path, "0.0.0.0", now=now + timedelta(days=DAYS - 32)).pair == first.pair
    later = own(tmp_path, "0.0.0.0", now=now + timedelta(days=DAYS - 29))
    assert later.pair.fingerprint != first.pair.fingerprint
    assert later.pair.ends - now > timedelta(days=DAYS + 300)


def test_half_of_anything_is_put_right_or_refused(tmp_path: Path) -> None:
    made = own(tmp_path, "0.0.0.0")
    made.pair.key.unlink()
    shake(own(tmp_path, "0.0.0.0"), "localhost")
    made.pair.cert.write_text("nonsense")
    shake(own(tmp_path, "0.0.0.0"), "localhost")
    (tmp_path / "ca-key.pem").unlink()
    with pytest.raises(BadValue, match="ca-key"):
        own(tmp_path, "0.0.0.0")
    with pytest.raises(BadValue, match="has expired"):
        own(tmp_path / "old", "0.0.0.0", now=datetime.now(UTC) - timedelta(days=4000))
        own(tmp_path / "old", "0.0.0.0")


def test_it_is_an_authority_and_nothing_else(tmp_path: Path) -> None:
    found = certificates.read(own(tmp_path, "0.0.0.0").cert)
    basic = found.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    assert found.extensions.get_extension_for_class(x509.NameConstraints).critical
    assert "Kiwi" in found.subject.rfc4514_string()


def test_only_its_certificate_is_told(tmp_path: Path) -> None:
    made = authority.own(tmp_path, "")
    made.cert.write_bytes(made.key.read_bytes() + made.cert.read_bytes())
    told = authority.own(tmp_path, "").public
    assert told.count(b"-----BEGIN ") == 1
    assert told.startswith(b"-----BEGIN CERTIFICATE-----")


def test_one_that_was_made_by_a_clock_ahead_is_refused_with_the_reason(tmp_path: Path) -> None:
    authority.own(tmp_path, "", now=datetime.now(UTC) + timedelta(days=400))
    with pytest.raises(BadValue, match="clock"):
        authority.own(tmp_path, "")
