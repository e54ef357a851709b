"""Web Push: a message that only one browser can read (RFC 8291, RFC 8188), and who sends it (RFC 8292)."""

import base64
import binascii
import os
import struct
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from roost import private
from roost.core.errors import BadValue

RECORD = 4096  # bytes of one record, which a message has to fit into
LONGEST = 3000  # bytes of a message: with padding and headers it stays below what push services take
PADDED = 512  # lengths are rounded up to this, so that they tell less
CLAIMED = 12 * 3600  # seconds that a statement who we are is good
POINT, SECRET = 65, 16

CURVE = ec.SECP256R1()


def encrypt(
    message: bytes, public: bytes, secret: bytes, *, key: ec.EllipticCurvePrivateKey, salt: bytes, padding: int = 0
) -> bytes:
    """The body for a browser with this point and authentication secret; `key` and `salt` are for this message alone.

    Raises:
        ValueError: the point is none.
    """
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(CURVE, public)
    ours = point(key)
    shared = _derived(key.exchange(ec.ECDH(), theirs), secret, b"WebPush: info\0" + public + ours, 32)
    content = _derived(shared, salt, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derived(shared, salt, b"Content-Encoding: nonce\0", 12)
    head = salt + struct.pack("!IB", RECORD, len(ours)) + ours
    return head + AESGCM(content).encrypt(nonce, message + b"\2" + bytes(padding), None)


def sealed(message: bytes, public: str, secret: str) -> bytes:
    """The body for a browser, as its subscription names point and secret.

    Raises:
        BadValue: they are none, or the message is too long.
    """
    if len(message) > LONGEST:
        raise BadValue(f"a message of {len(message)} bytes is too long to be pushed")
    theirs, known = _bytes(public, POINT, "p256dh"), _bytes(secret, SECRET, "auth")
    key, padding = ec.generate_private_key(CURVE), -len(message) % PADDED
    try:
        return encrypt(message, theirs, known, key=key, salt=os.urandom(16), padding=padding)
    except ValueError:
        raise BadValue("keys.p256dh is no point of P-256") from None


class Sender:
    """The server, as push services know it: by a key that stays the same."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, contact: str) -> None:
        self._key = key
        self._contact = contact or "https://roost.invalid"
        self.public = encoded(point(key))

    def authorization(self, endpoint: str, *, now: float | None = None) -> str:
        """The header that says who sends, to the service of this endpoint alone."""
        place = urlsplit(endpoint)
        claims: dict[str, str | int] = {
            "aud": f"{place.scheme}://{place.netloc}",
            "exp": int((time.time() if now is None else now) + CLAIMED),
            "sub": self._contact,
        }
        parts = ({"typ": "JWT", "alg": "ES256"}, claims)
        signed = b".".join(encoded(msgspec.json.encode(part)).encode() for part in parts)
        r, s = decode_dss_signature(self._key.sign(signed, ec.ECDSA(hashes.SHA256())))
        signature = encoded(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        return f"vapid t={signed.decode()}.{signature}, k={self.public}"


def sender(path: Path, contact: str) -> Sender:
    """The key in a file that only its owner reads; it is made where there is none.

    Raises:
        BadValue: it can't be read or written, or is no such key.
    """
    try:
        if not path.exists():
            fresh = ec.generate_private_key(CURVE)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            private.write(path, fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise BadValue(f"the key for push messages, {path}: {error.strerror or error}") from error
    except (ValueError, TypeError) as error:
        raise BadValue(
            f"{path} is no private key in PEM form: delete it, and browsers have to subscribe again"
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != CURVE.name:
        raise BadValue(f"{path} is no P-256 key: delete it, and browsers have to subscribe again")
    return Sender(key, contact)


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public half, as 65 bytes."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def encoded(raw: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def checked(public: str, secret: str) -> None:
    """Look at the keys of a subscription.

    Raises:
        BadValue: they are none.
    """
    sealed(b"{}", public, secret)


def _bytes(text: str, size: int, what: str) -> bytes:
    try:
        raw = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != size:
        raise BadValue(f"keys.{what} has to be {size} bytes in base64url")
    return raw


def _derived(secret: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    return HKDF(hashes.SHA256(), size, salt, info).derive(secret)
