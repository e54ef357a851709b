"""Regular expressions of an agent file: said to be wrong where it is read, and not where it is used."""

import re

from roost.config.complaints import quoted
from roost.config.shapes import Notes, where
from roost.config.yaml import Path


def check(pattern: str, path: Path, notes: Notes) -> None:
    """Complain about one that can't be read."""
    try:
        re.compile(pattern)
    except (re.error, OverflowError) as error:
        notes.bad(path, f"{where(path)}: {quoted(pattern)} is no regular expression: {error}")
    except RecursionError:
        notes.bad(path, f"{where(path)}: {quoted(pattern)} is no regular expression: it is nested too deeply")
