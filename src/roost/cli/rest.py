"""A command that keeps the words behind `--` apart from those before it."""

from typing import Any

import click

_KEY = "roost.rest"


class Rest(click.Command):
    """Takes `… -- WORDS`; `words(ctx)` are those."""

    def __init__(self, *args: Any, rest: str = "WORDS...", **options: Any) -> None:
        super().__init__(*args, **options)
        self._rest = rest

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what stands before the first `--`."""
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[_KEY] = args[at + 1 :]
        return super().parse_args(ctx, args[:at])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """How it is called, with what comes behind."""
        return [*super().collect_usage_pieces(ctx), "--", self._rest]


def words(ctx: click.Context) -> list[str]:
    """What stood behind `--`."""
    found: list[str] = ctx.meta.get(_KEY, [])
    return found
