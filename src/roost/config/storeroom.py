"""What was fetched from registries, kept on this machine by digest: for when the network is gone."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from roost import private
from roost.config import artifact
from roost.config.references import Reference
from roost.core.errors import AgentBroken

KEPT: Final = 5  # manifests of one reference
FRESH: Final = 3600.0  # seconds in which another program may still be about to name what it has written


class Kept(Struct, frozen=True):
    """An agent file that is here, whole and as it was fetched."""

    reference: str
    digest: str  # of its manifest
    raw: bytes


class Storeroom:
    """A folder of blobs, each under its digest, and of references, each with the digests that it stood for.

    Every method is for a thread: they touch the disk.
    """

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "blobs" / "sha256"
        self._refs = folder / "refs"
        self._lock = threading.Lock()

    def find(self, reference: Reference) -> Kept | None:
        """What is here for a reference; None where nothing is, or where it is no longer what it was."""
        digest = reference.digest or next(iter(self._digests(self._path(str(reference)))), "")
        manifest = self._blob(digest)
        if manifest is None:
            return None
        with suppress(AgentBroken):
            raw = self._blob(artifact.layer(manifest, str(reference)).digest)
            return None if raw is None else Kept(str(reference), digest, raw)
        return None

    def put(self, reference: Reference, manifest: bytes, raw: bytes) -> Kept:
        """Keep what was fetched; of older ones the last few stay.

        Raises:
            OSError: it can't be written.
        """
        digest, path = artifact.digest(manifest), self._path(str(reference))
        with self._lock:
            for content in (raw, manifest):  # the manifest last: whoever finds it finds the file
                private.write(self._blobs / artifact.digest(content).removeprefix("sha256:"), content)
            older = [one for one in self._digests(path) if one != digest]
            self._name(path, reference, [digest, *older][:KEPT])
            self._sweep()
        return Kept(str(reference), digest, raw)

    def hold(self, reference: Reference) -> None:
        """Keep what is here of a digest for its own sake, whatever becomes of the tag that it came with.

        Raises:
            OSError: it can't be written.
        """
        path = self._path(str(reference))
        with self._lock:
            if not path.exists():
                self._name(path, reference, [reference.digest])

    def all(self) -> Iterator[Kept]:
        """Everything that is here and whole, by reference."""
        found: list[tuple[str, str]] = []
        for path in self._refs.glob("*"):
            table = _table(path)
            digests = self._digests(path)
            if digests and isinstance(table.get("reference"), str):
                found.append((table["reference"], digests[0]))
        for reference, digest in sorted(found):
            manifest = self._blob(digest)
            with suppress(AgentBroken):
                raw = self._blob(artifact.layer(manifest, reference).digest) if manifest is not None else None
                if raw is not None:
                    yield Kept(reference, digest, raw)

    def _name(self, path: Path, reference: Reference, digests: list[str]) -> None:
        private.write(path, json.dumps({"reference": str(reference), "digests": digests}).encode())

    def _path(self, reference: str) -> Path:
        return self._refs / hashlib.sha256(reference.encode()).hexdigest()

    def _digests(self, path: Path) -> list[str]:
        """What a reference stood for, the newest first."""
        found = _table(path).get("digests")
        return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []

    def _blob(self, digest: str) -> bytes | None:
        """A content, if it is here and is what its digest says."""
        if not artifact.DIGEST.fullmatch(digest):
            return None
        try:
            content = (self._blobs / digest.removeprefix("sha256:")).read_bytes()
        except OSError:
            return None
        return content if artifact.digest(content) == digest else None

    def _sweep(self) -> None:
        """Remove the blobs that no reference leads to any more."""
        used: set[str] = set()
        for path in self._refs.glob("*"):
            for digest in self._digests(path):
                used.add(digest)
                manifest = self._blob(digest)
                with suppress(AgentBroken):
                    used.add(artifact.layer(manifest, digest).digest if manifest is not None else "")
        for path in self._blobs.glob("*"):
            if f"sha256:{path.name}" not in used and _age(path) > FRESH:
                path.unlink(missing_ok=True)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _table(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return table if isinstance(table, dict) else {}
