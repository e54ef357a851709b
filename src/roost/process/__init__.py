"""Start a program, feed it, stop it and all its children."""

from roost.process.family import MARK, OWNER, lives, mark, owner, sweep, sweep_lost
from roost.process.life import CHUNK, GRACE, LINGER, PAUSE, SHOWN, Ended, Output, attached, run

__all__ = [
    "CHUNK",
    "GRACE",
    "LINGER",
    "MARK",
    "OWNER",
    "PAUSE",
    "SHOWN",
    "Ended",
    "Output",
    "attached",
    "lives",
    "mark",
    "owner",
    "run",
    "sweep",
    "sweep_lost",
]
