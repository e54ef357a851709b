"""The terminal UI: its screen, its keys, and what they ask of the client."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, Literal

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.driver import Driver
from textual.events import Resize
from textual.filter import LineFilter
from textual.screen import Screen

from roost.client.client import Client
from roost.core.errors import RoostError
from roost.tui import attachments, clipboard, outlet, preferences, slash, terminal
from roost.tui.attachments import Attachment
from roost.tui.dialogs import lists
from roost.tui.dialogs.card import Card
from roost.tui.dialogs.dock import Dock
from roost.tui.dialogs.link import Link
from roost.tui.dialogs.picker import Picker
from roost.tui.feed import GONE
from roost.tui.history import History
from roost.tui.orders import Orders
from roost.tui.rows import Changes
from roost.tui.sieve import Sieve
from roost.tui.sitting import Opened, Sitting
from roost.tui.themes import DEFAULT, THEMES
from roost.tui.widgets.find import Find
from roost.tui.widgets.prompt import Prompt
from roost.tui.widgets.status import Standing, Status
from roost.tui.widgets.transcript import Transcript
from roost.tui.widgets.tree import Tree
from roost.tui.widgets.welcome import Welcome, tilde

FRAME = 1 / 15  # seconds between two looks at what has come
TWICE = 2.0  # seconds within which a key counts as pressed again
WIDE = 110  # columns from which on the side panel comes by itself

_SIEVE = Sieve()

Severity = Literal["information", "warning", "error"]


class RoostApp(App[int]):
    """One session on one screen.

    `session` is the one to open, "" for a new one of `agent` (`agent_name` is who of its team begins).  `prompt` is
    sent at once.  `attached` says that the server is another process, which goes on when this one ends; `local`, that
    the session's files and commands are this machine's.  `results` says whether calls show what they returned.  `home`
    is where what a person chose is kept.  `opened` is awaited whenever a session comes on the screen.
    """

    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [
        Binding("ctrl+c", "clear_or_quit", "clear, leave", priority=True, show=False),
        Binding("ctrl+q", "clear_or_quit", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", "to the shell", priority=True, show=False),
        Binding("ctrl+p", "palette", "everything", show=False),
        Binding("f1", "order('help')", "help", show=False),
        Binding("ctrl+o", "order('sessions')", "sessions", show=False),
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

    welcome: Welcome
    transcript: Transcript
    kin: Tree
    find: Find
    dock: Dock
    prompt: Prompt
    status: Status

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
        super().__init__()
        terminal.teach()
        self.home = home
        self.attached = attached
        self.listening = listening
        self.chosen = preferences.read(home)
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
        self._orders = Orders(self)
        self._pressed: dict[str, float] = {}
        self._worked_since = 0.0
        self._hint = ""
        self._seated = asyncio.Event()  # a session is open
        self._taking = asyncio.Lock()  # a message that waits is taken back

    @property
    def session(self) -> str:
        """The session that is shown; "" before there is one."""
        return self.sitting.session

    def get_driver_class(self) -> type[Driver]:
        """What carries the screen to the terminal, and keys from it."""
        return outlet.patient(super().get_driver_class())

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What every line goes through on its way to the terminal."""
        return [*super().get_line_filters(), _SIEVE]

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        self.welcome, self.transcript, self.kin = Welcome(id="welcome"), Transcript(id="transcript"), Tree(id="tree")
        self.find, self.dock, self.status = Find(id="find"), Dock(id="dock"), Status(id="status")
        self.prompt = Prompt(History(self.home), id="prompt")
        with Horizontal(id="main"):
            with Vertical(id="stage"):
                yield self.welcome
                yield self.transcript
            yield self.kin
        yield self.find
        yield self.dock
        yield self.prompt
        yield self.status

    @property
    def _base(self) -> Screen[Any]:
        return self.screen_stack[0]

    # -- beginning and end ----------------------------------------------------------------------

    def on_mount(self) -> None:
        """Dress, and open the session."""
        for theme, _ in THEMES.values():
            self.register_theme(theme)
        wanted = self._theme or self.chosen.theme
        self.theme = wanted if wanted in THEMES else DEFAULT
        self.transcript.results = self._results
        self.prompt.begin()
        self.dock.display = False
        self._write(terminal.PUSH)
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
        await self._attend(grab=True)
        self.stand()
        self.run_worker(self._follow(), group="feed", exclusive=True)

    async def _follow(self) -> None:
        await self.sitting.follow()
        if self.sitting.feed.gap:
            self._do(self.open(self.session))

    def leave(self) -> None:
        """Go; whoever started this knows what becomes of the session."""
        self.exit(0)

    def exit(self, result: int | None = None, return_code: int = 0, message: Any = None) -> None:
        """End, with the window's title as it was."""
        self._write(terminal.POP)
        super().exit(result, return_code, message)

    def on_resize(self, event: Resize) -> None:
        """Cards leave the conversation its part."""
        for card in self._base.query(Card):
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
            self.run_worker(self._attend(), group="waits")
        if changes.parts or changes.appeared:
            self.stand()

    def _line_changed(self) -> None:
        if self.status.is_attached:
            self.stand()

    def stand(self) -> None:
        """Tell anew where the session stands."""
        view, sitting = self.sitting.view, self.sitting
        if view.state != "running":
            self._worked_since = 0.0
        elif not self._worked_since:
            self._worked_since = time.monotonic()
        now = time.monotonic()
        usage = view.usage
        self.status.now = Standing(
            state=view.state,
            agent=sitting.speaker or sitting.source,
            model=sitting.model or view.model,
            safety=view.safety or "asks",
            title=view.title,
            listening=self.listening,
            context=usage.context,
            limit=usage.limit,
            threshold=usage.threshold,
            cost=usage.cost,
            tree_cost=usage.tree_cost,
            unpriced=usage.unpriced,
            queued=len(view.queue),
            waits=len(view.waits),
            seconds=int(now - self._worked_since) if self._worked_since else 0,
            beat=int(now * 8) if self._worked_since else 0,
            trouble=GONE if view.exited else sitting.feed.trouble,
            hint=self._hint,
        )
        self.prompt.busy = sitting.busy
        self.prompt.queued = len(view.queue)
        self.prompt.commands = sitting.commands
        self._furnish()

    def _furnish(self) -> None:
        """What is there beside the conversation."""
        view, sitting = self.sitting.view, self.sitting
        wanted = self.chosen.tree if self.chosen.tree is not None else bool(view.tree) and self.size.width >= WIDE
        self.kin.display = wanted
        if wanted:
            self.kin.show(sitting.speaker, view.state, view.tree)
        empty = not view.rows
        self.transcript.display = not empty
        self.welcome.display = empty
        if empty:
            mate = next((mate for mate in sitting.team if mate.name == sitting.speaker), None)
            words = view.welcome or (mate.description if mate else "")
            model = sitting.model or view.model or (mate.model if mate else "")
            folder = view.working_dir if sitting.folder is None else tilde(sitting.folder)
            self.welcome.show(sitting.speaker or sitting.source, model, words, folder)
        self._entitle()

    def _entitle(self) -> None:
        view = self.sitting.view
        mark = "◆ " if view.waits else "● " if view.state == "running" else ""
        words = f"{mark}{view.title or self.sitting.speaker or self.sitting.source} · roost"
        if words != self.title:
            self.title = words
            self._write(terminal.title(words))

    # -- what waits -----------------------------------------------------------------------------

    async def _attend(self, *, grab: bool = False) -> None:
        """Show what waits, and say what others have answered."""
        if not self.dock.is_attached:
            return
        view = self.sitting.view
        free = not self.prompt.text and self.screen is self._base and self.focused is self.prompt.editor
        held = self.dock.has_focus_within or self._base.focused is None
        new = await self.dock.show(view.waits, grab=free or grab or held)
        for one in self.sitting.elsewhere():
            if told := lists.outcome(one):
                self.say(told)
        if held and not view.waits and self.prompt.is_attached:
            self.prompt.begin()
        if new and not self.app_focus:
            self._write(terminal.alert(f"{view.title or 'Roost'} waits for you", self.chosen.notify, os.environ))

    @on(Card.Answered)
    def _answered(self, event: Card.Answered) -> None:
        event.stop()
        self.run_worker(self._answer(event.card, event.fields))

    async def _answer(self, card: Card, fields: dict[str, Any]) -> None:
        try:
            await self.sitting.answer(card.wait, **fields)
        except RoostError as error:
            if card.is_attached:
                card.refuse(str(error))

    @on(Card.Left)
    def _left(self, event: Card.Left) -> None:
        event.stop()
        if not event.by or not self.dock.step(event.by):
            self.prompt.begin()

    @on(Link.Wanted)
    def _link_wanted(self, event: Link.Wanted) -> None:
        event.stop()
        if event.copy:
            self._copy(event.url)
        else:
            self.open_url(event.url)

    def action_attend(self) -> None:
        """To what waits, or to the conversation."""
        if self.dock.shown is not None:
            self.dock.shown.begin()
        elif self.focused is self.prompt.editor:
            self.transcript.focus()
        else:
            self.prompt.begin()

    # -- what is typed --------------------------------------------------------------------------

    @on(Prompt.Sent)
    def _sent(self, event: Prompt.Sent) -> None:
        event.stop()
        self.run_worker(self._said(event.text, event.attached, steer=event.steer), group="sent")

    async def _said(self, text: str, attached: Sequence[Attachment], *, steer: bool = False) -> None:
        """A command, a shell's command, or a message."""
        await self._seated.wait()
        try:
            if text.startswith("!") and text[1:].strip():
                await self._shell(text[1:].strip())
            elif typed := slash.parse(text, self.sitting.commands):
                await self._orders.carry_out(typed)
            else:
                self.transcript.go_end()
                await self.sitting.send(text, attached, steer=steer)
        except RoostError as error:
            self.complain(error)
            self.prompt.restore(text, attached)

    async def _shell(self, command: str) -> None:
        self.transcript.go_end()
        ran = await self.sitting.shell(command)
        self.prompt.attach(attachments.of_text(f"$ {command}", ran.quoted()))

    @on(Prompt.TakeBack)
    def _take_back(self, event: Prompt.TakeBack) -> None:
        event.stop()
        self._do(self._taken_back())

    @on(Transcript.TakeBack)
    def _take_this_back(self, event: Transcript.TakeBack) -> None:
        event.stop()
        self._do(self._taken_back(event.number))

    async def _taken_back(self, number: int = 0) -> None:
        """Let a message that waits stand in the prompt again."""
        async with self._taking:
            if not number and (self.prompt.text or not self.sitting.view.queue):
                return  # a key that was held
            found = await self.sitting.take_back(number)
            if found is None:
                self.say("It has just been taken.")
                return
            self.prompt.restore(*found)
            self.prompt.begin()

    @on(Prompt.Dropped)
    def _dropped(self, event: Prompt.Dropped) -> None:
        event.stop()
        self._do(self._take_along(attachments.dropped(event.text)))

    async def _take_along(self, paths: Sequence[Path]) -> None:
        for path in paths:
            made = await asyncio.to_thread(attachments.of_file, path, local=self.sitting.local, home=self.home)
            self.prompt.attach(made)

    @on(Prompt.ClipboardWanted)
    def _clipboard_wanted(self, event: Prompt.ClipboardWanted) -> None:
        event.stop()
        self._do(self._paste())

    async def _paste(self) -> None:
        picture = await asyncio.to_thread(clipboard.picture)
        if picture:
            self.prompt.attach(attachments.of_bytes(picture, local=self.sitting.local, home=self.home))
            return
        text = await asyncio.to_thread(clipboard.text) or self.clipboard
        if text:
            self.prompt.editor.insert(text)
        else:
            self.say("There is nothing on the clipboard, or no program to ask for it (wl-paste, xclip, pbpaste).")

    def action_detach(self, at: int) -> None:
        """Leave behind what was to go along."""
        self.prompt.action_detach(at)

    # -- keys -----------------------------------------------------------------------------------

    def action_order(self, name: str) -> None:
        """Carry out a command."""
        if self.screen is self._base:
            self._do(self._orders.carry_out(slash.Typed(name)))

    def action_palette(self) -> None:
        """Everything that can be asked for."""
        if self.screen is self._base:
            self._do(self._palette())

    async def _palette(self) -> None:
        chosen = await self.push_screen_wait(Picker("What would you like?", lists.palette(self.sitting.commands)))
        if not chosen:
            return
        if typed := slash.parse(chosen, self.sitting.commands):
            await self._orders.carry_out(typed)
        else:
            self.prompt.editor.show(chosen)
            self.prompt.begin()

    def action_tree(self) -> None:
        """Show the sub-agents, or not."""
        self.chosen.tree = not self.kin.display
        self.stand()

    def action_find(self) -> None:
        """Find in the conversation."""
        if self.screen is self._base:
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
        elif self.sitting.busy and self._again("escape", "Esc again to stop it"):
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
            self._copy(selected)
            self.screen.clear_selection()
        elif self.screen is not self._base:
            self.screen.dismiss(None)
        elif self.focused is self.prompt.editor and self.prompt.editor.selected_text:
            self._copy(self.prompt.editor.selected_text)
        elif self.prompt.text or self.prompt.attached:
            self.prompt.clear()
        elif self._again("quit", f"Ctrl+C again to leave: {self._fate()}"):
            self.leave()

    def _fate(self) -> str:
        if self.attached:
            return "the session goes on"
        return "it stops here, and can be resumed" if self.sitting.busy else "the session is kept"

    def _again(self, key: str, hint: str) -> bool:
        """Whether the key was pressed a moment ago, too; if not, say what once more would do."""
        now = time.monotonic()
        if now - self._pressed.pop(key, -TWICE) < TWICE:
            self._hint = ""
            return True
        self._pressed[key] = now
        self._hint = hint
        self.stand()
        self.set_timer(TWICE, self._forget)
        return False

    def _forget(self) -> None:
        if all(time.monotonic() - at >= TWICE for at in self._pressed.values()):
            self._pressed.clear()
            self._hint = ""
            self.stand()

    # -- the conversation -----------------------------------------------------------------------

    @on(Transcript.OlderWanted)
    def _older_wanted(self, event: Transcript.OlderWanted) -> None:
        event.stop()
        self.run_worker(self._guarded(self.sitting.older()), group="older", exclusive=True)

    @on(Transcript.Copied)
    def _copied(self, event: Transcript.Copied) -> None:
        event.stop()
        self._copy(event.text)

    @on(Tree.Chosen)
    def _branch_chosen(self, event: Tree.Chosen) -> None:
        event.stop()
        self.transcript.select(f"s{event.session}" if event.session else None)

    # -- below ----------------------------------------------------------------------------------

    def say(self, words: str, *, severity: Severity = "information") -> None:
        """Tell something that needs no answer."""
        self.notify(words, severity=severity, markup=False, timeout=4)

    def complain(self, error: RoostError) -> None:
        """Tell what went wrong."""
        self.notify(str(error) or type(error).__name__, severity="error", markup=False, timeout=8)

    def _copy(self, text: str) -> None:
        self.copy_to_clipboard(text)
        self.run_worker(asyncio.to_thread(clipboard.write, text))
        self.say("Copied.")

    def _do(self, deed: Coroutine[Any, Any, None]) -> None:
        self.run_worker(self._guarded(deed))

    async def _guarded(self, deed: Awaitable[None]) -> None:
        await self._seated.wait()
        try:
            await deed
        except RoostError as error:
            self.complain(error)

    def _write(self, order: str) -> None:
        driver = self._driver
        if order and driver is not None and not self.is_headless:
            driver.write(order)
