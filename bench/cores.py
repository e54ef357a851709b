"""Which core does what: the server has the first to itself, the load and the model share the others."""

import os

CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
SERVER = CORES[0]
LOAD = CORES[1 % len(CORES)]
MODEL = CORES[2 % len(CORES)] if len(CORES) > 2 else LOAD


def pin(core: int) -> None:
    """Run this process on one core, where the system can say so."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
