"""A person before a session: what is shown, what is said, what is answered; apart from the screen itself."""

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import convert

from roost.client.client import Client
from roost.client.errors import Refused
from roost.client.shapes import Content, Posted
from roost.core.errors import BadValue, RoostError
from roost.tui import attachments, shell
from roost.tui.attachments import Attachment
from roost.tui.feed import Feed
from roost.tui.parts import Answered, Command, Teammate, Wait
from roost.tui.rows import Call, Changes
from roost.tui.view import View

PAGE = 200  # messages that are fetched at once
BUSY = ("running", "waiting", "queued")

Opened = Callable[[str], Awaitable[None]]


class Sitting:
    """One session at a time.  What it changes in the view it hands to `show`."""

    def __init__(
        self,
        client: Client,
        source: str,
        *,
        agent_name: str = "",
        model: str = "",
        safety: str = "",
        working_dir: str = "",
        local: bool = True,
        show: Callable[[Changes], None],
        told: Callable[[], None],
        opened: Opened | None = None,
    ) -> None:
        self.client = client
        self.first_source = source
        self.local = local
        self.working_dir = working_dir
        self.safety = safety
        self.view = View()
        self.feed = Feed(client, told)
        self.agent = agent_name  # who is to take the next turn; "" is whoever is there
        self.model = model  # that the next turn is to use; "" is the one that is used
        self.starred = False
        self.mine: set[str] = set()  # waits that were answered here
        self._show = show
        self._opened = opened
        self._known: dict[str, tuple[Teammate, ...]] = {}
        self._heard: set[str] = set()  # answered waits of which the person knows
        self._sending = asyncio.Lock()  # messages go in the order in which they were written

    # -- which session --------------------------------------------------------------------------

    @property
    def session(self) -> str:
        """The one that is shown."""
        return self.view.session

    @property
    def source(self) -> str:
        """The agent file, or CLI, that works in it."""
        return self.view.source or self.first_source

    @property
    def folder(self) -> Path | None:
        """Where the session works, if that is on this machine."""
        place = self.view.working_dir or self.working_dir
        return Path(place).expanduser() if self.local and place else Path.cwd() if self.local else None

    @property
    def busy(self) -> bool:
        """Whether a turn is under way."""
        return self.view.state in BUSY

    async def create(self) -> str:
        """A new session; its id."""
        place = self.view.working_dir or self.working_dir
        made = await self.client.create(working_dir=place or None, safety_policy=self.safety or None)
        return made.id

    async def open(self, session: str) -> None:
        """Show a session as it is; what happens in it from now on comes by `pump`, while `follow` runs.

        Raises:
            RoostError: it can't be read.  What was shown still is.
        """
        snapshot = await self.client.snapshot(session, last=PAGE)
        if self._opened is not None:
            await self._opened(session)
        if self.view.session and self.view.session != session:
            self.agent = self.model = ""
        self.view = View.open(snapshot)
        self.starred = snapshot.starred
        self._heard = {one.wait.id for one in self.view.answered}

    async def follow(self) -> None:
        """Take in what happens, until the session is no more."""
        await self.feed.follow(self.session, self.view.seq)

    def pump(self) -> Changes:
        """What has happened since the last time."""
        return self.view.take_all(self.feed.taken())

    async def older(self) -> None:
        """The page of messages before the first that is there."""
        view = self.view
        if view.more:
            page = await self.client.snapshot(view.session, last=PAGE, before=view.oldest)
            if view is self.view:
                self._show(view.prepend(page))

    # -- who is there ---------------------------------------------------------------------------

    async def introduce(self) -> None:
        """Learn the team before its first turn."""
        source = self.source
        if source and source not in self._known:
            with suppress(RoostError, ValueError, TypeError):
                self._known[source] = team(await self.client.agent(source))

    @property
    def team(self) -> Sequence[Teammate]:
        """The agents that can be talked to."""
        return self.view.team or self._known.get(self.source, ())

    @property
    def speaker(self) -> str:
        """Who takes the next turn."""
        names = [mate.name for mate in self.team]
        return self.agent or self.view.agent or ("root" if "root" in names else next(iter(names), ""))

    @property
    def commands(self) -> Sequence[Command]:
        """The slash commands of that agent."""
        mate = next((mate for mate in self.team if mate.name == self.speaker), None)
        return self.view.commands or (mate.commands if mate else ())

    # -- what is said ---------------------------------------------------------------------------

    async def send(self, text: str, attached: Sequence[Attachment] = (), *, steer: bool = False) -> None:
        """Say something: at once, or while a turn is under way after it, or (`steer`) into it.

        Raises:
            RoostError: it was not taken.
        """
        view, posted = self.view, self._posted(text, attached)
        echoed = text if not text.startswith("/") else ""
        if echoed and not self.busy:
            self._show(view.said(echoed))
        try:
            async with self._sending:
                await self._deliver(posted, steer=steer)
        except RoostError:
            if echoed:
                self._show(view.unsaid(echoed))
            raise

    async def _deliver(self, posted: Posted, *, steer: bool) -> None:
        if self.busy:
            try:
                await self._queue(posted, steer=steer)
            except Refused as error:
                if error.code != "session_not_running":  # its turn has just ended
                    raise
            else:
                return
        try:
            await self._start(posted)
        except Refused as error:
            if error.code != "session_busy":  # somebody else has just begun one
                raise
            await self._queue(posted, steer=steer)

    async def _start(self, posted: Posted) -> None:
        agent, model = self.agent, self.model
        await self.client.start(self.session, self.source, posted, agent_name=agent, model=model, since=self.view.seq)
        self.agent = "" if self.agent == agent else self.agent
        self.model = "" if self.model == model else self.model

    async def _queue(self, posted: Posted, *, steer: bool) -> None:
        if steer:
            await self.client.steer(self.session, posted)
        else:
            await self.client.followup(self.session, posted, key=uuid.uuid4().hex)

    async def take_back(self, number: int = 0) -> tuple[str, list[Attachment]] | None:
        """What was typed for a message that waits, the newest unless it is told which: it waits no longer.

        None where it has been taken meanwhile.

        Raises:
            RoostError: it can't be had.
        """
        number = number or max((one.id for one in self.view.queue), default=0)
        try:
            withdrawn = await self.client.withdraw(self.session, number)
        except Refused as error:
            if error.code in ("already_taken", "not_queued"):
                return None
            raise
        found = [attachments.unpacked(message, self.folder) for message in withdrawn.messages]
        return "\n\n".join(text for text, _ in found if text), [one for _, along in found for one in along]

    def _posted(self, text: str, attached: Sequence[Attachment]) -> Posted:
        """The message, with the files that it names."""
        named = [attachments.of_file(path, local=True) for path in attachments.mentioned(text, self.folder)]
        parts = [one.part() for one in (*attached, *named)]
        if not parts:
            return Posted(content=text)
        words = [{"type": "text", "text": text}] if text else []
        return Posted(content=text, multi_content=convert((*words, *parts), tuple[Content, ...]))

    async def cancel(self) -> None:
        """End the turn that is under way."""
        await self.client.cancel(self.session)

    # -- what waits -----------------------------------------------------------------------------

    async def answer(self, wait: Wait, **fields: Any) -> None:
        """Answer what waits.

        Raises:
            RoostError: the answer was not taken.
        """
        self.mine.add(wait.id)
        try:
            await self.client.answer(wait.id, **fields)
        except RoostError:
            self.mine.discard(wait.id)
            raise

    def elsewhere(self) -> list[Answered]:
        """What others have answered since the last time, or what was withdrawn."""
        fresh = [one for one in self.view.answered if one.wait.id not in self._heard]
        self._heard.update(one.wait.id for one in fresh)
        return [one for one in fresh if one.wait.id not in self.mine]

    # -- a command of one's own -----------------------------------------------------------------

    async def shell(self, command: str) -> shell.Ran:
        """Run a command in the session's folder, and show what it prints.

        Raises:
            BadValue: the session is elsewhere, or the command can't be started.
        """
        view, folder = self.view, self.folder
        if folder is None:
            raise BadValue("! runs commands on this machine, and the session is on another: ask its agent to run it")
        row = Call(view.stack.free("local"), name="shell", arguments=json.dumps({"cmd": command}), state="running")
        row.agent = "you"
        view.stack.place(row, view.stack.root)
        self._show(_drained(view))

        def shown(output: str, state: Any = "running") -> None:
            row.output, row.state = output, state
            view.stack.touch(row)
            if view is self.view:
                self._show(_drained(view))

        try:
            ran = await shell.run(command, folder, show=shown)
        except BaseException as error:
            shown(row.output, "canceled" if isinstance(error, asyncio.CancelledError) else "failed")
            raise
        row.result = ran.output.rstrip("\n")
        shown(ran.output, "failed" if ran.code else "done")
        return ran


def _drained(view: View) -> Changes:
    """What was changed in it by hand."""
    changes, view.stack.changes = view.stack.changes, Changes()
    return changes


def team(loaded: Any) -> tuple[Teammate, ...]:
    """The agents of a file, as the server shows it."""
    mates = []
    for entry in loaded.get("agents") or ():
        name = str(entry.get("Name") or entry.get("name") or "")
        commands = entry.get("commands") or {}
        known = [_command(key, value) for key, value in commands.items()] if isinstance(commands, dict) else []
        mates.append(
            Teammate(name, str(entry.get("description") or ""), "", str(entry.get("model") or ""), tuple(known))
        )
    return tuple(mates)


def _command(name: str, value: Any) -> Command:
    if isinstance(value, dict):
        return Command(name, str(value.get("description") or ""), str(value.get("instruction") or ""))
    return Command(name, "", str(value or ""))
