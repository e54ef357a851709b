"""Slash commands in what people say: `/name rest` becomes the command's text.

What needs no tool is done when the message comes; the rest when the turn has its tools.
"""

from collections.abc import Collection, Iterator, Mapping

from msgspec.structs import replace

from roost.core import commands as words
from roost.core import events as e
from roost.core.agents import Agent
from roost.core.messages import Message
from roost.core.redaction import Veiled
from roost.engine import commands
from roost.engine.aside import run_aside
from roost.engine.commands import Said
from roost.engine.draft import unasked
from roost.engine.stage import Stage


def resolved(message: Message, agent: Agent, env: Mapping[str, str]) -> tuple[Message, str]:
    """The message as the model gets it, and the agent that it switches to, or "".

    One whose command needs a tool, or opens a page, is left as it is until the turn has its tools.
    """
    found = words.find(message.content, agent.commands)
    if found is not None and found[0].url:
        return message, ""
    done = words.resolve(message.content, agent.commands, env=Veiled(env), tools=_callable(agent))
    if done is None:
        return message, ""
    if done.requests:
        return message, done.agent
    return replace(message, content=done.text or message.content), done.agent


class _All(Collection[str]):
    """The names of all tools there could be: an agent's are not known before they are started."""

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _callable(agent: Agent) -> Collection[str]:
    return _All() if agent.toolsets else ()


async def said(stage: Stage, message: Message) -> Said:
    """What a message stands for, with what needs tools and toolsets."""
    ready, makers = stage.ready, stage.makers

    async def run(request: words.Request) -> str:
        return await run_aside(stage, request)

    return await commands.said(
        message,
        ready.agent,
        Veiled(makers.env),
        run=run,
        tools=tuple(ready.tools),
        speakers=ready.toolbox.speakers,
        session=stage.session,
        enabled=makers.commands,
    )


async def settle(stage: Stage) -> bool:
    """Resolve the posted messages of the turn that still stand as commands; whether one is answered with that.

    One that was resolved is not read again, whatever it has become.
    """
    answered = False
    for item in [i for i in stage.history.items if i.seq > stage.turn.opened]:
        message = item.message
        if message is None or message.role != "user" or item.edited or not message.content.startswith("/"):
            continue
        done = await said(stage, message)
        if done.message != message:
            await stage.journal.write(e.MessageEdited(item.seq, done.message))
        if done.reply:
            reply = Message("assistant", done.reply, agent=stage.turn.agent, at=stage.makers.clock.now())
            await stage.journal.write(*unasked(reply))
            answered = True
    return answered
