"""All that is on a screen, and the small steps by which happenings change it."""

from dataclasses import dataclass, field
from typing import Any

from roost.tui import gist
from roost.tui.clean import plain_line
from roost.tui.parts import Answered, Branch, Command, Queued, Teammate, Usage, Wait
from roost.tui.rows import UNTITLED, Answer, Call, Nest, Note, Reasoning, Row, User
from roost.tui.stack import Level, Stack

RECENT = 50  # answered waits that are remembered


@dataclass(slots=True)
class Draft:
    """An answer that is still coming: its rows, and how long each was before each piece."""

    level: Level
    agent: str = ""
    model: str = ""
    reasoning: Reasoning | None = None
    answer: Answer | None = None
    calls: list[Call] = field(default_factory=list)
    pieces: list[tuple[int, Row, int]] = field(default_factory=list)


class Board:
    """A session as it stands on screen."""

    def __init__(self, session: str = "") -> None:
        self.session = session
        self.waits: list[Wait] = []  # open, the oldest first
        self.answered: list[Answered] = []  # of late, the newest last
        self.queue: list[Queued] = []
        self.agent = ""
        self.source = ""
        self.model = ""
        self.provider = ""
        self.title = ""
        self.safety = ""
        self.working_dir = ""
        self.welcome = ""
        self.turn = ""  # the id of the turn under way
        self.canceling = False
        self.usage = Usage()
        self.budgets: tuple[dict[str, Any], ...] = ()
        self.team: tuple[Teammate, ...] = ()
        self.commands: tuple[Command, ...] = ()
        self.tools = 0
        self.starting = False  # whether tool servers are being started
        self.plan = ""
        self.models: dict[str, str] = {}  # agent name -> the model that was chosen for it
        self.tree: list[Branch] = []
        self.more = False  # whether there are older messages than those in `rows`
        self.seq = 0  # the number of the newest happening that was taken in
        self.exited = False
        self.stack = Stack(session)
        self.branches: dict[str, Branch] = {}
        self.base = "new"  # the state, but for what waits
        self.known = 0  # happenings up to this number are in the snapshot already
        self.drafts: dict[str, Draft] = {}
        self.messages: dict[int, Row] = {}
        self.calls: dict[tuple[str, str], Call] = {}  # by session and call: the newest of that id
        self.costs: dict[str, float] = {}  # of sub-sessions
        self.users: int | None = 0  # how many messages of users there are; None where nobody knows
        self.oldest = 0  # the id of the first message that is there

    @property
    def rows(self) -> list[Row]:
        """All rows, from above to below."""
        return self.stack.rows

    @property
    def state(self) -> str:
        """`new`, `queued`, `running`, `waiting`, `idle`, `failed` or `canceled`."""
        return "waiting" if self.waits and self.base == "running" else self.base

    def part(self, *names: str) -> None:
        """These parts have changed."""
        self.stack.changes.parts.update(names)

    # -- places ---------------------------------------------------------------------------------

    def old(self, happening: Any) -> bool:
        """Whether the snapshot has it already."""
        return bool(0 < happening.seq <= self.known)

    def level(self, happening: Any) -> Level:
        """Where a happening belongs; the head of a sub-session that is new is put there."""
        session = happening.session_id
        if not happening.parent_session_id or not session or session == self.session:
            return self.stack.root
        level = self.stack.levels.get(session)
        if level is None:
            level = self.born(session, happening.parent_session_id, at=happening.timestamp, seq=happening.seq)
        if happening.agent_name and level.head is not None and not level.head.agent:
            self.named(session, happening.agent_name)
        return level

    def born(self, session: str, parent: str, *, call: str = "", title: str = "", at: str = "", seq: int = 0) -> Level:
        """A sub-session is there."""
        outer = self.stack.level(parent)
        head = Nest(f"s{session}", sub=session, call=call, title=title, at=at, seq=seq)
        wanted = self.calls.get((outer.id, call)) if call else None
        branch = self.branches[session] = Branch(session, outer.id, title=_about(title, wanted), call=call)
        above = self.branches.get(outer.id)
        (above.below if above is not None else self.tree).append(branch)
        self.part("tree")
        return self.stack.nest(head, outer, wanted)

    def named(self, session: str, agent: str) -> None:
        """A sub-session's agent."""
        head = self.stack.levels[session].head
        if head is not None and head.agent != agent:
            head.agent = self.branches[session].agent = agent
            self.stack.touch(head)
            self.part("tree")

    def turned(self, session: str, state: str) -> None:
        """A sub-session does something else now."""
        level = self.stack.levels.get(session)
        if level is not None and level.head is not None and level.head.state != state:
            level.head.state = self.branches[session].state = state
            self.stack.touch(level.head)
            self.part("tree")

    def note(self, happening: Any, words: str, *, kind: str = "note", level: Any = "info") -> Note:
        """Something to know, where it happened."""
        row = Note(f"n{happening.seq}", kind=kind, level=level, words=words)
        self.put(row, happening)
        return row

    def put(self, row: Row, happening: Any) -> None:
        """A row for a happening."""
        row.key = self.stack.free(row.key)
        row.seq, row.at, row.agent = happening.seq, happening.timestamp, row.agent or happening.agent_name
        where = self.level(happening)
        if self.old(happening):
            self.stack.sort_in(row, where)
        else:
            self.stack.place(row, where)

    # -- calls ----------------------------------------------------------------------------------

    def call(self, level: Level, call: str) -> Call | None:
        """The newest call of an id, in a session."""
        return self.calls.get((level.id, call))

    def add_call(self, row: Call, level: Level, *, before: Row | None = None) -> Call:
        """A call that is new."""
        row.key = self.stack.free(f"c{level.id}:{row.call}")
        self.calls[level.id, row.call] = row
        self.stack.place(row, level, before=before)
        return row

    # -- waits ----------------------------------------------------------------------------------

    def wait(self, wait: Wait) -> None:
        """Something waits."""
        if any(other.id == wait.id for other in self.waits):
            return
        self.waits.append(wait)
        level = self.stack.level(wait.session)
        row = self.call(level, wait.call_id) if wait.kind == "approval" else None
        if row is not None:
            row.state, row.wait = "waiting", wait.id
            self.stack.touch(row)
        if level is not self.stack.root:
            self.turned(level.id, "waiting")
        self.part("waits", "state")

    def settle(self, wait: str) -> tuple[Wait | None, Call | None]:
        """It waits no longer: the wait, and the call that it was about."""
        found = next((other for other in self.waits if other.id == wait), None)
        if found is None:
            return None, None
        self.waits.remove(found)
        level = self.stack.level(found.session)
        if level is not self.stack.root and not any(other.session == level.id for other in self.waits):
            self.turned(level.id, "running")
        row = self.call(level, found.call_id) if found.kind == "approval" else None
        if row is not None and row.wait == wait:
            row.wait = ""
            row.state = "called" if row.state == "waiting" else row.state
            self.stack.touch(row)
        self.part("waits", "state")
        return found, row

    def remember(self, answered: Answered) -> None:
        """What became of a wait."""
        self.answered = [*self.answered[-RECENT + 1 :], answered]
        self.part("answered")

    # -- queue ----------------------------------------------------------------------------------

    def queued(self, number: int, index: int) -> User | None:
        """The row of a message that waits."""
        row = self.stack.keys.get(f"q{number}.{index}")
        return row if isinstance(row, User) and row in self.stack.queued else None

    def unqueue(self, number: int, index: int) -> None:
        """It waits no longer."""
        self.queue = [other for other in self.queue if (other.id, other.index) != (number, index)]
        self.part("queue")


def _about(title: str, call: Call | None) -> str:
    """What a sub-session is about: its title, or the task of the call that it is for."""
    if title != UNTITLED or call is None:
        return title
    return plain_line(str(gist.arguments(call.arguments).get("task", "")), 80)
