"""Texts of an agent file with their placeholders filled in, and what of them must not be seen."""

from collections.abc import Iterator, Mapping

from roost.core import templates
from roost.ports import Place

_SECRET = ("auth", "key", "token", "secret", "cookie", "password", "credential")
_SHORTEST = 6  # characters of a value that is worth covering
COVER = "***"


class Veil:
    """Fills in `${env.NAME}` and `${headers.NAME}`, remembers what it put there, and covers it wherever it turns up."""

    def __init__(self, env: Mapping[str, str], place: Place) -> None:
        self._secrets: set[str] = set()
        self._env = _Watched(env, self._secrets)
        self._headers = _Watched({name.lower(): value for name, value in place.headers.items()}, self._secrets)

    def fill(self, text: str) -> str:
        """The text with its placeholders replaced; those that can't be evaluated stay as they are."""
        return templates.expand(text, self._env, self._headers)

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Headers, filled; those that bear keys are secrets even where they stand in the file."""
        filled = {name: self.fill(str(value)) for name, value in headers.items()}
        for name, value in filled.items():
            if any(word in name.lower() for word in _SECRET):
                self._secrets.update((value, value.rpartition(" ")[2]))
        return {name: value.strip() for name, value in filled.items()}

    def cover(self, text: str) -> str:
        """The text without what was filled in."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            if len(secret) >= _SHORTEST:
                text = text.replace(secret, COVER)
        return text


class _Watched(Mapping[str, str]):
    """Values, and a note of each that was used."""

    def __init__(self, values: Mapping[str, str], used: set[str]) -> None:
        self._values = values
        self._used = used

    def __getitem__(self, name: str) -> str:
        value = self._values[name]
        self._used.add(value)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)
