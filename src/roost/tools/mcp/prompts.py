"""What a tool server offers to say: its prompts, as commands that people type."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from roost.core.commands import split
from roost.core.errors import BadValue
from roost.core.events import Command
from roost.tools.mcp.results import clipped

if TYPE_CHECKING:
    from mcp import types

MOST = 200  # prompts of one server
DESCRIPTION = 1024  # bytes

log = logging.getLogger(__name__)


class Prompt(Struct, frozen=True, omit_defaults=True):
    """One of them."""

    name: str
    description: str = ""
    arguments: tuple[tuple[str, str, bool], ...] = ()  # name, description, required

    @property
    def usage(self) -> str:
        """Its arguments as a person writes them; what may be left out stands in brackets."""
        return " ".join(f"{name}=…" if required else f"[{name}=…]" for name, _, required in self.arguments)


def read(listed: "Iterable[types.Prompt]") -> tuple[Prompt, ...]:
    """What a server has told."""
    return tuple(
        Prompt(
            one.name,
            clipped(one.description or "", DESCRIPTION),
            tuple((a.name, clipped(a.description or "", DESCRIPTION), bool(a.required)) for a in one.arguments or ()),
        )
        for _, one in zip(range(MOST), listed, strict=False)
    )


def named(prompts: Iterable[Prompt], server: str) -> dict[str, Prompt]:
    """The prompts by what people call them: `server:prompt` where the server has a name; of two alike the first."""
    found: dict[str, Prompt] = {}
    for prompt in prompts:
        if name := re.sub(r"\s+", "-", prompt.name.strip()):
            found.setdefault(f"{server}:{name}" if server else name, prompt)
    return found


def commands(prompts: Mapping[str, Prompt]) -> tuple[Command, ...]:
    """As clients are shown them."""
    return tuple(
        Command(name, " ".join(filter(None, (prompt.description, prompt.usage)))) for name, prompt in prompts.items()
    )


def filled(name: str, prompt: Prompt, rest: str) -> dict[str, str]:
    """The arguments that a person has written: `name=value` anywhere, others in their order, the last takes all.

    Raises:
        BadValue: one is missing, or there are more than the prompt has.
    """
    known = [argument for argument, _, _ in prompt.arguments]
    given, words = _named(split(rest), known)
    open_ = [argument for argument in known if argument not in given]
    for argument in open_[:-1]:
        if words:
            given[argument] = words.pop(0)
    if words and open_:
        given[open_[-1]] = rest.strip() if open_ == known and len(known) == 1 else " ".join(words)
    missing = [argument for argument, _, required in prompt.arguments if required and argument not in given]
    if missing:
        raise BadValue(f"missing: {', '.join(missing)}. Write /{name} {prompt.usage}")
    if words and known and not open_:
        raise BadValue(f"too much. Write /{name} {prompt.usage}")
    return given


def _named(words: Sequence[str], known: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """The arguments that are named, and the words that are not among them."""
    given = dict(word.split("=", 1) for word in words if word.partition("=")[0] in known and "=" in word)
    return given, [word for word in words if word.partition("=")[0] not in given]
