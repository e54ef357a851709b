"""Placeholders in texts: `${env.NAME}` and its kin."""

import re
from collections.abc import Mapping
from typing import Any

from roost.core.expressions import Failed, Scope, as_text, evaluate, parse

_DASHED = re.compile(r"\$\{\s*headers\.([A-Za-z0-9_-]*-[A-Za-z0-9_-]*)\s*\}")


def expand(text: str, env: Mapping[str, str], headers: Mapping[str, str] | None = None) -> str:
    """The text with its `${…}` replaced; those that can't be evaluated stay as they are.

    `headers` are those of the request, under lower-case names.
    """
    values: dict[str, Any] = {"env": env}
    if headers is not None:
        values["headers"] = _Folded(headers)
        text = _DASHED.sub(r"${headers['\1']}", text)  # a name with dashes is no subtraction
    scope = Scope(values)
    parts, position = [], 0
    while (start := text.find("${", position)) >= 0:
        parts.append(text[position:start])
        try:
            expression, end = parse(text, start + 2)
            parts.append(as_text(evaluate(expression, scope)))
        except Failed:
            end = start + 2
            parts.append("${")
        position = end
    parts.append(text[position:])
    return "".join(parts)


class _Folded(Mapping[str, str]):
    """Headers, found in any case, and with `_` for `-`.  Only those that are asked for are read."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers
        self._names = {name.lower(): name for name in headers}

    def __getitem__(self, name: str) -> str:
        low = name.lower()
        return self._headers[self._names[low] if low in self._names else self._names[low.replace("_", "-")]]

    def __iter__(self) -> Any:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
