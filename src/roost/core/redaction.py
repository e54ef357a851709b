"""Secrets taken out of what people, models and logs see."""

from collections.abc import Collection, Mapping
from typing import Any


class Redactor:
    """Takes secrets out of texts: these very ones, and what looks like one."""

    def __init__(self, secrets: Collection[str] = ()) -> None: ...

    def text(self, text: str) -> str:
        """The text without its secrets."""
        raise NotImplementedError

    def data(self, data: Any) -> Any:
        """JSON data without the secrets in it."""
        raise NotImplementedError


def secrets_of(env: Mapping[str, str]) -> frozenset[str]:
    """The values of those environment variables that look as if they were secret."""
    raise NotImplementedError
