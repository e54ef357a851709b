"""Safety modes, and the names that they go by."""

import json
from collections.abc import Mapping

from roost.core.errors import BadValue

SAFETY: Mapping[str, str] = {
    "": "",
    "strict": "strict",
    "balanced": "balanced",
    "safer": "balanced",
    "safe-auto": "balanced",
    "restricted": "restricted",
    "autonomous": "autonomous",
    "unsafe": "autonomous",
}


def safety(name: str) -> str:
    """The canonical name of a safety mode.

    Raises:
        BadValue: there is none of this name.
    """
    if name not in SAFETY:
        raise BadValue(f"invalid safety_policy: {json.dumps(name, ensure_ascii=False)}")
    return SAFETY[name]
