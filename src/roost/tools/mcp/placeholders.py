"""Placeholders in what an agent file says of a tool server: `${env.NAME}`, `${headers.NAME}`, small expressions."""

import re
from collections.abc import Iterator, Mapping

from roost.core import expressions

_HEADER = re.compile(r"\$\{headers\.([A-Za-z0-9_-]+)\}")


class Headers(Mapping[str, str]):
    """Headers of a request, found in any case."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = {name.lower(): value for name, value in headers.items()}

    def __getitem__(self, name: str) -> str:
        return self._headers[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)


def fill(text: str, env: Mapping[str, str], headers: Mapping[str, str] | None = None) -> str:
    """The text with what its templates come to; what is not set leaves nothing, what is no template stays."""
    values: dict[str, object] = {"env": env}
    if headers is not None:
        found = Headers(headers)
        values["headers"] = found
        text = _HEADER.sub(lambda match: _shielded(found.get(match[1], "")), text)
    filled, at = "", 0
    while (start := text.find("${", at)) >= 0:
        filled += text[at:start]
        try:
            expression, end = expressions.parse(text, start + 2)
            filled += expressions.as_text(expressions.evaluate(expression, expressions.Scope(values)))
            at = end
        except expressions.Failed:
            filled, at = filled + "${", start + 2
    return (filled + text[at:]).replace(_MARK, "")


_MARK = "\x00"


def _shielded(value: str) -> str:
    """A header's value, in which nothing is a template: a stranger wrote it."""
    return value.replace(_MARK, "").replace("${", f"${_MARK}{{")
