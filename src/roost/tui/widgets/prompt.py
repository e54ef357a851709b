"""The prompt: what is being typed, what goes with it, and what the word at the cursor may mean."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widgets import OptionList, Static, TextArea
from textual.widgets.option_list import Option

from roost.tui import attachments, completion
from roost.tui.attachments import Attachment
from roost.tui.completion import Folder, Offer, Target
from roost.tui.history import History
from roost.tui.parts import Command
from roost.tui.widgets.editor import Editor

IDLE = ("Ask anything   / commands   @ files   ! shell", "Ask anything")
BUSY = ("Write the next message: Enter queues it, Alt+Enter steers", "Enter queues, Alt+Enter steers")
QUEUED = ("Enter queues one more, Alt+Enter steers, ↑ takes the newest back", "↑ takes the newest back")
MARK = 2  # columns of the sign before a line


class Prompt(Vertical):
    """Where one types.  `folder` is where paths and shell commands begin, None where that is not this machine."""

    BINDINGS = [Binding("tab,shift+tab", "app.attend", "what waits", show=False)]

    busy: reactive[bool] = reactive(False)
    queued: reactive[int] = reactive(0)  # messages that wait

    class Sent(Message):
        """A message is ready to go."""

        def __init__(self, text: str, attached: Sequence[Attachment], *, steer: bool) -> None:
            super().__init__()
            self.text, self.attached, self.steer = text, tuple(attached), steer

    class Dropped(Message):
        """Files were dropped on it."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class TakeBack(Message):
        """The newest message that waits is wanted here again."""

    class ClipboardWanted(Message):
        """What is on the clipboard is to be put here."""

    def __init__(self, history: History, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.commands: Sequence[Command] = ()
        self.attached: list[Attachment] = []
        self.editor = Editor(self, IDLE[0])
        self.history = history
        self._folder: Folder | None = None
        self._target: Target | None = None
        self._offers: list[Offer] = []
        self._asked = 0
        self._recalled: str | None = None  # what came from the history, and is not edited yet

    def compose(self) -> ComposeResult:
        """Above the line: what may be meant, and what goes along."""
        offers = OptionList(id="offers", compact=True)
        offers.can_focus = False
        yield offers
        yield Static(id="chips")
        with Horizontal(id="line"):
            yield Static("❯", id="marker")
            yield self.editor

    def on_mount(self) -> None:
        """Nothing goes along yet."""
        self._show_chips()

    @property
    def text(self) -> str:
        """What stands there."""
        return self.editor.text

    def begin(self) -> None:
        """Take the focus: at once, so that what has been typed meanwhile comes here."""
        self.screen.set_focus(self.editor)

    def place(self, folder: Path | None) -> None:
        """Where paths begin."""
        self._folder = Folder(folder) if folder else None

    def watch_busy(self) -> None:
        """Enter means something else while somebody works."""
        self.hint()

    def watch_queued(self) -> None:
        """And so does Up while something waits."""
        self.hint()

    def on_resize(self) -> None:
        """As much of it as fits."""
        self.hint()

    def hint(self) -> None:
        """Say in the empty prompt what can be done there."""
        if self.is_mounted:
            hints = QUEUED if self.queued else BUSY if self.busy else IDLE
            room = self.size.width - MARK
            self.editor.placeholder = next((hint for hint in hints if len(hint) <= room), "")

    # -- text -----------------------------------------------------------------------------------

    def clear(self) -> None:
        """Nothing stands there, and nothing goes along."""
        self.attached.clear()
        self._show_chips()
        self.history.rest()
        self.editor.show("")

    def restore(self, text: str, attached: Sequence[Attachment] = ()) -> None:
        """Put back what could not be sent, before what was typed since."""
        here = self.editor.text
        self.editor.show(f"{text}\n{here}" if here.strip() else text)
        self.attached[:0] = attached
        self._show_chips()

    def attach(self, *more: Attachment) -> None:
        """Let them go along."""
        self.attached += more
        self._show_chips()

    def action_detach(self, at: int) -> None:
        """Leave one behind."""
        if 0 <= at < len(self.attached):
            del self.attached[at]
            self._show_chips()

    def _show_chips(self) -> None:
        chips = self.query_one("#chips", Static)
        chips.display = bool(self.attached)
        parts: list[Content | str] = []
        for at, one in enumerate(self.attached):
            parts.append(
                Content.from_markup(f"[$accent on $panel] $name [@click=app.detach({at})]✕[/] [/] ", name=one.label)
            )
        hint = Content.styled("Backspace in an empty line takes the last away", "$text-muted") if parts else Content("")
        chips.update(Content("").join([*parts, hint]))

    # -- what the lines say ---------------------------------------------------------------------

    def enter(self, *, steer: bool) -> None:
        """Send what stands there."""
        text = self.editor.text
        if not text.strip() and not self.attached:
            return
        self.history.add(text)
        sent = self.Sent(text.strip("\n"), self.attached, steer=steer)
        self.clear()
        self.post_message(sent)

    def recall(self, *, back: bool) -> None:
        """Show what was typed before; what still waits is taken back rather than said twice."""
        if back and self.queued and not self.editor.text and not self.history.browsing:
            self.post_message(self.TakeBack())
            return
        found = self.history.back(self.editor.text) if back else self.history.forth()
        if found is not None:
            self._recalled = found
            self.editor.show(found)
            self._target = self._meant()
            self._close_offers()

    def take_back(self) -> None:
        """Leave behind what was attached last."""
        self.action_detach(len(self.attached) - 1)

    @on(Editor.Dropped)
    def _dropped(self, event: Editor.Dropped) -> None:
        event.stop()
        self.post_message(self.Dropped(event.text))

    @on(Editor.Pasted)
    def _pasted(self, event: Editor.Pasted) -> None:
        event.stop()
        text = event.text.replace("\r\n", "\n").replace("\r", "\n")
        self.attach(attachments.of_text(attachments.entitled(text), text))

    @on(Editor.ClipboardWanted)
    def _clipboard_wanted(self, event: Editor.ClipboardWanted) -> None:
        event.stop()
        self.post_message(self.ClipboardWanted())

    @on(TextArea.Changed)
    def _changed(self, event: TextArea.Changed) -> None:
        event.stop()
        shell = self.editor.text.startswith("!")
        self.set_class(shell, "-shell")
        self.query_one("#marker", Static).update("!" if shell else "❯")
        if self.editor.text == self._recalled:
            return
        self._recalled = None
        self.history.rest()
        self._look()

    # -- what may be meant ----------------------------------------------------------------------

    def _look(self) -> None:
        """Offer what the word at the cursor may mean."""
        target = self._meant()
        if target == self._target and self._offers:
            return
        self._target = target
        self._asked += 1
        if target is None or (target.kind == "file" and self._folder is None):
            self._close_offers()
        elif target.kind == "command":
            self._offer(completion.commands(target.word, self.commands))
        else:
            if self._offers:  # narrowed at once, since a key may come before the rest does
                self._offer(completion.files(target.word, [offer.label for offer in self._offers]))
            self.run_worker(self._look_for_files(target, self._asked), group="offers", exclusive=True)

    def _meant(self) -> Target | None:
        row, _ = self.editor.cursor_location
        return completion.target(self.editor.before, row)

    async def _look_for_files(self, target: Target, asked: int) -> None:
        folder = self._folder
        if folder is not None:
            paths = await asyncio.to_thread(folder.paths)
            offers = await asyncio.to_thread(completion.files, target.word, paths)
            if asked == self._asked:
                self._offer(offers)

    def _offer(self, offers: list[Offer]) -> None:
        self._offers = offers
        box = self.query_one("#offers", OptionList)
        box.clear_options()
        width = max((len(offer.label) for offer in offers if offer.detail), default=0)
        for offer in offers:
            label = offer.label.ljust(min(width, 34) + 2) if offer.detail else offer.label
            box.add_option(Option(Content.assemble(label, (offer.detail, "$text-muted"))))
        box.highlighted = 0 if offers else None
        box.display = bool(offers)

    def _close_offers(self) -> None:
        self._offers = []
        self._asked += 1
        self.query_one("#offers", OptionList).display = False

    def grab(self, key: str) -> bool:
        """Whether the key was for what is offered."""
        if key in ("tab", "enter") and self._meant() != self._target:
            self._look()  # it was typed faster than offers come
        if not self._offers or self._target is None:
            return False
        box = self.query_one("#offers", OptionList)
        match key:
            case "up" | "ctrl+p":
                box.action_cursor_up()
            case "down" | "ctrl+n":
                box.action_cursor_down()
            case "escape":
                self._close_offers()
            case "tab" | "enter":
                return self._choose(box.highlighted or 0, key)
            case _:
                return False
        return True

    def _choose(self, at: int, key: str) -> bool:
        """Put the offer in the word's place; Enter behind a whole command sends it."""
        offer, target = self._offers[at], self._target
        assert target is not None
        if key == "enter" and target.kind == "command" and offer.text.strip() == f"/{target.word}":
            self._close_offers()
            return False
        row, column = self.editor.cursor_location
        self.editor.replace(offer.text, (row, target.start), (row, column))
        if not offer.text.endswith("/"):
            self._close_offers()
        return True

    @on(OptionList.OptionSelected, "#offers")
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._choose(event.option_index, "tab")
        self.begin()
