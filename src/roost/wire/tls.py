"""Whom clients trust: the certificates of this machine, read once for all of them."""

import os
import ssl
from functools import cache


def trusted(*, env: bool = True) -> ssl.SSLContext:
    """What clients hold certificates against; `env` heeds `SSL_CERT_FILE` and `SSL_CERT_DIR`.

    All who ask share it, since reading hundreds of certificates takes longer than most requests.
    """
    return _read(*(os.environ.get(name, "") if env else "" for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")), env)


@cache
def _read(file: str, folder: str, env: bool) -> ssl.SSLContext:
    import httpx2

    return httpx2.create_ssl_context(trust_env=env)
