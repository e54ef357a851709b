"""Slash commands with all that they may ask for: tools, skills, prompts, another agent, a page to open."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final
from urllib.parse import quote

import anyio
from msgspec import Struct
from msgspec.structs import replace

from roost.core import commands
from roost.core.agents import Agent
from roost.core.commands import Request
from roost.core.errors import RoostError
from roost.core.events import Command
from roost.core.messages import Message, Text
from roost.ports import Speaker

PATIENCE: Final = 30.0  # seconds for one tool of a command
LONGEST: Final = 200_000  # characters of one tool's answer that come into the text

Run = Callable[[Request], Awaitable[str]]
"""Runs a tool for a command, under the rules for tool calls; a refusal and a failure are texts, too."""


class Said(Struct, frozen=True):
    """What a message comes to.

    `agent` is the one to switch to first, or "".  A `reply` is given in place of asking a model.
    """

    message: Message
    agent: str = ""
    reply: str = ""


async def said(
    message: Message,
    agent: Agent,
    env: Mapping[str, str],
    *,
    run: Run,
    tools: Collection[str] = (),
    speakers: Sequence[tuple[Command, Speaker]] = (),
    session: str = "",
    enabled: bool = True,
) -> Said:
    """What a person's message stands for; one that names no command is left as it is.

    `tools` are the names that a command may call; what `speakers` have to say counts where no command of the agent
    has its name.
    """
    if not enabled or message.role != "user" or message.implicit or not message.content.startswith("/"):
        return Said(message)
    found = commands.find(message.content, agent.commands)
    if found is not None and found[0].url:
        return Said(message, reply=_page(found[0], session))
    if found is None and (spoken := commands.find(message.content, [command for command, _ in speakers])) is not None:
        command, rest = spoken
        return await _spoken(message, command.name, rest, next(one for known, one in speakers if known == command))
    return await _resolved(message, agent, env, run, tools)


async def _resolved(message: Message, agent: Agent, env: Mapping[str, str], run: Run, tools: Collection[str]) -> Said:
    """Resolve, run what is asked for, resolve again with what came of it, until nothing is."""
    results: dict[Request, str] = {}
    while True:
        resolved = commands.resolve(message.content, agent.commands, env=env, tools=tools, results=results)
        if resolved is None:
            return Said(message)
        if not resolved.requests:
            return Said(_worded(message, resolved.text or message.content), resolved.agent)
        for request in resolved.requests:
            results[request] = await _answer(run, request)


async def _answer(run: Run, request: Request) -> str:
    """What a tool says, within its time and its length."""
    with anyio.move_on_after(PATIENCE):
        return _cut(await run(request))
    return f"({request.tool} did not answer within {PATIENCE:g} seconds)"


async def _spoken(message: Message, name: str, rest: str, speaker: Speaker) -> Said:
    """What a toolset has to say; where it can't, the person reads why, and no model is asked."""
    with anyio.move_on_after(PATIENCE):
        try:
            return Said(_worded(message, _cut(await speaker.say(name, rest))))
        except RoostError as error:
            return Said(message, reply=f"/{name}: {error}")
    return Said(message, reply=f"/{name} had no answer within {PATIENCE:g} seconds")


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n[the rest is left out]"


def _page(command: Command, session: str) -> str:
    address = command.url.replace("{{session_id}}", quote(session, safe=""))
    return f"Open this page in a browser: {address}"


def _worded(message: Message, text: str) -> Message:
    """The message with other words, in its parts too: these are what a model is sent."""
    parts = list(message.parts)
    place = next((n for n, part in enumerate(parts) if part == Text(message.content)), None)
    if place is not None:
        parts[place] = Text(text)
    elif parts:
        parts.insert(0, Text(text))
    return replace(message, content=text, parts=tuple(parts))
