"""What only the SQLite store promises: groups, disks that refuse, files that are not ours."""

import re
import stat
import subprocess
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import anyio
import apsw
import apsw.ext
import pytest
from msgspec.structs import replace

from roost.core import events as e
from roost.core.errors import Duplicate, NotOwner, SessionNotFound, StoreFull, StoreRefused
from roost.core.ids import AnswerId, Epoch, LogId, Micros, RunId, ServerId, TurnId, WaitId
from roost.core.messages import Definition, Message
from roost.core.remarks import REMARKS
from roost.core.session import fold
from roost.stores import migrations, queries
from roost.stores.sqlite import LOG_BOUND, Sqlite, open_sqlite, ours
from roost.stores.turnstile import Turnstile

pytestmark = pytest.mark.anyio

LOG = LogId("log")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "roost.db"


class Told:
    """What a store has told."""

    def __init__(self) -> None:
        self.grown: list[tuple[LogId, int]] = []
        self.fatal: list[BaseException] = []

    def on_grown(self, log: LogId, events: Sequence[e.Event]) -> None:
        self.grown.append((log, len(events)))


@pytest.fixture
def told() -> Told:
    return Told()


def opened(path: Path, told: Told | None = None, server: str = "a") -> Any:
    told = told or Told()
    return open_sqlite(
        path, server=ServerId(server), now=lambda: Micros(1), grown=told.on_grown, fatal=told.fatal.append
    )


@pytest.fixture
async def store(path: Path, told: Told) -> AsyncIterator[Sqlite]:
    async with opened(path, told) as store:
        yield store


def text(words: str) -> e.TextAdded:
    return e.TextAdded(AnswerId("a"), words)


async def born(store: Sqlite, log: LogId = LOG) -> Epoch:
    await store.put(log, [e.SessionCreated(e.Template())])
    return (await store.take(log)).epoch


class Gate:
    """Keeps the writer from its next commit, as another server's long one would."""

    def __init__(self, path: Path) -> None:
        self._turnstile = Turnstile(path)
        self._turnstile.__enter__()

    def open(self) -> None:
        self._turnstile.close()


# -- groups -------------------------------------------------------------------------------------


async def test_what_came_meanwhile_is_committed_together(store: Sqlite, path: Path, told: Told) -> None:
    epoch = await born(store)
    stale = Epoch(epoch - 1)
    refused: list[int] = []
    told.grown.clear()

    async def write(count: int) -> None:
        try:
            await store.append(LOG, [e.TitleSet(str(count))], epoch=stale if count % 4 == 3 else epoch)
        except NotOwner:
            refused.append(count)

    gate = Gate(path)
    async with anyio.create_task_group() as tasks:
        for count in range(40):
            await store.post(LOG, [text("x")], epoch=epoch)
            tasks.start_soon(write, count)
        await anyio.wait_all_tasks_blocked()
        assert told.grown == []
        gate.open()
    assert len(told.grown) <= 2  # at most one commit was under way already
    assert sum(count for _, count in told.grown) == 70
    assert refused == list(range(3, 40, 4))
    events = await store.page(LOG, after=0, limit=1000)
    assert [event.seq for event in events] == list(range(1, 72))
    assert fold(events) == await store.head(LOG)


