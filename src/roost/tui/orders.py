"""The slash commands of the screen, carried out: each is a method of its name."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from textual.screen import Screen

from roost.client.errors import Refused
from roost.client.requests import Query
from roost.core import modes
from roost.core.errors import BadValue
from roost.tui import caps, export, preferences
from roost.tui.dialogs import lists
from roost.tui.dialogs.help import Help
from roost.tui.dialogs.line import Line
from roost.tui.dialogs.picker import Item, Picker
from roost.tui.dialogs.sessions import Sessions
from roost.tui.dialogs.themes import Themes
from roost.tui.preferences import NOTIFY
from roost.tui.slash import Typed
from roost.tui.themes import THEMES

if TYPE_CHECKING:
    from roost.tui.app import RoostApp

T = TypeVar("T")


class Orders:
    """Does what was typed behind a slash, or chosen from a list."""

    def __init__(self, app: "RoostApp") -> None:
        self._app = app
        self._sitting = app.sitting
        self._client = app.sitting.client

    async def carry_out(self, typed: Typed) -> None:
        """Do it.

        Raises:
            RoostError: it can't be done.
        """
        table: Mapping[str, Callable[[str], Awaitable[None]]] = {
            name: getattr(self, name) for name in dir(self) if not name.startswith("_") and name != "carry_out"
        }
        await table[typed.name](typed.rest)

    # -- sessions -------------------------------------------------------------------------------

    async def new(self, rest: str) -> None:
        """Begin anew."""
        await self._app.open(await self._sitting.create())

    async def sessions(self, rest: str) -> None:
        """Open another one."""
        rows = await self._client.list_sessions()
        chosen = await self._app.push_screen_wait(Sessions(self._client, rows, self._sitting.session))
        if chosen and chosen != self._sitting.session:
            await self._app.open(chosen)

    async def search(self, rest: str) -> None:
        """Find a text in all sessions."""
        text = rest or await self._ask(Line("Find in all sessions", placeholder="text"))
        if not text:
            return
        try:
            found = await self._client.search(Query(query=text, everywhere=True, limit=100))
        except Refused as error:
            if error.status in (401, 403, 404):
                raise BadValue("this server does not let you search: /api/v1 is not open to you") from None
            raise
        chosen = await self._pick(f"“{text}” in all sessions", lists.places(found), empty="It is nowhere to be found.")
        if chosen and chosen != self._sitting.session:
            await self._app.open(chosen)

    async def fork(self, rest: str) -> None:
        """Go on from an earlier message."""
        items = lists.forks(self._sitting.view.rows)
        at = await self._pick("Go on from before which message?", items, empty="Nothing has been said yet.")
        if at is None:
            return
        words = next((item.words for item in items if item.value == at), "")
        made = await self._client.fork(self._sitting.session, at)
        await self._app.open(made.id)
        self._app.prompt.restore(words)
        self._app.say("A fork. The other session stays as it is.")

    async def title(self, rest: str) -> None:
        """Another title."""
        title = rest or await self._ask(Line("Another title", self._sitting.view.title))
        if title:
            await self._client.title(self._sitting.session, title)
            self._sitting.view.title = title
            self._app.stand()

    async def star(self, rest: str) -> None:
        """Mark it, or not."""
        await self._client.star(self._sitting.session, not self._sitting.starred)
        self._sitting.starred = not self._sitting.starred
        self._app.say("Starred." if self._sitting.starred else "No longer starred.")

    async def export(self, rest: str) -> None:
        """Write it down."""
        shown = await self._client.show(self._sitting.session)
        written = await asyncio.to_thread(export.write, rest or f"{export.filename(shown)}.md", shown)
        self._app.say(f"Written to {written}")

    async def copy(self, rest: str) -> None:
        """The newest answer."""
        if not self._app.transcript.copy():
            self._app.say("There is no answer to copy yet.", severity="warning")

    async def history(self, rest: str) -> None:
        """Something that was typed before stands in the prompt again."""
        items = lists.typed(self._app.prompt.history.newest)
        chosen = await self._pick("What was typed before", items, empty="Nothing like that was typed before.")
        if chosen:
            self._app.prompt.editor.show(chosen)
            self._app.prompt.begin()

    # -- the agent ------------------------------------------------------------------------------

    async def agent(self, rest: str) -> None:
        """Somebody else takes the next turn."""
        team = self._sitting.team
        names = [mate.name for mate in team]
        name = rest or await self._pick("Talk to", lists.agents(team, self._sitting.speaker), empty="It works alone.")
        if not name:
            return
        if name not in names:
            raise BadValue(f"there is no agent {name!r} here: {', '.join(names) or 'it works alone'}")
        self._sitting.agent = name
        self._app.stand()
        self._app.say(f"{name} takes your next message.")

    async def model(self, rest: str) -> None:
        """Another model, from the next message on."""
        if rest:
            name = rest
        else:
            try:
                known = (await self._client.models(self._sitting.session)).models
            except Refused as error:
                if error.code != "session_not_running" and error.status != 404:
                    raise
                self._app.say(
                    "Its models are known once it has run. Name one: /model provider/name", severity="warning"
                )
                return
            name = await self._pick("Model", lists.models(known, self._sitting.model)) or ""
        if name:
            self._sitting.model = name
            self._app.stand()
            self._app.say(f"{name} answers from your next message on.")

    async def safety(self, rest: str) -> None:
        """What may run unasked."""
        mode = rest or await self._pick("What may run unasked?", lists.modes(self._sitting.view.safety))
        if mode:
            mode = modes.safety(mode)
            await self._client.safety(self._sitting.session, mode)

    async def compact(self, rest: str) -> None:
        """Make room."""
        await self._client.compact(self._sitting.session, rest or None)
        self._app.say("The history is summed up before it goes on.")

    async def budget(self, rest: str) -> None:
        """What may be spent."""
        if not rest:
            rest = await self._ask(Line("What may this session spend?", placeholder="$5, 200k tokens, 30m or none"))
        if not rest:
            return
        limits = None if rest.lower() in ("none", "off", "no") else caps.read(rest)
        await self._client.budget(self._sitting.session, limits)
        self._app.say(f"Its budget is {caps.worded(limits)}." if limits else "It has no budget any more.")

    async def cancel(self, rest: str) -> None:
        """Stop."""
        await self._app.interrupt()

    # -- the screen -----------------------------------------------------------------------------

    async def tree(self, rest: str) -> None:
        """Show the sub-agents, or not."""
        self._app.action_tree()

    async def results(self, rest: str) -> None:
        """Show what tools return, or only that they run."""
        transcript = self._app.transcript
        transcript.results = not transcript.results
        shown = "is shown" if transcript.results else "is hidden: Enter on a call shows it"
        self._app.say(f"What tools return {shown}.")

    async def theme(self, rest: str) -> None:
        """Other colours, to be seen while one chooses."""
        before = self._app.theme
        name = rest or await self._ask(Themes(before))
        if name and name not in THEMES:
            raise BadValue(f"there is no theme {name!r}: {', '.join(THEMES)}")
        self._app.theme = name or before
        if name:
            self._app.chosen.theme = name
            self._keep()

    async def notify(self, rest: str) -> None:
        """How to be called."""
        items = lists.ways(self._app.chosen.notify)
        how = rest or await self._pick("When something waits and this window has no focus", items)
        if how:
            found = next((one for one in NOTIFY if one == how), None)
            if found is None:
                raise BadValue(f"{how!r} is none of {', '.join(NOTIFY)}")
            self._app.chosen.notify = found
            self._keep()

    async def help(self, rest: str) -> None:
        """The keys."""
        await self._app.push_screen_wait(Help())

    async def quit(self, rest: str) -> None:
        """Leave."""
        self._app.leave()

    # -- below ----------------------------------------------------------------------------------

    async def _ask(self, screen: Screen[str | None]) -> str:
        return await self._app.push_screen_wait(screen) or ""

    async def _pick(self, title: str, items: list[Item[T]], *, empty: str = "Nothing is here.") -> T | None:
        return await self._app.push_screen_wait(Picker(title, items, empty=empty))

    def _keep(self) -> None:
        try:
            preferences.write(self._app.home, self._app.chosen)
        except OSError as error:
            raise BadValue(f"it can't be kept: {error.strerror}") from None
