"""Addresses of model servers as `host:port`: all that a confined CLI may reach."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


def address(url: str) -> str:
    """The `host:port` of a URL, or of a bare host; "" where it has none."""
    try:
        parts = urlsplit(url.strip() if "://" in url else f"https://{url.strip()}")
        port = parts.port or _PORTS.get(parts.scheme, 443)
    except ValueError:
        return ""
    host = parts.hostname or ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}" if host else ""


def addresses(env: Mapping[str, str], names: Iterable[str], default: Iterable[str]) -> tuple[str, ...]:
    """The addresses that variables of the environment name; where none does, the default ones."""
    named = [address(env[name]) for name in names if env.get(name)]
    return tuple(dict.fromkeys(found for found in named if found)) or tuple(default)
