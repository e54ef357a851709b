"""Values as text that people read: indented JSON, YAML, TOML."""

from typing import Any

import msgspec


def pretty(value: Any) -> bytes:
    """JSON with two blanks a level."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2)


def yaml(value: Any) -> bytes:
    """YAML."""
    import yaml as library  # loaded by those who ask for it

    text: str = library.safe_dump(msgspec.to_builtins(value), sort_keys=False, allow_unicode=True)
    return text.encode()


def toml(value: Any) -> bytes:
    """TOML; a list at the top stands under `items`."""
    import tomlkit  # loaded by those who ask for it

    plain = msgspec.to_builtins(value)
    return tomlkit.dumps({"items": plain} if isinstance(plain, list) else plain).encode()
