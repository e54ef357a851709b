"""A program under a keeper, as the server knows it."""

import os
import shutil
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import anyio
import msgspec
from anyio import to_thread

from roost.keepers import keeper
from roost.keepers.growth import Growth
from roost.keepers.inputs import Inputs
from roost.keepers.spool import Spool, Taken
from roost.keepers.watch import Watch, boot
from roost.ports import Exit, Input, Output

HEARD = 3.0  # seconds in which a keeper that is well has heard that its program is to end
ROOM = 45.0  # seconds that a keeper may need beyond the signals: to end what is left, and to tidy up
PATIENCE = 5.0  # seconds of killing what does not go
SMALL = 64 * 1024  # bytes that are read at once, without a thread


class Who(msgspec.Struct, frozen=True):
    """Who is who in a run: what its keeper has written down."""

    keeper: int = 0
    started: int = 0
    boot_id: str = ""
    program: int = 0
    program_started: int = 0
    log_at: int = 0


class Kept:
    """One run (`ports.Process`)."""

    def __init__(self, folder: Path, log: Path, growth: Growth, *, pid: int, started: int, boot_id: str) -> None:
        self._folder = folder
        self._mark = str(folder)
        self._log = log
        self._bells: set[anyio.Event] = set()
        self._pid, self._started, self._boot_id = pid, started, boot_id
        self._here = boot_id == boot()
        self._out = Spool(folder / "out")
        try:
            self._err = Spool(folder / "err")
        except OSError:
            self._out.close()
            raise
        self._inputs = Inputs(folder)
        self._unwatch = [growth.watch(folder / name, self._ring) for name in ("out", "err")]
        self._keeper = Watch(pid if self._here else 0, started, self._ring)
        self._program: Watch | None = None  # watched where the keeper is lost
        self._exit: Exit | None = None
        self._unwanted = False  # it was told to stop
        self._writing = anyio.Lock()
        self.cleared = False

    @property
    def pid(self) -> int:
        """The keeper's."""
        return self._pid

    @property
    def started(self) -> int:
        """When the keeper was started, in clock ticks since boot."""
        return self._started

    @property
    def boot_id(self) -> str:
        """The boot that `started` counts from."""
        return self._boot_id

    # -- reading --

    @property
    def note(self) -> str:
        """What its launch noted."""
        return (self._folder / "note").read_text()

    async def read(self, out: int, err: int) -> Output:
        """What stands behind these offsets, at most about a MiB; waits until there is something or it has ended."""
        bell = anyio.Event()
        self._bells.add(bell)
        try:
            while (output := await self._look(out, err)) is None:
                await bell.wait()
                self._bells.discard(bell)
                self._bells.add(bell := anyio.Event())  # before the look, so that nothing slips in between
            return output
        finally:
            self._bells.discard(bell)

    async def _look(self, out: int, err: int) -> Output | None:
        """What is there now, or None."""
        ended = await self._ending()  # asked first: whatever is written later belongs to the next look
        lines = await self._take(self._out, out, ended is not None)
        errors = await self._take(self._err, err, ended is not None)
        through = ended is not None and lines.through and errors.through
        if not (lines.lines or errors.lines or through):
            return None
        told = ended if through else None
        return Output(lines.lines, errors.lines, lines.offset, errors.offset, told, lines.cut or errors.cut)

    def _ring(self) -> None:
        for bell in self._bells:
            bell.set()

    async def _take(self, spool: Spool, offset: int, final: bool) -> Taken:
        if spool.size - offset <= SMALL:
            return spool.take(offset, final=final)
        return await to_thread.run_sync(lambda: spool.take(offset, final=final))

    async def _ending(self) -> Exit | None:
        """How it ended, once all that wrote the spool is gone."""
        if self._exit is None and self._keeper.gone:
            self._exit = _told(self._folder) or await self._lost()
        return self._exit

    async def _lost(self) -> Exit | None:
        """What there is to say of a program whose keeper went without a word: it may still be at work."""
        if self._here:
            if self._program is None:
                who = self._who()
                self._program = Watch(
                    who.program if who.boot_id == self._boot_id else 0, who.program_started, self._ring
                )
            if not self._program.gone:
                return None
            await to_thread.run_sync(self._end, 0)
        return Exit(killed=self._unwanted)

    def _who(self) -> Who:
        try:
            return msgspec.json.decode((self._folder / "run.json").read_bytes(), type=Who)
        except (OSError, msgspec.DecodeError):
            return Who()

    # -- writing --

    def sent(self) -> Sequence[Input]:
        """All that was ever given to its stdin, the launch's own inputs included, in order."""
        return self._inputs.all()

    async def send(self, *inputs: Input) -> None:
        """Append to its stdin; those whose id was written before are left out."""
        async with self._writing:
            await to_thread.run_sync(self._inputs.add, inputs)

    # -- ending --

    async def signal(self, number: int) -> None:
        """Signal the program, its process group and all of its descendants."""
        if self._here and not self._over():
            await to_thread.run_sync(self._send, number)

    async def stop(self, *, grace: float = 5.0) -> None:
        """SIGINT, after `grace` SIGTERM, after that again SIGKILL, to the whole tree; returns when it is gone.

        The keeper does it, so that it is done to the end where this server isn't.
        """
        if self._over() or not self._here:
            return
        self._unwanted = True
        with anyio.move_on_after(2 * grace + ROOM):
            if await self._ask(grace):
                await self._keeper.wait()
        if not self._over():
            await to_thread.run_sync(self._end, grace)
            if not self._keeper.gone:
                await self._keeper.wait()
            self._exit = await to_thread.run_sync(self._write_exit)

    async def _ask(self, grace: float) -> bool:
        """Ask the keeper to end it; whether it has heard."""
        wish = self._folder / "stop"
        if not self._keeper.gone:
            new = self._folder / "stop.new"
            new.write_text(str(grace))
            new.rename(wish)
            self._keeper.send(signal.SIGTERM)
        with anyio.move_on_after(HEARD):
            while wish.exists() and not self._keeper.gone:  # noqa: ASYNC110  it has no other way to say so
                await anyio.sleep(0.01)
        return not wish.exists()

    def _over(self) -> bool:
        return self._exit is not None or (self._keeper.gone and (self._folder / "exit.json").exists())

    def _send(self, number: int) -> None:
        keeper.send(self._left(), number)

    def _end(self, grace: float) -> None:
        """End the tree without the keeper's help, and at last the keeper itself, where it does not do its part."""
        for number in (signal.SIGINT, signal.SIGTERM) if grace else ():
            self._send(number)
            deadline = monotonic() + grace
            while self._left() and monotonic() < deadline:
                sleep(0.02)
        self._send(signal.SIGKILL)
        deadline = monotonic() + PATIENCE
        while (left := self._left() or keeper.relics(self._mark)) and monotonic() < deadline:
            keeper.send(left, signal.SIGKILL)
            sleep(0.005)

    def _left(self) -> list[keeper.Stat]:
        return keeper.family(self._mark, self._pid if not self._keeper.gone else 0)

    def _write_exit(self) -> Exit:
        """What a keeper that hung would have written."""
        if told := _told(self._folder):
            return told
        killed = Exit(killed=True)
        with suppress(OSError):
            new = self._folder / "exit.new"
            new.write_bytes(msgspec.json.encode(killed))
            new.rename(self._folder / "exit.json")
        return killed

    # -- after the end --

    async def clear(self) -> None:
        """Remove its folder, private files included; the output stays as the session's spawn log."""
        await self.stop(grace=0.5)
        if (told := _told(self._folder)) is None or told.code is None:
            await to_thread.run_sync(self._complete_log)
        self.close()
        self.cleared = True
        await to_thread.run_sync(lambda: shutil.rmtree(self._folder, ignore_errors=True))

    def close(self) -> None:
        """Let go of it: it runs on."""
        for unwatch in self._unwatch:
            unwatch()
        for part in (self._out, self._err, self._keeper, self._program):
            if part is not None:
                part.close()

    def _complete_log(self) -> None:
        """Write what a keeper that was lost has not brought into the log."""
        who = self._who()
        if not who.keeper:
            return
        with suppress(OSError), self._log.open("r+b") as log:
            log.truncate(who.log_at)
            log.seek(0, os.SEEK_END)
            for name in ("out", "err"):
                with (self._folder / name).open("rb") as part:
                    shutil.copyfileobj(part, log)


def _told(folder: Path) -> Exit | None:
    """What the keeper has written down of the end."""
    try:
        return msgspec.json.decode((folder / "exit.json").read_bytes(), type=Exit)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError:
        return Exit()