async def test_post_waits_only_at_the_bound(store: Sqlite, path: Path) -> None:
    epoch = await born(store)
    await born(store, LogId("other"))
    chunk = "x" * (LOG_BOUND // 4)
    gate = Gate(path)
    through: list[int] = []

    async def post(count: int) -> None:
        await store.post(LOG, [text(chunk)], epoch=epoch)
        through.append(count)

    async with anyio.create_task_group() as tasks:
        for count in range(6):
            tasks.start_soon(post, count)
        await anyio.wait_all_tasks_blocked()
        assert through == [0, 1, 2]
        await store.post(LogId("other"), [text(chunk)], epoch=Epoch(1))  # another log is not held up
        gate.open()
    assert sorted(through) == list(range(6))
    assert (await store.append(LOG, [], epoch=epoch)).head.last_seq == 7


async def test_one_who_breaks_the_group_spares_the_others(store: Sqlite, path: Path) -> None:
    await born(store)
    ledger = store._writer._ledger
    project = ledger.project
    ended: dict[str, bool] = {}

    def buggy(row: Any, *more: Any) -> None:
        if row.log == "bad":
            raise RuntimeError("a bug")
        project(row, *more)

    async def write(name: str, log: str, fact: e.Fact) -> None:
        try:
            await store.put(LogId(log), [fact])
            ended[name] = True
        except RuntimeError:
            ended[name] = False

    ledger.project = buggy
    gate = Gate(path)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(write, "before", LOG, e.Warned("1"))
        tasks.start_soon(write, "bad", "bad", e.SessionCreated(e.Template()))
        tasks.start_soon(write, "after", LOG, e.Warned("2"))
        await anyio.wait_all_tasks_blocked()
        gate.open()
    assert ended == {"before": True, "bad": False, "after": True}
    assert [event.seq for event in await store.page(LOG, after=0, limit=9)] == [1, 2, 3]
    with pytest.raises(SessionNotFound):
        await store.head(LogId("bad"))


# -- disks that refuse --------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system is not permitted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


async def fill(store: Sqlite, epoch: Epoch) -> int:
    """Write until it is refused; the seq that was reached."""
    reached = 0
    with pytest.raises(StoreFull):
        for _ in range(1000):
            reached = (await store.append(LOG, [e.Warned("x" * 10_000)], epoch=epoch)).head.last_seq
    return reached


async def test_a_full_disk_refuses_and_a_disk_with_room_takes_again(small_disk: Path, told: Told) -> None:
    async with opened(small_disk / "roost.db", told) as store:
        epoch = await born(store)
        reached = await fill(store, epoch)
        assert reached > 5
        with pytest.raises(StoreFull):
            await store.append(LOG, [e.Warned("x" * 10_000)], epoch=epoch)
        assert len(await store.page(LOG, after=0, limit=1000)) == reached
        subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
        await store.probe()
        committed = await store.append(LOG, [e.TitleSet("there is room")], epoch=epoch)
        assert committed.events[0].seq == reached + 1
        assert fold(await store.page(LOG, after=0, limit=1000)) == await store.head(LOG)
        assert told.fatal == []


async def test_a_file_that_may_not_grow(store: Sqlite, told: Told) -> None:
    epoch = await born(store)
    db = store._writer._db
    db.pragma("max_page_count", db.pragma("page_count") + 30)
    reached = await fill(store, epoch)
    db.pragma("max_page_count", 1 << 30)
    committed = await store.append(LOG, [e.TitleSet("again")], epoch=epoch)
    assert committed.events[0].seq == reached + 1
    assert told.fatal == []


async def test_a_post_that_was_lost_is_told_by_the_next_append(store: Sqlite) -> None:
    epoch = await born(store)
    store._writer._db.pragma("query_only", True)
    await store.post(LOG, [text("lost")], epoch=epoch)
    with pytest.raises(StoreFull):
        await store.probe()
    store._writer._db.pragma("query_only", False)
    await store.post(LOG, [text("would leave a hole")], epoch=epoch)
    with pytest.raises(StoreFull):
        await store.append(LOG, [e.MessageAdded(Message("assistant", "lost"))], epoch=epoch)
    await store.probe()
    await store.append(LOG, [e.TurnEnded(TurnId("t"), "error")], epoch=epoch)
    assert [e.kind(event.fact) for event in await store.page(LOG, after=0, limit=9)] == ["SessionCreated", "TurnEnded"]


class Sick(apsw.VFS):
    """A file system whose fsync fails when it is told to."""

    def __init__(self) -> None:
        self.failing = False
        super().__init__("sick", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: Any) -> apsw.VFSFile:
        return SickFile(self, name, flags)


class SickFile(apsw.VFSFile):
    def __init__(self, vfs: Sick, name: Any, flags: Any) -> None:
        self._sick = vfs
        super().__init__("unix", name, flags)

    def xSync(self, flags: int) -> None:
        if self._sick.failing:
            raise apsw.IOError("the disk is gone")
        super().xSync(flags)


async def test_a_failing_fsync_is_fatal(path: Path, told: Told) -> None:
    vfs = Sick()
    try:
        async with opened(path, told) as store:
            epoch = await born(store)
            vfs.failing = True
            for _ in range(2):
                with pytest.raises(StoreFull):
                    await store.append(LOG, [e.TitleSet("t")], epoch=epoch)
            assert [type(error) for error in told.fatal] == [apsw.IOError]
            vfs.failing = False
            with pytest.raises(StoreFull):  # nobody knows what is on the disk: nothing is written any more
                await store.append(LOG, [e.TitleSet("t")], epoch=epoch)
    finally:
        vfs.unregister()


# -- whose file it is ---------------------------------------------------------------------------


async def test_another_programs_database_is_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "session.db"
    with apsw.Connection(str(path)) as db:
        db.execute("CREATE TABLE theirs (a)")
    db.close()
    before = path.read_bytes()
    assert not ours(path)
    with pytest.raises(StoreRefused, match="not a Roost database"):
        async with opened(path):
            pass
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["session.db"]


async def test_what_is_no_database_is_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("milk, bread, eggs")
    with pytest.raises(StoreRefused):
        async with opened(path):
            pass
    assert path.read_text() == "milk, bread, eggs"


async def test_an_empty_file_is_free_to_be_used(tmp_path: Path) -> None:
    path = tmp_path / "roost.db"
    path.touch()
    assert ours(path)
    async with opened(path) as store:
        await born(store)
    assert ours(path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("INSERT INTO migrations VALUES (9999, 'tomorrow', '', 0)", "newer version"),
        ("UPDATE migrations SET checksum = 'x' WHERE number = 1", "migration 1"),
    ],
)
async def test_a_newer_or_changed_schema_is_refused(path: Path, change: str, complaint: str) -> None:
    async with opened(path):
        pass
    db = apsw.Connection(str(path))
    db.execute(change)
    db.close()
    with pytest.raises(StoreRefused, match=complaint):
        async with opened(path):
            pass


