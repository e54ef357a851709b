"""How far long work is, on stderr: bars on a terminal, elsewhere a line now and then."""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

from roost.cli import show
from roost.core.errors import RoostError

if TYPE_CHECKING:
    from roost.client.server import Server

SOON = 0.5  # seconds in which work needs no bar
LATER = 3.0  # seconds after which it is worth a line where nobody looks on
PAUSE = 10.0  # seconds between two lines about the same work
ASKING = 0.3  # seconds between two questions to a server
WORDS = {
    "pull": "fetching {}",
    "tools": "starting {}",
    "import": "importing {}",
    "recover": "{}",
    "gc": "{}",
    "install": "downloading {}",
}
_UNITS = ("B", "kB", "MB", "GB")


class Work(Struct, frozen=True):
    """Something that is under way."""

    id: str
    text: str
    done: int = 0
    total: int = 0  # 0: nobody knows
    unit: str = ""
    seconds: float = 0.0  # that it has taken so far


class Painter(Protocol):
    """Shows what is under way."""

    def paint(self, works: Sequence[Work]) -> None:
        """Show these, and nothing else any more."""
        ...

    def close(self) -> None:
        """Show nothing."""
        ...


class Bars:
    """A bar for each, under whatever else is printed; gone when it is over."""

    def __init__(self) -> None:
        self._progress: Any = None
        self._tasks: dict[str, Any] = {}

    def paint(self, works: Sequence[Work]) -> None:
        """See `Painter`."""
        works = [work for work in works if work.seconds >= SOON]
        if not works:
            self.close()
            return
        progress = self._opened()
        for gone in self._tasks.keys() - {work.id for work in works}:
            progress.remove_task(self._tasks.pop(gone))
        for work in works:
            if work.id not in self._tasks:
                self._tasks[work.id] = progress.add_task(work.text, total=None, amount="")
            known = {"total": work.total or None, "completed": work.done, "amount": amount(work)}
            progress.update(self._tasks[work.id], description=work.text, **known)

    def close(self) -> None:
        """See `Painter`."""
        if self._progress is not None:
            self._progress.stop()
        self._progress, self._tasks = None, {}

    def _opened(self) -> Any:
        if self._progress is None:
            # Only a terminal on which something takes long pays for it.
            from rich.console import Console
            from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            self._progress = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                BarColumn(24),
                TextColumn("{task.fields[amount]}", markup=False),
                TimeElapsedColumn(),
                console=Console(stderr=True, highlight=False),
                transient=True,
                redirect_stdout=False,
            )
            self._progress.start()
        return self._progress


class Lines:
    """A line for what takes long, one more every now and then, and one at its end."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[float, Work]] = {}

    def paint(self, works: Sequence[Work]) -> None:
        """See `Painter`."""
        for gone in self._told.keys() - {work.id for work in works}:
            _, work = self._told.pop(gone)
            show.note(f"{work.text}: over")
        for work in works:
            told, _ = self._told.get(work.id, (0.0, work))
            if work.seconds - told >= (PAUSE if told else LATER):
                show.note(f"{work.text} … {amount(work)}".rstrip())
                told = work.seconds
            if told:
                self._told[work.id] = told, work

    def close(self) -> None:
        """See `Painter`."""
        self._told.clear()


def painter() -> Painter:
    """What suits stderr."""
    return Bars() if sys.stderr.isatty() and not show.quiet() else Lines()


def amount(work: Work) -> str:
    """How much of it is done: "3 of 12 turns", "1.2 of 3.4 MB", or what is known of that."""
    if work.unit == "bytes":
        return size(work.done, work.total)
    if work.total:
        return f"{work.done} of {work.total} {work.unit}".rstrip()
    return f"{work.done} {work.unit}" if work.done else ""


def size(done: int, total: int) -> str:
    """Bytes, as people count them."""
    largest, power = max(done, total), 0
    while largest >= 1000 and power < len(_UNITS) - 1:
        largest, power = largest // 1000, power + 1
    form = "{:.0f}" if power == 0 else "{:.1f}"
    parts = [form.format(count / 1000**power) for count in ((done, total) if total else (done,))]
    return f"{' of '.join(parts)} {_UNITS[power]}"


def worded(what: str, title: str) -> str:
    """What is done, in a few words."""
    return WORDS.get(what, f"{what}: {{}}").replace("{}", show.short(title, 60))


# -- of a server elsewhere ----------------------------------------------------------------------


@contextmanager
def following(server: "Server", what: str, text: str) -> Iterator[None]:
    """While a request takes its time, show how far the server's work of this kind is."""
    over, drawn = threading.Event(), painter()
    asking = threading.Thread(target=_ask, args=(server, what, text, drawn, over), name="progress", daemon=True)
    asking.start()
    try:
        yield
    finally:
        over.set()
        asking.join(2.0)


def _ask(server: "Server", what: str, text: str, drawn: Painter, over: threading.Event) -> None:
    from roost.client.blocking import Blocking  # a server shows its own work without it

    started, client = time.monotonic(), Blocking(server)
    whole = Work("whole", text)
    try:
        while not over.wait(ASKING):
            seconds = time.monotonic() - started
            found = []
            with suppress(RoostError):  # the request itself will say what is wrong
                found = [job for job in client.jobs() if job.what == what and not job.ended_at]
            works = [Work("whole", worded(job.what, job.title), job.done, job.total, job.unit) for job in found[:1]]
            [now] = works or [whole]
            drawn.paint([Work(now.id, now.text, now.done, now.total, now.unit, seconds)])
    finally:
        drawn.close()
        client.close()
