"""The terminal UI: a session on a screen, its keys, and what they ask of the client."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from textual import on
from textual.binding import Binding
from textual.events import Resize

from roost.client.client import Client
from roost.core.errors import RoostError
from roost.tui import attachments, slash, terminal
from roost.tui.attachments import Attachment
from roost.tui.attention import Attention
from roost.tui.dialogs import lists
from roost.tui.dialogs.card import Card
from roost.tui.dialogs.link import Link
from roost.tui.dialogs.picker import Picker
from roost.tui.margins import Margins
from roost.tui.orders import Orders
from roost.tui.presses import Presses
from roost.tui.rows import Changes
from roost.tui.sitting import Opened, Sitting
from roost.tui.surface import Surface
from roost.tui.voice import Voice
from roost.tui.widgets.prompt import Prompt
from roost.tui.widgets.transcript import Transcript
from roost.tui.widgets.tree import Tree

FRAME = 1 / 15  # seconds between two looks at what has come


class RoostApp(Surface):
    """One session on one screen.

    `session` is the one to open, "" for a new one of `agent` (`agent_name` is who of its team begins).  `prompt` is
    sent at once.  `attached` says that the server is another process, which goes on when this one ends; `local`, that
    the session's files and commands are this machine's.  `results` says whether calls show what they returned.  `home`
    is where what a person chose is kept.  `opened` is awaited whenever a session comes on the screen.
    """

    BINDINGS = [
        Binding("ctrl+c", "clear_or_quit", "clear, leave", priority=True, show=False),
        Binding("ctrl+q", "clear_or_quit", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", "to the shell", priority=True, show=False),
        Binding("ctrl+p", "palette", "everything", show=False),
        Binding("f1", "order('help')", "help", show=False),
        Binding("ctrl+o", "order('sessions')", "sessions", show=False),
        Binding("ctrl+r", "order('history')", "typed before", show=False),
        Binding("ctrl+l", "order('model')", "models", show=False),
        Binding("ctrl+t", "tree", "sub-agents", show=False),
        Binding("ctrl+f", "find", "find", show=False, priority=True),
        Binding("ctrl+g", "read", "read", show=False),
        Binding("escape", "escape", "stop", show=False),
        Binding("pageup", "scroll('page_up')", show=False, priority=True),
        Binding("pagedown", "scroll('page_down')", show=False, priority=True),
        Binding("ctrl+home", "scroll('home')", show=False, priority=True),
        Binding("ctrl+end", "scroll('end')", show=False, priority=True),
    ]

    def __init__(
        self,
        client: Client,
        session: str,
        agent: str,
        *,
        agent_name: str = "",
        model: str = "",
        prompt: str = "",
        theme: str = "",
        safety: str = "",
        attached: bool = False,
        local: bool = True,
        working_dir: str = "",
        results: bool = True,
        listening: str = "",
        home: Path | None = None,
        opened: Opened | None = None,
    ) -> None:
        super().__init__(home)
        self.attached = attached
        self.listening = listening
        self.sitting = Sitting(
            client,
            agent,
            agent_name=agent_name,
            model=model,
            safety=safety,
            working_dir=working_dir,
            local=local,
            show=self._show,
            told=self._line_changed,
            opened=opened,
        )
        self._wanted = session
        self._first = prompt
        self._theme = theme
        self._results = results
        self.orders = Orders(self)
        self.presses = Presses(self.stand, self.set_timer)
        self._attention, self._margins, self._voice = Attention(self), Margins(self), Voice(self)
        self._seated = asyncio.Event()  # a session is open

    @property
    def session(self) -> str:
        """The session that is shown; "" before there is one."""
        return self.sitting.session

    # -- beginning and end ----------------------------------------------------------------------

    def on_mount(self) -> None:
        """Dress, and open the session."""
        self.dress(self._theme)
        self.transcript.results = self._results
        self.prompt.begin()
        self.dock.display = False
        self.emit(terminal.PUSH)
        self.set_interval(FRAME, self._frame)
        self.run_worker(self._begin(), name="begin")

    async def _begin(self) -> None:
        try:
            await self.open(self._wanted or await self.sitting.create())
        except RoostError as error:
            self.exit(return_code=1, message=str(error))
            return
        self._seated.set()
        if self._first.strip():
            await self._said(self._first, ())

    async def open(self, session: str) -> None:
        """Show another session.

        Raises:
            RoostError: it can't be shown.  What was here still is.
        """
        await self.sitting.open(session)
        self.transcript.load(self.sitting.view)
        await self.sitting.introduce()
        self.prompt.place(self.sitting.folder)
        await self._attention.draw(grab=True)
        self.stand()
        self.run_worker(self._follow(), group="feed", exclusive=True)

    async def _follow(self) -> None:
        await self.sitting.follow()
        if self.sitting.feed.gap:
            self._do(self.open(self.session))

    def leave(self) -> None:
        """Go; whoever started this knows what becomes of the session."""
        self.exit(0)

    def on_resize(self, event: Resize) -> None:
        """Cards leave the conversation its part."""
        for card in self.base.query(Card):
            card.fit(event.size.height)
        if self.sitting.session:
            self.stand()

    # -- frames ---------------------------------------------------------------------------------

    def _frame(self) -> None:
        """Take in what has come, a few times a second."""
        if not self.status.is_attached:  # the end has begun
            return
        changes = self.sitting.pump()
        if changes:
            self._show(changes)
        elif self.sitting.view.state == "running":
            self.stand()

    def _show(self, changes: Changes) -> None:
        self.transcript.apply(changes)
        if changes.parts & {"waits", "answered"}:
            self.run_worker(self._attention.draw(), group="waits")
        if changes.parts or changes.appeared or changes.vanished:
            self.stand()

    def _line_changed(self) -> None:
        if self.status.is_attached:
            self.stand()

    def stand(self) -> None:
        """Tell anew where the session stands."""
        self._margins.draw()

    # -- what waits -----------------------------------------------------------------------------

    @on(Card.Answered)
    def _answered(self, event: Card.Answered) -> None:
        event.stop()
        self.run_worker(self._attention.answer(event.card, event.fields))

    @on(Card.Left)
    def _left(self, event: Card.Left) -> None:
        event.stop()
        self._attention.leave(event.by)

    @on(Link.Wanted)
    def _link_wanted(self, event: Link.Wanted) -> None:
        event.stop()
        if event.copy:
            self.copy(event.url)
        else:
            self.open_url(event.url)

    def action_attend(self) -> None:
        """To what waits, or to the conversation."""
        self._attention.turn()

    # -- what is typed --------------------------------------------------------------------------

    @on(Prompt.Sent)
    def _sent(self, event: Prompt.Sent) -> None:
        event.stop()
        self.run_worker(self._said(event.text, event.attached, steer=event.steer), group="sent")

    async def _said(self, text: str, attached: Sequence[Attachment], *, steer: bool = False) -> None:
        await self._seated.wait()
        await self._voice.say(text, attached, steer=steer)

    @on(Prompt.TakeBack)
    def _take_back(self, event: Prompt.TakeBack) -> None:
        event.stop()
        self._do(self._voice.take_back())

    @on(Transcript.TakeBack)
    def _take_this_back(self, event: Transcript.TakeBack) -> None:
        event.stop()
        self._do(self._voice.take_back(event.number))

    @on(Prompt.Dropped)
    def _dropped(self, event: Prompt.Dropped) -> None:
        event.stop()
        self._do(self._voice.take_along(attachments.dropped(event.text)))

    @on(Prompt.ClipboardWanted)
    def _clipboard_wanted(self, event: Prompt.ClipboardWanted) -> None:
        event.stop()
        self._do(self._voice.paste())

    def action_detach(self, at: int) -> None:
        """Leave behind what was to go along."""
        self.prompt.action_detach(at)

    # -- keys -----------------------------------------------------------------------------------

    def action_order(self, name: str) -> None:
        """Carry out a command."""
        if self.screen is self.base:
            self._do(self.orders.carry_out(slash.Typed(name)))

    def action_palette(self) -> None:
        """Everything that can be asked for."""
        if self.screen is self.base:
            self._do(self._palette())

    async def _palette(self) -> None:
        chosen = await self.push_screen_wait(Picker("What would you like?", lists.palette(self.sitting.commands)))
        if not chosen:
            return
        if typed := slash.parse(chosen, self.sitting.commands):
            await self.orders.carry_out(typed)
        else:
            self.prompt.editor.show(chosen)
            self.prompt.begin()

    def action_tree(self) -> None:
        """Show the sub-agents, or not."""
        self.chosen.tree = not self.kin.display
        self.stand()

    def action_find(self) -> None:
        """Find in the conversation."""
        if self.screen is self.base:
            self.find.begin()

    def action_read(self) -> None:
        """Go through the conversation with the keys."""
        self.transcript.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that scroll the conversation do so from the prompt; elsewhere they are for what has the focus."""
        return self.focused is self.prompt.editor if action == "scroll" else True

    def action_scroll(self, where: str) -> None:
        """Move the conversation."""
        moves: dict[str, Callable[[], None]] = {
            "home": self.transcript.go_home,
            "end": self.transcript.go_end,
            "page_up": lambda: self.transcript.scroll_page_up(animate=False),
            "page_down": lambda: self.transcript.scroll_page_down(animate=False),
        }
        moves[where]()

    async def action_escape(self) -> None:
        """Back to the prompt; from there, twice: stop."""
        if self.focused is not self.prompt.editor:
            self.prompt.begin()
        elif self._voice.commanding:
            if self.presses.again("stop", "Esc again to stop the command"):
                self._voice.stop()
        elif self.sitting.busy and self.presses.again("escape", "Esc again to stop it"):
            await self.interrupt()

    async def interrupt(self) -> None:
        """End the turn."""
        try:
            await self.sitting.cancel()
        except RoostError as error:
            self.complain(error)

    def action_clear_or_quit(self) -> None:
        """Copy what is selected; else clear what is typed; else leave, if it is meant."""
        if selected := self.screen.get_selected_text():
            self.copy(selected)
            self.screen.clear_selection()
        elif self.screen is not self.base:
            self.screen.dismiss(None)
        elif self.focused is self.prompt.editor and self.prompt.editor.selected_text:
            self.copy(self.prompt.editor.selected_text)
        elif self.prompt.text or self.prompt.attached:
            self.prompt.clear()
        elif self.presses.again("quit", f"Ctrl+C again to leave: {self._fate()}"):
            self.leave()

    def _fate(self) -> str:
        if self.attached:
            return "the session goes on"
        return "it stops here, and can be resumed" if self.sitting.busy else "the session is kept"

    # -- the conversation -----------------------------------------------------------------------

    @on(Transcript.OlderWanted)
    def _older_wanted(self, event: Transcript.OlderWanted) -> None:
        event.stop()
        self.run_worker(self._guarded(self.sitting.older()), group="older", exclusive=True)

    @on(Transcript.Copied)
    def _copied(self, event: Transcript.Copied) -> None:
        event.stop()
        self.copy(event.text)

    @on(Tree.Chosen)
    def _branch_chosen(self, event: Tree.Chosen) -> None:
        event.stop()
        self.transcript.select(f"s{event.session}" if event.session else None)

    # -- below ----------------------------------------------------------------------------------

    def _do(self, deed: Coroutine[Any, Any, None]) -> None:
        self.run_worker(self._guarded(deed))

    async def _guarded(self, deed: Awaitable[None]) -> None:
        await self._seated.wait()
        try:
            await deed
        except RoostError as error:
            self.complain(error)
