"""The processes of agent CLIs: listed, looked at, stopped, killed."""

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import anyio
import msgspec
from msgspec import Struct

from roost.core import events as e
from roost.core.errors import BadValue, LaunchFailed, ProcessNotFound, SessionNotFound, SessionNotRunning, Unfinished
from roost.core.ids import RunId
from roost.core.principals import Principal
from roost.core.session import Head
from roost.ports import Process, RunRecord
from roost.service.desk import Desk
from roost.service.fleet import NAMED, SHORTEST

LONGEST_RESULT = 4 << 20  # characters
LONGEST_REASON = 300
TOLD = 5  # reasons that are given where a result does not fit

Stored = Literal["running", "exited", "killed"]
Live = Literal["running", "exited", "killed", "dead"]


class Known(Struct, frozen=True):
    """A process, and whether it lives."""

    record: RunRecord
    status: Stored
    live: Live


class Processes:
    """Looks after the processes of those sessions that a caller may see."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.store

    async def listing(
        self, principal: Principal, *, running: bool = False, provider: str = "", limit: int | None = None
    ) -> Sequence[Known]:
        """The newest first; `running` leaves out what lives no more, `limit` keeps the newest of what is left."""
        records = self._desk.policy.seen(principal, await self._store.runs())
        chosen = [record for record in records if not provider or record.fact.provider == provider]
        known = await anyio.to_thread.run_sync(lambda: [judged(record) for record in chosen])
        found = [one for one in known if not running or one.live == "running"]
        return found if limit is None else found[:limit]

    async def show(self, principal: Principal, process: str) -> Known:
        """One of them.

        Raises:
            BadValue: it can't be an id.
            ProcessNotFound: there is none that this caller may see.
        """
        return judged(await self._record(principal, process))

    async def stop(self, principal: Principal, process: str) -> Known:
        """Ask a process to end (SIGHUP).

        Raises:
            BadValue, ProcessNotFound
            SessionNotRunning: it has ended.
        """
        return await self._signal(await self._record(principal, process), signal.SIGHUP)

    async def kill(self, principal: Principal, process: str, *, result: str | None = None) -> Known:
        """End a process (SIGTERM), with what its session has come to where that is given.

        Raises:
            BadValue, ProcessNotFound
            SessionNotRunning: it has ended.
            Unfinished: the result is not what the session was asked for; nothing is ended.
        """
        record = await self._record(principal, process)
        found = await self._living(record)
        if result is not None:
            await self._check(record, result)
            await self._store.put(record.log, [e.ResultSet(result)], only_if=_present)
        await found.signal(signal.SIGTERM)
        return judged(record)

    async def _record(self, principal: Principal, process: str) -> RunRecord:
        if process == "self":
            raise BadValue("`self` means nothing here: name the process by its id")
        record = await self._store.run(RunId(self._desk.policy.session_id(process)))
        if record is None:
            return await self._begun(principal, process)
        if not self._desk.policy.sees(principal, record.owner):
            raise ProcessNotFound(process)
        return record

    async def _begun(self, principal: Principal, process: str) -> RunRecord:
        """The process whose id begins like that."""
        if len(process) < SHORTEST:
            raise ProcessNotFound(process)
        found = [one for one in await self._store.runs() if one.id.startswith(process)]
        found = list(self._desk.policy.seen(principal, found))
        if not found:
            raise ProcessNotFound(process)
        if len(found) > 1:
            known = ", ".join(one.id for one in found[:NAMED]) + (", …" if len(found) > NAMED else "")
            raise BadValue(f"several processes begin with {process!r}: {known}")
        return found[0]

    async def _signal(self, record: RunRecord, number: int) -> Known:
        await (await self._living(record)).signal(number)
        return judged(record)

    async def _living(self, record: RunRecord) -> Process:
        """The process itself, found by its start time too, so that no stranger is signalled."""
        runs = self._desk.makers.runs
        if runs is None or judged(record).live != "running":
            raise SessionNotRunning("the process has ended")
        fact = record.fact
        try:
            return await runs.adopt(record.id, pid=fact.pid, started=fact.started, boot_id=fact.boot_id)
        except LaunchFailed:
            raise SessionNotRunning("the process has ended") from None

    async def _check(self, record: RunRecord, result: str) -> None:
        """Look whether a result is what the session was asked for."""
        if len(result) > LONGEST_RESULT:
            raise BadValue(f"the result is longer than {LONGEST_RESULT} characters")
        first, *_ = await self._store.page(record.log, after=0, limit=1)
        order = first.fact.order if isinstance(first.fact, e.SessionCreated) else None
        if order is not None and order.json_schema is not None:
            reasons = misfits(result, order.json_schema)
            if reasons:
                raise Unfinished("the result is refused: " + "; ".join(reasons))


def judged(record: RunRecord) -> Known:
    """A process and whether it lives: by its pid and its start time, which no other process shares."""
    if record.ended is not None:
        over: Stored = "killed" if record.ended.killed or record.ended.signal else "exited"
        return Known(record, over, over)
    fact = record.fact
    return Known(record, "running", "running" if lives(fact.pid, fact.started, fact.boot_id) else "dead")


def lives(pid: int, started: int, boot_id: str) -> bool:
    """Whether the process of this pid is the one that was started then."""
    try:
        if boot_id != Path("/proc/sys/kernel/random/boot_id").read_text().strip():
            return False
        _, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    except OSError:
        return False
    fields = rest.split()
    return fields[0] not in "ZX" and int(fields[19]) == started


def misfits(result: str, schema: dict[str, Any]) -> list[str]:
    """Why a result is not what a JSON schema asks for; a fence around it does not count."""
    from jsonschema import Draft202012Validator  # a quarter of the time that a server takes to start

    try:
        value = msgspec.json.decode(unfenced(result))
    except (msgspec.DecodeError, RecursionError):
        return ["it is no JSON"]
    try:
        found = list(Draft202012Validator(plain(schema)).iter_errors(value))
    except Exception as error:  # whatever else may be wrong with a caller's schema
        return [f"the schema can't be used: {error}".splitlines()[0][:LONGEST_REASON]]
    return [f"{error.json_path}: {error.message}"[:LONGEST_REASON] for error in found[:TOLD]]


def plain(schema: Any) -> Any:
    """A schema without patterns, which are regular expressions that can take for ever, and without far references."""
    if isinstance(schema, list):
        return [plain(value) for value in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: plain(value) for key, value in schema.items() if not _left_out(key, value)}


def _left_out(key: str, value: Any) -> bool:
    if key in ("$ref", "$dynamicRef"):
        return not (isinstance(value, str) and value.startswith("#"))
    return key == "patternProperties" or (key in ("pattern", "$id", "$schema") and isinstance(value, str))


def unfenced(text: str) -> str:
    """A text without the fence that models like to put around it."""
    lines = text.strip().splitlines()
    if len(lines) > 1 and lines[0].startswith("```") and lines[-1].strip() == "```":
        return "\n".join(lines[1:-1])
    return text


def _present(head: Head) -> None:
    if head.deleted:
        raise SessionNotFound(head.id)
