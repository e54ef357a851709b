"""What an agent is told first, where its CLI has no place of its own for instructions or a schema."""

from roost.core import events as e
from roost.drivers import fields
from roost.ports import Errand

WISHES = {
    "effort": "effort",
    "agent": "agents of its own that could be chosen here",
    "add_dirs": "further folders",
    "max_turns": "limit of turns",
    "mcp": "tool servers",
}
"""Fields of an errand, in words."""

_SCHEMA = "Your last message must be a single JSON value that satisfies this JSON schema, and nothing else:\n"


def opening(errand: Errand, prompt: str, *, system: bool = True) -> str:
    """The first message of a conversation: the system prompt, the message itself, and what the result must be.

    A conversation that is resumed has its system prompt already.
    """
    parts = [errand.system_prompt if system and not errand.resume else "", prompt]
    if errand.json_schema is not None:
        parts.append(_SCHEMA + fields.encoded(errand.json_schema))
    return "\n\n".join(part for part in parts if part.strip())


def unheard(errand: Errand, agent: str, *names: str) -> list[e.Fact]:
    """A warning for each wish of an errand that its CLI can't be told of."""
    return [
        e.Warned(f"{agent} knows no {WISHES[name]}; it is left out", agent) for name in names if getattr(errand, name)
    ]
