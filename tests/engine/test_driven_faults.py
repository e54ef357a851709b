"""What goes wrong around an agent CLI: disks, neighbours, moments; nothing is lost, doubled or left behind."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
from msgspec.structs import replace

from engine.clis import Server, kinds, play, serving
from roost.core import events as e
from roost.core.errors import StoreFull
from roost.core.ids import LogId, RunId, SessionId, fresh
from roost.core.limits import Limits
from roost.core.messages import Message
from roost.core.orders import Order
from roost.drivers.mock import Mock, MockDialog
from roost.keepers import keeper
from roost.keepers.kept import Kept
from roost.ports import Errand, Input, Launch, Step
from roost.stores.memory import Shelf
from roost.testing.fakes import BrittleStore

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("ended")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roost.engine.run.STOPS_IN", 0.2)


def said(facts: Sequence[e.Fact]) -> list[str]:
    texts = [f.message.content for f in facts if isinstance(f, e.MessageAdded) and f.message]
    return [text for text in texts if text]


def slowly(count: int, seconds: float = 0.02) -> list[dict[str, Any]]:
    """Steps that say so many numbered lines."""
    return [step for n in range(count) for step in ({"sleep_s": seconds}, {"say": f"line {n}"})]


def numbered(count: int) -> list[str]:
    return [f"line {n}" for n in range(count)]


def left(home: Path) -> list[Path]:
    folder = home / "runs"
    return list(folder.iterdir()) if folder.is_dir() else []


async def gone(home: Path) -> None:
    """Return when no folder and no process of any run is there."""
    with anyio.fail_after(10):
        while left(home):
            await anyio.sleep(0.01)


def fails_at(store: BrittleStore, kind: type[e.Fact]) -> None:
    """From the first fact of this kind on, the disk is full."""
    append = store.append

    async def full(log: LogId, facts: Sequence[e.Fact], **how: Any) -> Any:
        store.full = store.full or any(isinstance(fact, kind) for fact in facts)
        return await append(log, facts, **how)

    store.append = full  # type: ignore[method-assign]


async def owed(server: Server, log: LogId) -> None:
    """Return when the session waits for the disk."""
    with anyio.fail_after(20):
        while log not in server.supervisor.owed or server.supervisor.playing(log):
            await anyio.sleep(0.01)


# -- the disk -----------------------------------------------------------------------------------


async def test_a_full_disk_delays_a_cli_and_ends_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, Shelf()) as server:
        log = await server.spawn(play(*slowly(40)))
        await server.until(log, lambda head: head.spoke > 0)
        server.store.full = True
        await owed(server, log)
        await server.house.settle_owed()
        assert log in server.supervisor.owed
        server.store.full = False
        await server.house.settle_owed()
        head = await server.ended(log)
        facts = await server.facts(log)
        await gone(tmp_path)
    assert head.outcome == "normal", head.error
    assert said(facts) == numbered(40)
    assert kinds(facts).count("RunStarted") == 1 and "ErrorMet" not in kinds(facts)
    assert not server.supervisor.owed


@pytest.mark.parametrize("kind", [e.RunStarted, e.TurnStarted, e.ToolCalled, e.WaitOpened, e.RunEnded, e.TurnEnded])
async def test_a_disk_that_is_full_at_any_step_only_delays_it(tmp_path: Path, kind: type[e.Fact]) -> None:
    async with serving(tmp_path, Shelf()) as server:
        append = server.store.append
        fails_at(server.store, kind)
        log = await server.spawn(play({"tool": "Read"}, {"tool_ok": "read"}, {"ask": "Bash"}, {"say": "after"}))
        if kind in (e.RunEnded, e.TurnEnded):
            await approve(server, log)
        await owed(server, log)
        server.store.append, server.store.full = append, False  # type: ignore[method-assign]
        await server.house.settle_owed()
        if kind not in (e.RunEnded, e.TurnEnded):
            await approve(server, log)
        head = await server.ended(log)
        facts = await server.facts(log)
        await gone(tmp_path)
    assert head.outcome == "normal", head.error
    counts = {name: kinds(facts).count(name) for name in ("RunStarted", "ToolCalled", "ToolReturned", "WaitOpened")}
    assert counts == {"RunStarted": 1, "ToolCalled": 2, "ToolReturned": 2, "WaitOpened": 1}
    assert said(facts)[-1] == "after" and kinds(facts)[-1] == "TurnEnded"


async def approve(server: Server, log: LogId) -> None:
    head = await server.until(log, lambda head: bool(head.waits))
    await server.store.put(log, [e.WaitAnswered(head.waits[0].id, e.Answer("approve", "approve"))])


# -- between two steps --------------------------------------------------------------------------


@pytest.mark.parametrize("logged", [False, True])
async def test_a_message_for_a_cli_is_given_once_wherever_a_crash_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged: bool
) -> None:
    shelf = Shelf()
    async with serving(tmp_path, shelf) as server:
        log = await server.spawn("", interactive=True)
        await server.until(log, lambda head: bool(head.provider_session))

        async def fails(self: Kept, *inputs: Input) -> None:
            server.store.full = True
            raise StoreFull("no space left on device")

        if not logged:
            fails_at(server.store, e.MessageTaken)
        with monkeypatch.context() as patched:
            if logged:
                patched.setattr(Kept, "send", fails)
            await server.store.put(log, [e.MessageQueued("followup", (Message("user", "hear this"),))])
            await owed(server, log)
        assert (not (await server.store.head(log)).queue) is logged
    async with serving(tmp_path, shelf, name="two") as server:
        await server.until(log, lambda head: bool(head.turn and head.turn.rounds))
        head = await server.store.head(log)
        assert head.turn is not None
        await server.store.put(log, [e.CancelAsked(head.turn.id)])
        await server.ended(log)
        facts = await server.facts(log)
    seen = kinds(facts)
    assert seen.count("MessageTaken") == 1 and said(facts) == ["hear this"]
    assert seen.index("MessageTaken") < seen.index("MessageAdded")


async def test_a_rule_that_is_taken_back_before_its_answer_was_given_asks_a_person(tmp_path: Path) -> None:
    shelf = Shelf()
    async with serving(tmp_path, shelf) as server:
        log = LogId(fresh())
        template = e.Template(working_dir=str(server.work), permissions=e.Permissions(allow=("Bash",)))
        order = Order("mock", working_dir=str(server.work))
        await server.store.put(log, [e.SessionCreated(template, order=order)])
        append = server.store.append
        fails_at(server.store, e.ToolCalled)
        await server.open(log, play({"ask": "Bash"}, {"say": "after"}))
        await owed(server, log)
        server.store.append, server.store.full = append, False  # type: ignore[method-assign]
        await server.store.put(log, [e.PermissionsSet(e.Permissions())])
        await server.house.settle_owed()
        await approve(server, log)
        head = await server.ended(log)
        facts = await server.facts(log)
    assert head.outcome == "normal", head.error
    assert kinds(facts).count("WaitOpened") == kinds(facts).count("ToolCalled") == 1


@pytest.mark.parametrize("wait", [0, 0.002, 0.005, 0.01, 0.02, 0.04, 0.08])
async def test_a_cancel_while_a_cli_is_adopted_doubles_nothing(tmp_path: Path, wait: float) -> None:
    shelf = Shelf()
    async with serving(tmp_path, shelf) as server:
        log = await server.spawn(play({"flood": 400_000}, {"say": "on it"}, hang=True))
        head = await server.until(log, lambda head: head.spoke > 0)
        shown = kinds(await server.facts(log)).count("StatusShown")
    async with serving(tmp_path, shelf, name="two") as server:
        await anyio.sleep(wait)
        assert head.turn is not None
        await server.store.put(log, [e.CancelAsked(head.turn.id)])
        head = await server.ended(log)
        facts = await server.facts(log)
        await gone(tmp_path)
    assert head.outcome == "canceled"
    assert kinds(facts).count("StatusShown") == shown and said(facts) == ["on it"]


async def test_a_deadline_that_passes_while_no_server_runs_harms_no_run_that_was_quicker(tmp_path: Path) -> None:
    shelf = Shelf()
    async with serving(tmp_path, shelf) as server:
        log = await server.spawn(play({"say": "soon"}, {"sleep_s": 0.1}, exit_code=0), timeout="1s", time_limit=1.0)
        await server.until(log, lambda head: head.spoke > 0)
    await anyio.sleep(1.2)
    async with serving(tmp_path, shelf, name="two") as server:
        head = await server.ended(log)
    assert (head.outcome, head.error) == ("normal", "")


async def test_a_wait_that_is_open_when_the_turn_is_cancelled_is_voided_once(tmp_path: Path) -> None:
    async with serving(tmp_path, Shelf()) as server:
        log = await server.spawn(play({"ask": "Bash"}, {"say": "after"}))
        head = await server.until(log, lambda head: bool(head.waits))
        assert head.turn is not None
        await server.store.put(log, [e.CancelAsked(head.turn.id)])
        await server.ended(log)
        facts = await server.facts(log)
    voided = [fact.wait for fact in facts if isinstance(fact, e.WaitVoided)]
    assert voided == [head.waits[0].id]
    assert kinds(facts).count("ToolReturned") == 1 and "ToolCalled" not in kinds(facts)


@pytest.mark.parametrize("asleep", ["limit", "dependency"])
async def test_a_turn_that_sleeps_ends_when_its_session_is_deleted(tmp_path: Path, asleep: str) -> None:
    async with serving(tmp_path, Shelf()) as server:
        if asleep == "limit":
            log = await server.spawn(play(limit="You have hit your usage limit."))
            await server.until(log, lambda head: bool(head.turn and head.turn.limit))
        else:
            other = await server.spawn(play(hang=True))
            log = await server.spawn("after", depends_on=(other,))
            await server.until(log, lambda head: bool(head.turn and head.turn.started))
        await server.store.put(log, [e.DeleteAsked()])
        head = await server.until(log, lambda head: head.exited)
        facts = await server.facts(log)
    assert kinds(facts)[-2:] == ["TurnEnded", "SessionExited"], kinds(facts)
    assert head.turn is None


async def test_a_session_that_is_deleted_takes_its_cli_with_it(tmp_path: Path) -> None:
    async with serving(tmp_path, Shelf()) as server:
        log = await server.spawn(play({"say": "on it"}, hang=True, ignore_signals=True))
        await server.until(log, lambda head: head.spoke > 0)
        await server.store.put(log, [e.DeleteAsked()])
        await server.until(log, lambda head: head.exited)
        facts = await server.facts(log)
        await gone(tmp_path)
    assert kinds(facts)[-2:] == ["TurnEnded", "SessionExited"]


async def test_a_limit_that_is_not_waited_for_is_an_error(tmp_path: Path) -> None:
    async with serving(tmp_path, Shelf(), limits=Limits(enabled=False)) as server:
        log = await server.spawn(play(limit="You have hit your usage limit."))
        head = await server.ended(log)
        facts = await server.facts(log)
    assert (head.outcome, head.error) == ("error", "You have hit your usage limit.")
    assert kinds(facts).count("LimitHit") == 1


@pytest.mark.parametrize("asked", ["cancel", "delete"])
async def test_what_is_asked_while_no_server_runs_is_done_by_the_next(tmp_path: Path, asked: str) -> None:
    shelf = Shelf()
    async with serving(tmp_path, shelf) as server:
        log = await server.spawn(play({"say": "on it"}, *slowly(100)))
        head = await server.until(log, lambda head: head.spoke > 0)
        await server.supervisor.stop()
        assert head.turn is not None
        await server.store.put(log, [e.CancelAsked(head.turn.id) if asked == "cancel" else e.DeleteAsked()])
    async with serving(tmp_path, shelf, name="two") as server:
        await server.until(log, lambda head: head.exited if asked == "delete" else head.turn is None)
        facts = await server.facts(log)
        await gone(tmp_path)
    ends = ["RunEnded", "TurnEnded"] if asked == "cancel" else ["RunEnded", "TurnEnded", "SessionExited"]
    assert kinds(facts)[-len(ends) :] == ends
    assert said(facts) == ["on it", *numbered(len(said(facts)) - 1)]


async def test_a_message_for_a_cli_that_is_just_ending_is_given_to_the_next(tmp_path: Path) -> None:
    async with serving(tmp_path, Shelf()) as server:
        log = await server.spawn(play({"sleep_s": 0.2}, {"say": "first"}, exit_code=0))
        await server.until(log, lambda head: bool(head.turn and head.turn.run))
        await server.store.put(log, [e.MessageQueued("followup", (Message("user", "and then?"),))])
        head = await server.ended(log)
        facts = await server.facts(log)
        await gone(tmp_path)
    assert head.outcome == "normal", head.error
    assert said(facts) == ["first", "and then?"]
    assert [kinds(facts).count(kind) for kind in ("MessageTaken", "RunStarted", "RunEnded", "TurnEnded")] == [
        1,
        2,
        2,
        1,
    ]


# -- neighbours ---------------------------------------------------------------------------------


async def test_a_run_that_another_server_takes_over_goes_on_there(tmp_path: Path) -> None:
    shelf = Shelf()
    async with serving(tmp_path, shelf) as server, serving(tmp_path, shelf, name="two") as other:
        log = await server.spawn(play(*slowly(30)))
        await server.until(log, lambda head: head.spoke > 0)
        await other.store.take(log, force=True)
        await other.supervisor.wake(log)
        head = await other.ended(log)
        facts = await other.facts(log)
        await gone(tmp_path)
    assert head.outcome == "normal", head.error
    assert said(facts) == numbered(30)
    assert kinds(facts).count("RunStarted") == kinds(facts).count("RunEnded") == 1


async def test_a_cli_ends_when_another_server_has_ended_its_turn(tmp_path: Path) -> None:
    shelf = Shelf()
    async with serving(tmp_path, shelf) as server, serving(tmp_path, shelf, name="two") as other:
        log = await server.spawn(play(*slowly(200)))
        head = await server.until(log, lambda head: head.spoke > 0)
        assert head.turn is not None
        owned = await other.store.take(log, force=True)
        await other.store.append(log, [e.TurnEnded(head.turn.id, "canceled")], epoch=owned.epoch)
        await gone(tmp_path)
        assert kinds(await other.facts(log))[-1] == "TurnEnded"


async def test_a_run_that_was_never_written_down_is_ended_before_its_turn_goes_on(tmp_path: Path) -> None:
    shelf = Shelf()
    async with serving(tmp_path, shelf) as server:
        log = await server.spawn(play({"ask": "Bash"}))
        await server.until(log, lambda head: bool(head.waits))
        assert server.makers.runs is not None
        launch = Launch(argv=("/bin/sleep", "60"), cwd="/", env={})
        await server.makers.runs.start(RunId("forgotten"), SessionId(log), launch)
    async with serving(tmp_path, shelf, name="two") as server:
        assert not (tmp_path / "runs" / "forgotten").exists()
        assert not keeper.relics(str(tmp_path.resolve() / "runs" / "forgotten"))
        await approve(server, log)
        head = await server.ended(log)
    assert head.outcome == "normal", head.error


async def test_a_run_of_which_nothing_is_left_closes_what_it_had_open(tmp_path: Path) -> None:
    shelf = Shelf()
    async with serving(tmp_path, shelf) as server:
        log = await server.spawn(play({"tool": "Bash"}, {"sleep_s": 60}))
        await server.until(
            log, lambda head: bool(head.turn and head.turn.calls and head.turn.calls[0].state == "called")
        )
        (place,) = left(tmp_path)
        keeper.send(keeper.relics(str(place.resolve())), 9)
    shutil.rmtree(place)
    async with serving(tmp_path, shelf, name="two") as server:
        head = await server.ended(log)
        facts = await server.facts(log)
    assert head.outcome == "error" and "nothing is left of this run" in head.error
    assert kinds(facts).count("ToolReturned") == kinds(facts).count("RunEnded") == 1


# -- bad CLIs -----------------------------------------------------------------------------------


class Wayward(Mock):
    """A CLI that is something else."""

    def __init__(self, *argv: str) -> None:
        super().__init__()
        self._argv = argv

    def launch(self, errand: Errand) -> Launch:
        return replace(super().launch(errand), argv=self._argv)


BOTH = """
say() { for line in "$@"; do printf '%s\\n' "$line"; done; }
call() { echo '{"id": "'$1'", "name": "Bash", "input": {}}'; }
read prompt
say '{"type": "init", "session": "s"}' '{"type": "message", "text": "", "calls": ['"$(call a), $(call b)"']}'
say '{"type": "ask", "id": "a"}' '{"type": "ask", "id": "b"}'
read one; say '{"type": "status", "message": "one more"}'; read two
say '{"type": "returned", "id": "b", "ok": true, "output": "B"}'
say '{"type": "returned", "id": "a", "ok": true, "output": "A"}'
say '{"type": "message", "text": "both"}' '{"type": "result", "success": true}'
read end; exit 0
"""


@pytest.mark.parametrize("first", [0, 1])
async def test_two_questions_at_once_are_answered_in_any_order_and_over_a_restart(tmp_path: Path, first: int) -> None:
    shelf = Shelf()
    drivers = {"mock": Wayward("/bin/sh", "-c", BOTH)}
    async with serving(tmp_path, shelf, drivers=drivers) as server:
        log = await server.spawn("go")
        waits = (await server.until(log, lambda head: len(head.waits) == 2)).waits
        await server.store.put(log, [e.WaitAnswered(waits[first].id, e.Answer("approve", "approve"))])
    async with serving(tmp_path, shelf, drivers=drivers, name="two") as server:
        await server.until(log, lambda head: bool(head.turn and any(c.state == "called" for c in head.turn.calls)))
    async with serving(tmp_path, shelf, drivers=drivers, name="three") as server:
        await server.store.put(log, [e.WaitAnswered(waits[1 - first].id, e.Answer("approve", "approve"))])
        head = await server.ended(log)
        facts = await server.facts(log)
    assert head.outcome == "normal", head.error
    started = [fact.call.id for fact in facts if isinstance(fact, e.ToolCalled)]
    assert started == [waits[first].call, waits[1 - first].call]
    assert [f.result.output for f in facts if isinstance(f, e.ToolReturned)] == ["B", "A"] and said(facts) == ["both"]
    assert kinds(facts).count("WaitOpened") == kinds(facts).count("WaitAnswered") == 2
    assert "WaitVoided" not in kinds(facts)


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("exit 0", "ended without a result"),
        ("exit 3", "exited with code 3"),
        ("echo oh no >&2; exit 1", "oh no"),
        ("exec <&-; sleep 0.1; exit 0", "ended without a result"),
        ("printf '\\000\\001\\377garbage\\n{\"type\"'; exit 0", "ended without a result"),
        ("kill -SEGV $$", "SIGSEGV"),
    ],
)
async def test_a_cli_that_makes_no_sense_fails_readably(tmp_path: Path, script: str, error: str) -> None:
    drivers = {"mock": Wayward("/bin/sh", "-c", script)}
    async with serving(tmp_path, Shelf(), drivers=drivers) as server:
        log = await server.spawn("x" * 300_000)
        head = await server.ended(log)
        await gone(tmp_path)
    assert head.outcome == "error" and error in head.error, head.error


async def test_of_a_flood_of_garbage_clients_see_the_beginning(tmp_path: Path) -> None:
    async with serving(tmp_path, Shelf()) as server:
        log = await server.spawn(play(*({"garbage": f"what? {n}"} for n in range(2500)), {"say": "there"}))
        head = await server.ended(log)
        facts = await server.facts(log)
    skipped = [fact for fact in facts if isinstance(fact, e.LineSkipped)]
    assert head.outcome == "normal" and len(skipped) == 1000 and "left out" in skipped[-1].message


async def test_a_line_that_is_cut_is_counted_whole_when_it_is_read_again(tmp_path: Path) -> None:
    shelf = Shelf()
    big = 17 << 20
    async with serving(tmp_path, shelf) as server:
        log = await server.spawn(play({"say": "before"}, {"big_line": big}, *slowly(10)))
        await server.until(log, lambda head: bool(head.turn and head.turn.run and head.turn.run.out > big))
    async with serving(tmp_path, shelf, name="two") as server:
        head = await server.ended(log)
        facts = await server.facts(log)
    assert head.outcome == "normal", head.error
    assert said(facts) == ["before", *numbered(10)]
    assert kinds(facts).count("LineSkipped") == 2


class Deaf(Mock):
    """Takes one message a process."""

    def open(self, errand: Errand) -> MockDialog:
        return DeafDialog(errand)


class DeafDialog(MockDialog):
    def say(self, key: str, text: str) -> Step | None:
        return None


@pytest.mark.parametrize("queue", ["steer", "followup"])
async def test_a_cli_that_takes_no_more_messages_is_resumed_with_them(tmp_path: Path, queue: e.Queue) -> None:
    async with serving(tmp_path, Shelf(), drivers={"mock": Deaf()}) as server:
        log = await server.spawn(play({"sleep_s": 0.2}, {"say": "first"}))
        await server.until(log, lambda head: bool(head.turn and head.turn.run))
        await server.store.put(log, [e.MessageQueued("followup", (Message("user", "one"),))])
        await server.store.put(log, [e.MessageQueued(queue, (Message("user", "two"),))])
        head = await server.ended(log)
        facts = await server.facts(log)
    assert head.outcome == "normal", head.error
    assert said(facts) == ["first", "one", "two"]
    assert kinds(facts).count("RunStarted") == 3 and kinds(facts).count("TurnEnded") == 1
