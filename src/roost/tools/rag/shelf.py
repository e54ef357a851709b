"""An index on the disk: the chunks of files and their vectors, in a SQLite file."""

import threading
from array import array
from collections.abc import Collection, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
from msgspec import Struct

APPLICATION = 0x526F5261  # says that a file is ours
VERSION = 1
UNUSED = 90 * 86_400  # seconds after which a collection that nobody has opened goes
_PATIENCE = 10_000  # milliseconds that we wait for another server

_SCHEMA = f"""
CREATE TABLE collection (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    used_at INTEGER NOT NULL
);
CREATE TABLE file (
    id INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collection ON DELETE CASCADE,
    path TEXT NOT NULL,
    stamp TEXT NOT NULL,
    digest BLOB NOT NULL,
    UNIQUE (collection, path)
);
CREATE TABLE chunk (
    file INTEGER NOT NULL REFERENCES file ON DELETE CASCADE,
    number INTEGER NOT NULL,
    content TEXT NOT NULL,
    vector BLOB,
    PRIMARY KEY (file, number)
) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
"""


class NotOurs(Exception):
    """The file is there, and is no index of ours."""


class Known(Struct, frozen=True):
    """A file that is in the index."""

    stamp: str
    digest: bytes


class Chunk(Struct, frozen=True):
    """A piece of a file."""

    path: str
    number: int
    content: str
    vector: "array[float]"


class Shelf:
    """One collection in an index file; `key` says all on which its chunks depend.  Its methods block.

    Raises:
        NotOurs: the file is another program's.
        apsw.Error: it can't be used.
    """

    def __init__(self, path: Path, key: str, *, now: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = apsw.Connection(str(path))
        try:
            self._db.set_busy_timeout(_PATIENCE)
            self._prepare(path)
            self._collection = self._use(key, now)
        except BaseException:
            self._db.close()
            raise

    def _prepare(self, path: Path) -> None:
        try:
            if self._pragma("application_id") != APPLICATION:
                if self._one("SELECT count(*) FROM sqlite_schema"):
                    raise NotOurs(f"{path} is another program's database")
                self._db.execute("PRAGMA journal_mode = WAL")
                with self._transaction():
                    if not self._one("SELECT count(*) FROM sqlite_schema"):  # nobody was faster
                        self._db.execute(_SCHEMA)
            elif self._pragma("user_version") != VERSION:
                raise NotOurs(f"{path} is the index of another version")
        except apsw.NotADBError:
            raise NotOurs(f"{path} is no database") from None
        self._db.execute("PRAGMA foreign_keys = ON")
        self._db.execute("PRAGMA synchronous = NORMAL")

    def _use(self, key: str, now: int) -> int:
        with self._transaction():
            self._db.execute(
                "INSERT INTO collection (key, used_at) VALUES (?1, ?2)"
                " ON CONFLICT (key) DO UPDATE SET used_at = excluded.used_at",
                (key, now),
            )
            self._db.execute("DELETE FROM collection WHERE used_at < ?", (now - UNUSED,))
            return int(self._one("SELECT id FROM collection WHERE key = ?", key))

    # -- reading --------------------------------------------------------------------------------

    def files(self) -> dict[str, Known]:
        """The files that are in it."""
        with self._lock:
            rows = self._db.execute("SELECT path, stamp, digest FROM file WHERE collection = ?", (self._collection,))
            return {path: Known(stamp, digest) for path, stamp, digest in rows}

    def chunks(self) -> list[Chunk]:
        """All of them, by file and number."""
        with self._lock:
            rows = self._db.execute(
                "SELECT path, number, content, vector FROM chunk JOIN file ON file.id = chunk.file"
                " WHERE collection = ? ORDER BY path, number",
                (self._collection,),
            )
            return [Chunk(path, number, content, _vector(blob)) for path, number, content, blob in rows]

    # -- writing --------------------------------------------------------------------------------

    def put(
        self, path: str, known: Known, contents: Sequence[str], vectors: "Sequence[array[float]] | None" = None
    ) -> None:
        """A file with its chunks, in place of what it was."""
        blobs = [vector.tobytes() for vector in vectors] if vectors is not None else [None] * len(contents)
        with self._lock, self._transaction():
            self._db.execute("DELETE FROM file WHERE collection = ? AND path = ?", (self._collection, path))
            self._db.execute(
                "INSERT INTO file (collection, path, stamp, digest) VALUES (?, ?, ?, ?)",
                (self._collection, path, known.stamp, known.digest),
            )
            file = self._db.last_insert_rowid()
            rows = [(file, n, text, blob) for n, (text, blob) in enumerate(zip(contents, blobs, strict=True))]
            self._db.executemany("INSERT INTO chunk (file, number, content, vector) VALUES (?, ?, ?, ?)", rows)

    def touch(self, stamps: Mapping[str, str]) -> None:
        """Files that were written anew, and say the same as before."""
        with self._lock, self._transaction():
            rows = [(stamp, self._collection, path) for path, stamp in stamps.items()]
            self._db.executemany("UPDATE file SET stamp = ? WHERE collection = ? AND path = ?", rows)

    def drop(self, paths: Collection[str]) -> None:
        """Files that are gone."""
        with self._lock, self._transaction():
            rows = [(self._collection, path) for path in paths]
            self._db.executemany("DELETE FROM file WHERE collection = ? AND path = ?", rows)

    def close(self) -> None:
        """Let go of it."""
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Any:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _one(self, query: str, *values: Any) -> Any:
        row = self._db.execute(query, values).fetchone()
        return row[0] if row else None

    def _pragma(self, name: str) -> Any:
        return self._db.pragma(name)


def _vector(blob: bytes | None) -> "array[float]":
    vector = array("f")
    vector.frombytes(blob or b"")
    return vector
