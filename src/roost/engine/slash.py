"""Slash commands in what people say: `/name rest` becomes the command's text."""

from collections.abc import Mapping

from msgspec.structs import replace

from roost.core import commands
from roost.core.agents import Agent
from roost.core.messages import Message


def resolved(message: Message, agent: Agent, env: Mapping[str, str]) -> tuple[Message, str]:
    """The message as the model gets it, and the agent that it switches to, or "".

    Calls of tools in a command's text are not made: they stay as they are.
    """
    found = commands.resolve(message.content, agent.commands, env=env)
    if found is None:
        return message, ""
    return replace(message, content=found.text or message.content), found.agent
