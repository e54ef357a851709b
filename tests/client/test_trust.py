"""Whose certificate is taken: the one with the fingerprint, one of an authority, or none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from client.faces import Make
from fakes.api import SID, TOKEN, FakeApi, serving
from roost.client import requests
from roost.client.dial import shown
from roost.client.errors import Refused, Unreachable, Untrusted, colons
from roost.client.server import Server, normal, plain
from roost.core.errors import BadValue


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def api(authority: trustme.CA) -> Iterator[FakeApi]:
    with serving(FakeApi(), tls=authority) as fake:
        yield fake


@pytest.fixture
def ca(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def ask(face: Make, server: Server) -> str:
    return str(face(server).ask(requests.status(SID)).status)


def test_a_stranger_is_not_told_the_token(api: FakeApi, face: Make) -> None:
    with pytest.raises(Untrusted) as error:
        ask(face, Server(api.url, token=TOKEN))
    assert error.value.fingerprint == api.fingerprint
    assert f"roost connect {api.url} --fingerprint {colons(api.fingerprint)}" in str(error.value)
    assert api.seen == []


def test_its_own_fingerprint_is_enough(api: FakeApi, face: Make) -> None:
    assert ask(face, Server(api.url, token=TOKEN, fingerprint=api.fingerprint)) == "running"


def test_another_fingerprint_is_not_and_the_token_stays_here(api: FakeApi, face: Make) -> None:
    with pytest.raises(Untrusted, match="not the one that this connection was made with") as error:
        ask(face, Server(api.url, token=TOKEN, fingerprint="00" * 32))
    assert error.value.fingerprint == api.fingerprint
    assert api.seen == []


def test_an_authority_of_its_own(api: FakeApi, ca: str, face: Make) -> None:
    assert ask(face, Server(api.url, token=TOKEN, ca=ca)) == "running"


def test_another_authority_is_refused(api: FakeApi, tmp_path: Path, face: Make) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with pytest.raises(Untrusted):
        ask(face, Server(api.url, token=TOKEN, ca=str(other)))


def test_a_name_that_is_not_in_the_certificate_is_refused(api: FakeApi, ca: str, face: Make) -> None:
    with pytest.raises(Untrusted, match="hostname mismatch"):
        ask(face, Server(api.url.replace("127.0.0.1", "localhost"), token=TOKEN, ca=ca))


def test_a_file_without_authorities_is_said(api: FakeApi, tmp_path: Path, face: Make) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(BadValue, match="holds no certificates"):
        ask(face, Server(api.url, ca=str(tmp_path / "empty.pem")))


def test_any_certificate_where_that_is_said(api: FakeApi, face: Make) -> None:
    assert ask(face, Server(api.url, token=TOKEN, insecure=True)) == "running"


def test_streams_are_trusted_by_the_same_rule(api: FakeApi, face: Make) -> None:
    pinned = face(Server(api.url, token=TOKEN, fingerprint=api.fingerprint))
    assert [one.seq for one in pinned.stream(SID)][-1] == 9
    with pytest.raises(Untrusted):
        list(face(Server(api.url, token=TOKEN)).stream(SID))
    with pytest.raises(Refused):
        list(face(Server(api.url, token="x", insecure=True)).stream(SID))


def test_what_a_server_shows_can_be_looked_at(api: FakeApi, authority: trustme.CA) -> None:
    assert shown(Server(api.url)) == api.fingerprint


def test_plain_http_behind_an_https_address_is_said(face: Make) -> None:
    with serving(FakeApi()) as fake, pytest.raises(Unreachable, match=r"no TLS there .* begins with http://"):
        ask(face, Server(fake.url.replace("http:", "https:"), insecure=True))


def test_tls_behind_an_http_address_is_said(api: FakeApi, face: Make) -> None:
    there = Server(api.url.replace("https:", "http:"), token=TOKEN)
    with pytest.raises(Unreachable, match="it speaks TLS, and such an address begins with https://"):
        ask(face, there)
    with pytest.raises(Unreachable, match="it speaks TLS"):
        next(iter(face(there).follow(SID, patience=0)))
    assert api.seen == []


@pytest.mark.parametrize(
    "text", ["AB" * 32, ":".join(["ab"] * 32), "sha256:" + "ab" * 32, "SHA-256=" + "AB:" * 31 + "AB"]
)
def test_fingerprints_may_be_written_in_many_ways(text: str) -> None:
    assert plain(text) == "ab" * 32


@pytest.mark.parametrize("text", ["", "ab", "xy" * 32, "ab" * 33])
def test_what_is_no_fingerprint_is_said(text: str) -> None:
    with pytest.raises(BadValue, match="is no SHA-256 fingerprint"):
        plain(text)


def test_an_address_is_made_whole() -> None:
    assert normal(" build.example:2100// ") == "https://build.example:2100"
    assert normal("http://x/") == "http://x"
    assert normal("unix:///run/roost.sock") == "unix:///run/roost.sock"
