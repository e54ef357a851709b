"""The types of events by which commands choose: completed in a shell, and a word about those that never come."""

from collections.abc import Iterable
from difflib import get_close_matches

import click
from click.shell_completion import CompletionItem

from roost.cli import show

KINDS = (
    "assistant_message",
    "heartbeat",
    "parse_warning",
    "permission",
    "provider_status",
    "reasoning",
    "session_cleared",
    "session_ended",
    "session_result",
    "session_started",
    "stderr",
    "tool_call",
    "tool_result",
    "usage",
    "usage_limit_hit",
    "usage_limit_resume_failed",
    "usage_limit_resumed",
    "user_event",
    "user_message",
)


class Kind(click.types.StringParamType):
    """The name of a type.  A newer server may know more of them, so that one we don't know is no error."""

    name = "type"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as it is."""
        heed(value.split(","))
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Those that begin like that."""
        return [CompletionItem(kind) for kind in KINDS if kind.startswith(incomplete)]


def heed(names: Iterable[str]) -> None:
    """Say so where no event will be of a type."""
    for name in (name.strip() for name in names):
        if name and name not in KINDS:
            alike = get_close_matches(name, KINDS, n=1)
            hint = f"did you mean {alike[0]}?" if alike else f"there are {', '.join(KINDS)}"
            show.note(f"no event is of the type {name!r}, as far as is known here: {hint}")
