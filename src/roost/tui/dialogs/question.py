"""A question with fields: a form made from its JSON schema."""

import asyncio
from collections.abc import Mapping
from typing import Any

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Input, Label, Select, Static

from roost.tui import forms
from roost.tui.dialogs.card import Card
from roost.tui.entries import content
from roost.tui.forms import Field
from roost.tui.parts import Wait
from roost.tui.widgets.options import Options

FEW = 12  # options of which one is chosen that are all shown at once


class Entry(Vertical):
    """One field: its name, what may stand there, where it is given, and what is wrong with it."""

    def __init__(self, field: Field) -> None:
        super().__init__(classes=f"entry -{field.kind}")
        self.field = field

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        field = self.field
        star = ("*", "$warning") if field.required else ""
        hint = f"  {field.hint}" if field.hint and field.kind != "text" else ""
        if field.kind != "flag":
            yield Label(Content.assemble((field.title, "bold"), star, (hint, "$text-muted")))
        if field.description:
            yield Static(Content.styled(field.description, "$text-muted"), classes="about")
        yield self._control()
        yield Static(classes="wrong")

    def on_mount(self) -> None:
        """Nothing is wrong yet."""
        self.complain("")

    def complain(self, why: str) -> None:
        """Say what is wrong, or that nothing is."""
        line = self.query_one(".wrong", Static)
        line.update(Content(why))
        line.display = bool(why)
        self.set_class(bool(why), "-wrong")

    @property
    def given(self) -> Any:
        """What stands there, as `entries.read` takes it."""
        match self.control:
            case Input(value=value):
                return value
            case Select() as select:
                return None if select.is_blank() else select.value
            case Options(chosen=chosen):
                match self.field.kind:
                    case "flag":
                        return bool(chosen)
                    case "choice":
                        return min(chosen, default=None)
                return sorted(chosen)
        return None

    @property
    def control(self) -> Widget:
        """Where it is given."""
        return self.query_one(".given")

    def begin(self) -> None:
        """Take the focus, and be seen with all that is said of it."""
        self.screen.set_focus(self.control, scroll_visible=False)
        self.call_after_refresh(self.scroll_visible, animate=False)

    async def caught_up(self) -> None:
        """Wait until it holds all that has been typed into it."""
        read = asyncio.Event()
        self.control.call_later(read.set)
        await read.wait()

    def _control(self) -> Widget:
        field = self.field
        default = field.default
        match field.kind:
            case "flag":
                return Options([field.title], [0] if default is True else [], many=True, classes="given")
            case "choice" | "choices":
                wanted = default if field.kind == "choices" and isinstance(default, list) else [default]
                chosen = [at for at, one in enumerate(field.options) if one.value in wanted]
                return self._options(chosen)
        return Input(
            field.shown,
            placeholder=field.hint if field.kind == "text" else "",
            password=field.secret,
            compact=True,
            classes="given",
        )

    def _options(self, chosen: list[int]) -> Widget:
        labels = [one.label for one in self.field.options]
        many = self.field.kind == "choices"
        if many or len(labels) <= FEW:
            return Options(labels, chosen, many=many, classes="given")
        options = [(label, at) for at, label in enumerate(labels)]
        if not chosen:
            return Select[int](options, prompt="Choose", compact=True, classes="given")
        return Select[int](options, value=chosen[0], compact=True, classes="given")


class Question(Card):
    """A form.  Enter goes on to the next field, and from the last one sends it.

    Keys that lead elsewhere are met before any other is handed on (`priority`): what is typed behind them goes there.
    """

    BINDINGS = [
        Binding("tab", "app.focus_next", "next", priority=True),
        Binding("shift+tab", "app.focus_previous", "previous", priority=True),
        Binding("enter", "onward", "next", priority=True),
        Binding("ctrl+s", "send", "send", priority=True),
        Binding("alt+right", "other(1)", "next", priority=True),
        Binding("alt+left", "other(-1)", "previous", priority=True),
    ]

    def __init__(self, wait: Wait) -> None:
        super().__init__(wait)
        self._fields = forms.fields(wait.schema)

    def title(self) -> str:
        """Its own title, if it has one."""
        meta: Mapping[str, Any] = self.wait.metadata
        named = meta.get("docker-agent/title") or meta.get("cagent/title") or (self.wait.schema or {}).get("title")
        return str(named) if named else "A question for you"

    def compose(self) -> ComposeResult:
        """The question, the fields, the ways to answer."""
        with VerticalScroll(classes="exhibit", can_focus=False):
            yield Static(Content(self.wait.message), classes="message")
            for field in self._fields:
                yield Entry(field)
        yield Static(classes="wrong card-wrong")
        with Horizontal(classes="buttons"):
            yield Button("Send", id="accept", variant="primary", compact=True)
            yield Button("Decline", id="decline", compact=True)
            yield Button("Dismiss", id="cancel", compact=True)
            yield Static("Tab next · Ctrl+S send", classes="keys")

    def on_mount(self) -> None:
        """Nothing is wrong yet."""
        self.complain("")

    def complain(self, why: str) -> None:
        """Say what is wrong with the whole."""
        line = self.query_one(".card-wrong", Static)
        line.update(Content(why))
        line.display = bool(why)

    def begin(self) -> None:
        """Take the focus: the first field that is wrong, else the first."""
        entries = list(self.query(Entry))
        wrong = [entry for entry in entries if entry.has_class("-wrong")]
        if entries:
            (wrong or entries)[0].begin()
        else:
            self.screen.set_focus(self.query_one("#accept"))

    def action_send(self) -> None:
        """Send it, if nothing is wrong with it."""
        self.run_worker(self._send(), exclusive=True)

    async def _send(self) -> None:
        entries = list(self.query(Entry))
        for entry in entries:
            await entry.caught_up()
        given = {entry.field.name: entry.given for entry in entries}
        values, wrong = content(self._fields, given)
        for entry in entries:
            entry.complain(wrong.get(entry.field.name, ""))
        if wrong:
            self.begin()
        else:
            self.answer(action="accept", content=values)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Enter leads on from what is typed or chosen here; to buttons and open lists it is theirs."""
        return isinstance(self.screen.focused, Input | Options) if action == "onward" else True

    def action_onward(self) -> None:
        """To the next field, or off with it."""
        control = self.screen.focused
        if self.guarded:
            return
        entries = list(self.query(Entry))
        at = next((at for at, entry in enumerate(entries) if entry.control is control), len(entries))
        if at + 1 < len(entries):
            entries[at + 1].begin()
        else:
            self.action_send()

    def action_other(self, by: int) -> None:
        """To another card."""
        self.post_message(self.Left(by))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        """What was wrong with it may be right now."""
        for entry in event.input.ancestors:
            if isinstance(entry, Entry) and entry.has_class("-wrong"):
                entry.complain("")

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.id == "accept":
            self.action_send()
        else:
            self.answer(action=event.button.id)
