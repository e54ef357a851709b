"""Web Push: the standards' own example, what a browser can read, and what nobody else can."""

import base64
import struct
from pathlib import Path

import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from couriers.reader import Reader
from roost.core.errors import BadValue
from roost.couriers.push import CURVE, LONGEST, checked, encoded, encrypt, point, sealed, sender

POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
"""That of the standard's example."""


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(raw(text), "big"), CURVE)


def test_the_example_of_the_standard_comes_out_byte_for_byte() -> None:
    """RFC 8291, section 5 and appendix A."""
    key = private("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")
    body = encrypt(
        b"When I grow up, I want to be a watermelon",
        raw(POINT),
        raw("BTBZMqHH6r4Tts7J_aSIgg"),
        key=key,
        salt=raw("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert encoded(body) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
        "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
        "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_the_browser_reads_it_and_no_other_does() -> None:
    reader, other = Reader(), Reader()
    body = sealed(b'{"title":"hi"}', reader.public, reader.secret)
    assert reader.read(body) == b'{"title":"hi"}'
    with pytest.raises(InvalidTag):
        other.read(body)
    assert sealed(b'{"title":"hi"}', reader.public, reader.secret) != body


@pytest.mark.parametrize(("one", "two"), [(1, 512), (513, 1024)])
def test_lengths_tell_little(one: int, two: int) -> None:
    reader = Reader()
    sizes = {len(sealed(b"x" * size, reader.public, reader.secret)) for size in (one, two)}
    assert len(sizes) == 1


def test_the_longest_message_fits_into_what_push_services_take() -> None:
    reader = Reader()
    body = sealed(b"x" * LONGEST, reader.public, reader.secret)
    assert len(body) <= 4096
    assert struct.unpack("!I", body[16:20])[0] >= len(body) - 86
    assert reader.read(body) == b"x" * LONGEST
    with pytest.raises(BadValue, match="too long"):
        sealed(b"x" * (LONGEST + 1), reader.public, reader.secret)


@pytest.mark.parametrize(
    ("public", "secret", "what"),
    [
        ("", "", "p256dh"),
        ("AAAA", "x", "p256dh"),
        (encoded(b"\4" + bytes(64)), encoded(bytes(16)), "no point"),
        (POINT, "AAAA", "auth"),
        (POINT, "§§§", "auth"),
        ("é" * 88, encoded(bytes(16)), "p256dh"),
    ],
)
def test_keys_that_are_none_are_refused(public: str, secret: str, what: str) -> None:
    with pytest.raises(BadValue, match=what):
        checked(public, secret)


def test_who_sends_is_signed_for_one_service_and_for_hours(tmp_path: Path) -> None:
    us = sender(tmp_path / "push.pem", "mailto:keeper@roost.example")
    scheme, _, rest = us.authorization("https://push.example:8443/send/abc?x=1", now=1_000_000).partition(" ")
    fields = dict(part.split("=", 1) for part in rest.split(", "))
    head, claims, signature = fields["t"].split(".")
    assert scheme == "vapid"
    assert msgspec.json.decode(raw(head)) == {"typ": "JWT", "alg": "ES256"}
    told = msgspec.json.decode(raw(claims))
    assert told == {"aud": "https://push.example:8443", "exp": 1_043_200, "sub": "mailto:keeper@roost.example"}
    assert fields["k"] == us.public
    signed = raw(signature)
    der = encode_dss_signature(int.from_bytes(signed[:32], "big"), int.from_bytes(signed[32:], "big"))
    key = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, raw(us.public))
    key.verify(der, f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256()))


def test_the_key_stays_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "push.pem"
    assert sender(path, "").public == sender(path, "").public
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("nonsense")
    with pytest.raises(BadValue, match="no private key"):
        sender(path, "")


def test_points_are_written_as_browsers_read_them() -> None:
    assert len(point(ec.generate_private_key(CURVE))) == 65
