"""What is on screen, as a fold of events."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

from roost.client.happenings import Happening, Other
from roost.client.shapes import Snapshot, SubSession
from roost.tui import notes, past, speech, standing, work
from roost.tui.board import Board
from roost.tui.parts import Usage, Wait
from roost.tui.rows import Changes, Row, User
from roost.tui.speech import Handler

HANDLERS: Mapping[str, Handler] = {**speech.TABLE, **work.TABLE, **standing.TABLE, **notes.TABLE}


class View(Board):
    """A session as it stands on screen.  `open` begins it, `take` carries it on; no clock, no I/O."""

    @classmethod
    def open(cls, snapshot: Snapshot) -> Self:
        """A view of a session as a (full) snapshot has it; go on with the events after `seq`."""
        view = cls(snapshot.id)
        view._set(snapshot)
        view.users = None if snapshot.more else 0
        past.lay(view, snapshot, view._remark)
        view._set(snapshot)
        view._settle()
        view.oldest = snapshot.messages[0].id if snapshot.messages else 0
        for sub in snapshot.sub_sessions:
            if sub.id not in view.stack.levels:
                view.born(sub.id, sub.parent_session_id, call=sub.tool_call_id, title=sub.title)
        view._know(snapshot.sub_sessions)
        for waiting in snapshot.queue:
            speech.line_up(view, waiting)
        for wait in snapshot.waits:
            view.wait(_wait(wait))
        view.known, view.seq = snapshot.last_event_seq, snapshot.tail_from
        view.stack.changes = Changes()
        return view

    def take(self, happening: Happening) -> Changes:
        """Take in one more event of the stream; one that was here before changes nothing."""
        if 0 < happening.seq <= self.seq:
            return Changes()
        self.seq = max(self.seq, happening.seq)
        self._remark(happening)
        return self._changes()

    def take_all(self, happenings: Iterable[Happening]) -> Changes:
        """Take in several, as one change."""
        changes = Changes()
        for happening in happenings:
            changes.add(self.take(happening))
        return changes

    def prepend(self, older: Snapshot) -> Changes:
        """Put the messages of an older page (a snapshot `before` the `oldest`) above all others."""
        messages = older.messages
        page = View(self.session)
        page.team = self.team
        past.lay(page, older, page._remark)
        page._know(older.sub_sessions)
        self.more = older.more
        if messages:
            self.oldest = messages[0].id
        self._join(page)
        for number, row in page.messages.items():
            self.messages.setdefault(number, row)
        for key, branch in page.branches.items():
            if key not in self.branches:
                self.branches[key] = branch
        return self._changes()

    def row(self, key: str) -> Row | None:
        """The row of a key."""
        return self.stack.keys.get(key)

    def said(self, text: str) -> Changes:
        """Show at once what the person here has just sent, until the log has it."""
        speech.echo(self, text)
        return self._changes()

    def unsaid(self, text: str) -> Changes:
        """Take that back: it was refused."""
        for row in list(self.stack.queued):
            if isinstance(row, User) and row.state == "sent" and row.words == text:
                self.stack.drop(row)
        return self._changes()

    def _remark(self, happening: Happening) -> None:
        handler = HANDLERS.get(happening.type)
        if handler is not None and not isinstance(happening, Other):
            handler(self, happening)

    def _settle(self) -> None:
        """What was remarked long ago is no news: nothing of it waits, or has only just been answered."""
        for wait in list(self.waits):
            self.settle(wait.id)
        self.answered, self.turn, self.canceling = [], "", False

    def _changes(self) -> Changes:
        changes, self.stack.changes = self.stack.changes, Changes()
        return changes

    def _know(self, subs: Iterable[SubSession]) -> None:
        """What a snapshot says of sub-sessions."""
        for sub in subs:
            if sub.id in self.stack.levels:
                self.named(sub.id, sub.agent or self.branches[sub.id].agent)
                self.turned(sub.id, sub.state or "running")

    def _join(self, page: "View") -> None:
        """Older rows come above; a result whose call was on the older page goes to it."""
        for key, row in page.calls.items():
            mine = self.calls.get(key)
            if mine is None:
                self.calls[key] = row
            elif not mine.name and not row.ended:
                row.result, row.state, row.ended = mine.result, mine.state, mine.ended
                row.pictures, row.verdict = mine.pictures, row.verdict or mine.verdict
                self.stack.drop(mine)
                self.calls[key] = row
        self.stack.graft(page.stack)

    def _set(self, snapshot: Snapshot) -> None:
        self.title, self.working_dir, self.safety = snapshot.title, snapshot.working_dir, snapshot.safety_policy
        self.agent, self.model, self.provider = snapshot.agent, snapshot.model, snapshot.provider
        self.source, self.more = snapshot.source, snapshot.more
        state = snapshot.state or ("running" if snapshot.streaming else "idle")
        self.base = "running" if state == "waiting" else state
        self.models = dict(snapshot.model_overrides)
        self.team = tuple(standing.mate(mate) for mate in snapshot.team)
        standing.choose_commands(self)
        self.usage = Usage(
            snapshot.input_tokens,
            snapshot.output_tokens,
            snapshot.input_tokens + snapshot.output_tokens,
            snapshot.context_limit,
            snapshot.cost,
            snapshot.tree_cost or snapshot.cost,
            unpriced=snapshot.unpriced,
        )


def _wait(waiting: Any) -> Wait:
    """A wait that a snapshot has."""
    wait = Wait(waiting.id, waiting.kind, waiting.session_id, waiting.agent_name, waiting.opened_at)
    if waiting.tool_call is not None:
        call = waiting.tool_call
        wait.call_id, wait.tool, wait.arguments = call.id, call.name, call.arguments
    wait.definition, wait.message, wait.schema = waiting.tool_definition, waiting.message, waiting.schema
    wait.mode, wait.url, wait.max_iterations = waiting.mode, waiting.url, waiting.max_iterations
    wait.metadata = dict(waiting.metadata)
    return wait
