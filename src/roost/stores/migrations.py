"""Whose file this is, and the numbered steps that bring it up to date."""

import hashlib
from functools import cache
from importlib import resources
from pathlib import Path

from apsw import Connection
from msgspec import Struct

from roost.core.errors import StoreRefused
from roost.core.ids import Micros
from roost.stores import queries

APPLICATION_ID = 0x526F7374  # "Rost", in the header of each of our files
_MAGIC = b"SQLite format 3\0"


class Migration(Struct, frozen=True):
    """One step."""

    number: int
    name: str
    script: str

    @property
    def checksum(self) -> str:
        """What tells this step from one that was changed afterwards."""
        return hashlib.sha256(self.script.encode()).hexdigest()


@cache
def known() -> tuple[Migration, ...]:
    """All steps, in order: the files `sql/NNNN_name.sql`."""
    steps = []
    for file in (resources.files(__package__) / "sql").iterdir():
        number, _, name = file.name.removesuffix(".sql").partition("_")
        if number.isdigit():
            steps.append(Migration(int(number), name, file.read_text("utf-8")))
    return tuple(sorted(steps, key=lambda step: step.number))


def ours(path: Path) -> bool:
    """Whether a file is free to be used: ours, empty, or not there.  It is only looked at.

    The header is read by hand: opening another program's database could leave files beside it.
    """
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        return True
    return not header or (header.startswith(_MAGIC) and header[68:72] == APPLICATION_ID.to_bytes(4, "big"))


def migrate(db: Connection, now: Micros, steps: tuple[Migration, ...] | None = None) -> None:
    """Bring the file up to date, in one transaction.

    Raises:
        StoreRefused: a newer version has been here, or a step was changed after it had been taken.
    """
    steps = known() if steps is None else steps
    with db:
        db.execute(
            "CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL,"
            " checksum TEXT NOT NULL, at INTEGER NOT NULL) STRICT"
        )
        taken = dict(queries.rows(db, "SELECT number, checksum FROM migrations"))
        _check(taken, steps)
        for step in steps:
            if step.number not in taken:
                for _ in db.execute(step.script):
                    pass
                db.execute("INSERT INTO migrations VALUES (?, ?, ?, ?)", (step.number, step.name, step.checksum, now))


def _check(taken: dict[int, str], steps: tuple[Migration, ...]) -> None:
    checksums = {step.number: step.checksum for step in steps}
    newer = sorted(set(taken) - set(checksums))
    if newer:
        raise StoreRefused(
            f"the database was written by a newer version (it knows migration {newer[-1]}, this one {max(checksums)});"
            " it is left untouched"
        )
    for number, checksum in taken.items():
        if checksums[number] != checksum:
            raise StoreRefused(
                f"migration {number} of the database is not the one this version has; it is left untouched"
            )
