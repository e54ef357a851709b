"""Queries by their names, out of the files in `sql/`, and what they find."""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from apsw import Connection

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def parse(text: str) -> dict[str, str]:
    """The queries of a file, each under the name in the `-- name:` line above it."""
    _, *parts = _NAME.split(text)
    return {name: query.strip() for name, query in zip(parts[::2], parts[1::2], strict=True)}


@cache
def load(file: str) -> Mapping[str, str]:
    """The queries of one file in `sql/`."""
    return parse((resources.files(__package__) / "sql" / f"{file}.sql").read_text("utf-8"))


def rows(db: Connection, query: str, bindings: Any = None) -> list[tuple[Any, ...]]:
    """All that a query finds: no cursor stays open, and no statement half done."""
    return db.execute(query, bindings).fetchall()
