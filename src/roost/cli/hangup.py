"""The end of whoever reads what we print: a command that follows something for long ends with its reader.

`roost listen ID | head -1` would otherwise be there until the next event, for which nobody waits any more.
"""

import os
import select
import stat
import sys
import threading

BROKEN = 141  # what a shell says of a program that wrote to nobody: 128 and the number of SIGPIPE


def heed() -> None:
    """From now on this process ends when the other end of the pipe that is its stdout is closed."""
    try:
        out = sys.stdout.fileno()
        if stat.S_ISFIFO(os.fstat(out).st_mode):
            threading.Thread(target=_wait, args=(out,), name="hangup", daemon=True).start()
    except (OSError, ValueError):  # stdout is no file
        return


def _wait(out: int) -> None:
    reader = select.poll()
    reader.register(out, 0)  # that the other end is gone is told unasked
    while not any(event & (select.POLLERR | select.POLLNVAL) for _, event in reader.poll()):
        pass
    os._exit(BROKEN)