async def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreRefused):
        async with opened(tmp_path / "file" / "roost.db"):
            pass


async def test_a_name_can_be_held_once(path: Path, store: Sqlite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("roost.stores.servers._PATIENCE", 0)
    with pytest.raises(StoreRefused, match="running on this database already"):
        async with opened(path, server="a"):
            pass
    with pytest.raises(StoreRefused, match="can't be a server's id"):
        async with opened(path, server="../a"):
            pass


async def test_files_are_for_their_owner_alone(path: Path, store: Sqlite) -> None:
    await born(store)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    for file in path.parent.rglob("*"):
        assert stat.S_IMODE(file.stat().st_mode) == (0o700 if file.is_dir() else 0o600), file


async def test_the_cost_of_an_fsync_is_known(store: Sqlite) -> None:
    assert 0 < store.fsync < 5


# -- steps and queries --------------------------------------------------------------------------


def test_steps_are_taken_once_and_in_order() -> None:
    db = apsw.Connection(":memory:")
    first = migrations.Migration(1, "one", "CREATE TABLE one (a); INSERT INTO one VALUES (1)")
    second = migrations.Migration(2, "two", "INSERT INTO one VALUES (2)")
    migrations.migrate(db, Micros(1), (first,))
    migrations.migrate(db, Micros(2), (first, second))
    migrations.migrate(db, Micros(3), (first, second))
    assert db.execute("SELECT a FROM one").fetchall() == [(1,), (2,)]
    assert db.execute("SELECT number, at FROM migrations").fetchall() == [(1, 1), (2, 2)]


def test_an_older_file_gets_its_runs_listed() -> None:
    db = apsw.Connection(":memory:")
    migrations.migrate(db, Micros(1), migrations.known()[:1])
    db.execute("INSERT INTO sessions (n, id) VALUES (1, 'log')")
    started = e.RunStarted(RunId("r1"), 7, 8, "boot", "claude")
    for seq, fact in enumerate([started, replace(started, run=RunId("r2")), e.RunEnded(RunId("r1"), 0)], 1):
        db.execute("INSERT INTO events VALUES (1, ?, ?, ?, 0, ?)", (seq, seq * 10, e.kind(fact), e.encode(fact)))
    migrations.migrate(db, Micros(2))
    found = db.execute("SELECT id, seq, started_at, end_seq, ended_at FROM runs ORDER BY seq").fetchall()
    assert found == [("r1", 1, 10, 3, 30), ("r2", 2, 20, None, None)]


def test_a_step_that_fails_leaves_nothing() -> None:
    db = apsw.Connection(":memory:")
    with pytest.raises(apsw.SQLError):
        migrations.migrate(db, Micros(1), (migrations.Migration(1, "bad", "CREATE TABLE one (a); nonsense"),))
    assert not db.table_exists("main", "one") and not db.table_exists("main", "migrations")


@pytest.mark.parametrize("file", ["read", "write"])
def test_every_query_fits_the_schema(file: str) -> None:
    db = apsw.Connection(":memory:")
    migrations.migrate(db, Micros(1))
    found = queries.load(file)
    assert len(found) > 5
    for query in found.values():
        assert apsw.ext.query_info(db, query, explain_query_plan=False).query_remaining is None


def test_messages_and_pages_are_read_through_their_indexes() -> None:
    db = apsw.Connection(":memory:")
    migrations.migrate(db, Micros(1))

    def plan(name: str, *bindings: Any) -> str:
        rows = db.execute("EXPLAIN QUERY PLAN " + queries.load("read")[name], bindings).fetchall()
        return " / ".join(str(row[-1]) for row in rows)

    assert "events_messages (log=? AND seq>?)" in plan("messages", "log", 0)
    assert "events USING PRIMARY KEY (log=? AND seq>?)" in plan("page", "log", 0, 10)
    assert "sessions_touched" in plan("listing", 0)
    assert "waits_open" in plan("open_waits")
    assert "sessions_touched" in plan("heads", 0)
    assert "runs_age" in plan("all_runs")
    assert "runs_log (log=?)" in plan("runs", "log")
    assert "SCAN" not in plan("unsettled").replace("SCAN sessions USING INDEX sessions_in_turn", "").replace(
        "SCAN sessions USING INDEX sessions_ending", ""
    )


# -- rebuilding ---------------------------------------------------------------------------------


async def test_what_is_made_from_the_log_can_be_made_anew(path: Path) -> None:
    async with opened(path) as store:
        epoch = await born(store)
        await store.append(
            LOG,
            [
                e.TurnOpened(TurnId("t"), source="s", agent="root", working_dir="/"),
                e.ToolsShown("root", 1, definitions={"d": Definition("shell")}),
                e.WaitOpened(WaitId("w1"), "approval", "root"),
                e.WaitOpened(WaitId("w2"), "approval", "root"),
                e.MessageQueued("followup", (Message("user", "hi"),), key="k"),
                e.WaitAnswered(WaitId("w1"), e.Answer("approve")),
                e.MessageWritten(Message("user", "hi")),
                e.RunStarted(RunId("r"), 7, 8, "boot", "claude"),
                e.RunEnded(RunId("r"), 0),
                text("x"),
            ],
            epoch=epoch,
        )
        await store.put(LogId("sound"), [e.SessionCreated(e.Template(title="t"))])
        assert await store.rebuild() == []
        kept = await store.head(LOG), await store.waits(), await store.wait(WaitId("w1")), await store.listing()
        messages, runs = await store.messages(LOG), await store.runs()
    db = apsw.Connection(str(path))
    for damage in (
        "UPDATE sessions SET head = CAST('{\"id\":\"log\"}' AS BLOB) WHERE id = 'log'",
        "UPDATE sessions SET title = 'wrong', in_turn = 0, last_seq = 5 WHERE id = 'log'",
        "DELETE FROM waits",
        "DELETE FROM keys",
        "DELETE FROM runs",
        "DELETE FROM definitions",
        "UPDATE events SET bears = 0 WHERE seq > 1",
    ):
        db.execute(damage)
    db.close()
    async with opened(path, server="b") as store:
        assert await store.rebuild() == [LOG]
        now = await store.head(LOG), await store.waits(), await store.wait(WaitId("w1")), await store.listing()
        assert now == kept
        assert (await store.messages(LOG), await store.runs()) == (messages, runs)
        assert await store.definition(LOG, "d") == Definition("shell")
        assert [head.id for head in await store.adrift()] == [LOG]
        with pytest.raises(Duplicate):
            await store.put(LOG, [e.MessageQueued("followup", (), key="k")])
        assert (await store.take(LOG)).epoch == epoch + 1


async def test_the_index_of_remarks_is_of_all_remarks() -> None:
    (index,) = (step for step in migrations.known() if step.name == "remarks")
    for script in (queries.load("read")["remarks"], index.script):
        kinds = re.findall(r"'(\w+)'", script)
        assert kinds == [kind.__name__ for kind in REMARKS]
