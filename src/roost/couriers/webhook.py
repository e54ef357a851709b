"""A webhook's messages, signed so that their receiver knows who sent them, and when."""

import hashlib
import hmac

HEADER = "Roost-Signature"


def signature(secret: str, raw: bytes, at: int) -> str:
    """The value of the header: `t` is the second, `v1` the HMAC-SHA256 of `t.body`, in hexadecimal."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + raw, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"
