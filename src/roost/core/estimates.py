"""How many tokens something takes, before a provider has counted them; and texts cut to such a measure."""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from roost.core.agents import Agent
from roost.core.messages import Definition, File, Image, Message, Part, Result, Text
from roost.core.session import Head

CHARACTERS: Final = 4  # of text that make a token
MESSAGE: Final = 5  # tokens that a message takes besides what is in it
IMAGE: Final = 1_500  # tokens of a picture, whatever its size
FILE: Final = 3_000  # tokens of a file that is sent as it is
OLD_RESULTS: Final = 40_000  # tokens of older tool results, where nobody says otherwise


def of_text(text: str) -> int:
    """The tokens of a text."""
    return -(-len(text) // CHARACTERS)


def of_message(message: Message) -> int:
    """The tokens of a message: what it says, what it shows, and what it calls."""
    said = sum(map(_of_part, message.parts)) if message.parts else of_text(message.content)
    called = sum(of_text(call.name) + of_text(call.arguments) for call in message.calls)
    return MESSAGE + said + called


def of_messages(messages: Iterable[Message]) -> int:
    """The tokens of several messages."""
    return sum(map(of_message, messages))


def of_definitions(tools: Iterable[Definition]) -> int:
    """The tokens of tools that a model is offered."""
    return sum(of_text(f"{tool.name}{tool.description}") + of_text(_json(tool.parameters)) for tool in tools)


def _json(data: object) -> str:
    return msgspec.json.encode(data).decode()


def _of_part(part: Part) -> int:
    match part:
        case Text(text=text):
            return of_text(text)
        case Image():
            return IMAGE
        case File():
            return FILE


def shortened(text: str, tokens: int) -> str:
    """A text that takes at most so many tokens: its middle gives way to a note.  0 and less is no limit.

    The note itself is always there, also where it alone takes more than that.
    """
    most = tokens * CHARACTERS
    if tokens <= 0 or len(text) <= most:
        return text
    room = max(most - len(_note(len(text))), 0)
    first, last = (room + 1) // 2, room // 2
    return text[:first] + _note(len(text) - first - last) + (text[-last:] if last else "")


def _note(characters: int) -> str:
    return f"\n[... {characters} characters left out ...]\n"


def within(result: Result, tokens: int) -> Result:
    """A tool's result whose text takes at most so many tokens; 0 and less is no limit."""
    output = shortened(result.output, tokens)
    return result if output == result.output else replace(result, output=output)


def old_results(agent: Agent, head: Head | None = None) -> int:
    """What older tool results may take of a request, in tokens; -1 is no limit."""
    chosen = (head.max_old_tool_call_tokens if head else 0) or agent.max_old_tool_call_tokens
    return max(chosen, -1) or OLD_RESULTS


def one_result(agent: Agent, head: Head | None = None) -> int:
    """What one tool result may take, in tokens; 0 is no limit."""
    return max((head.max_tool_result_tokens if head else 0) or agent.max_tool_result_tokens, 0)
