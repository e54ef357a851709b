"""Which run may call the server from inside, and what it is given for that."""

import hashlib
import hmac
import json
import os
import sys
from functools import cache
from pathlib import Path

from roost import private
from roost.core.ids import RunId
from roost.ports import Outfit

FOLDER = "run"
KEY = "hatch.key"
KEY_BYTES = 32
PROGRAM, ORDERS = "roost-tools.py", "roost-tools.json"
"""Our tool server in a run's folder, and what it is told."""

_START = 'p=$1; shift; [ -x "$p" ] || p=python3; exec "$p" "$@"'
# The interpreter that runs us may not be there in the image of a container; another one will do.


class Hatch:
    """Makes tokens, and knows them again: also after a restart, since the CLIs outlive us.

    A token is the run's id and its MAC under a key of this home.  `path` is where the server listens:
    one place for each database, however many servers work on it.
    """

    def __init__(self, home: Path, database: Path) -> None:
        folder = private.folder(home / FOLDER)
        self._key = _key(folder / KEY)
        digest = hashlib.sha256(os.fsencode(database.absolute())).hexdigest()[:8]
        self.path = folder.absolute() / f"tools-{digest}" / "sock"
        """In a folder of its own, so that a sandbox can be shown it and nothing else."""

    def outfit(self, run: RunId, folder: str) -> Outfit:
        """What opens it to one run."""
        words = [_START, "roost-tools", _interpreter(), "-I", "-S", f"{folder}/{PROGRAM}"]
        orders = {"socket": str(self.path), "token": f"{run}.{self._mac(run)}"}
        return Outfit(
            server={"command": "/bin/sh", "args": ["-c", *words]},
            files={PROGRAM: _program(), ORDERS: json.dumps(orders)},
            endpoint=f"unix:{self.path}",
        )

    def whose(self, token: str) -> RunId | None:
        """The run that a token was made for."""
        run, _, mac = token.rpartition(".")
        known = self._mac(RunId(run)).encode()
        return RunId(run) if hmac.compare_digest(known, mac.encode("utf-8", "replace")) else None

    def _mac(self, run: RunId) -> str:
        return hmac.new(self._key, run.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _key(path: Path) -> bytes:
    """The key, made if it is not there."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(os.urandom(KEY_BYTES))
    except FileExistsError:
        pass
    if len(key := path.read_bytes()) == KEY_BYTES:
        return key
    path.unlink()  # somebody was cut off in the middle of it
    return _key(path)


def _interpreter() -> str:
    """The interpreter behind a virtual environment, which a sandbox shows."""
    name = Path(os.path.realpath(sys.executable)).name
    path = Path(sys.base_prefix) / "bin" / name
    return str(path) if path.exists() else os.path.realpath(sys.executable)


@cache
def _program() -> str:
    return Path(__file__).with_name("program.py").read_text()
