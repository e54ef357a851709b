"""What is loaded when it is used: commands, of which one line of help is known before, and what they need to run.

Help and completion name nothing of it.  `lazy.host` is `roost.cli.host`, with half of the server, loaded now.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from roost.cli import alone, background, errand, host, indoors, plane, registry, screen, turn
    from roost.cli import front as desk
    from roost.config import aliases, front, references, settings
    from roost.doors import pprof

__all__ = [
    "aliases",
    "alone",
    "background",
    "desk",
    "errand",
    "front",
    "host",
    "indoors",
    "plane",
    "pprof",
    "references",
    "registry",
    "screen",
    "settings",
    "turn",
]

_ELSEWHERE = {
    "aliases": "roost.config.aliases",
    "desk": "roost.cli.front",
    "front": "roost.config.front",
    "pprof": "roost.doors.pprof",
    "references": "roost.config.references",
    "settings": "roost.config.settings",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """A module of `__all__`."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return import_module(_ELSEWHERE.get(name, f"roost.cli.{name}"))


class Entry(NamedTuple):
    """Where a command is (`module:name`), and what it does in a line."""

    target: str
    help: str
    hidden: bool = False

    def load(self) -> click.Command:
        """The command itself."""
        module, _, name = self.target.partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command


class LazyGroup(click.Group):
    """Commands by their entries, in the entries' order."""

    def __init__(self, *args: Any, entries: Mapping[str, Entry], **options: Any) -> None:
        super().__init__(*args, **options)
        self.entries = entries

    def invoke(self, ctx: click.Context) -> Any:
        """The command; Ctrl-C before it has its own way of ending is 130, as for everything else."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo(err=True)
            ctx.exit(130)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant; of a name that is none it is said which one it is like.

        Raises:
            UsageError: there is none.
        """
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            # Only who has mistyped something pays for it.
            from difflib import get_close_matches

            shown = [name for name, entry in self.entries.items() if not entry.hidden]
            if args[0].startswith("-") or not (alike := get_close_matches(args[0], shown)):
                raise
            raise click.UsageError(f"no such command {args[0]!r}: did you mean {' or '.join(alike)}?", ctx) from None

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, loaded now."""
        entry = self.entries.get(cmd_name)
        return entry.load() if entry else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, from the entries alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.entries.items() if not entry.hidden])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names that begin like this, from the entries alone."""
        names = [
            CompletionItem(name, help=entry.help)
            for name, entry in self.entries.items()
            if name.startswith(incomplete) and not entry.hidden
        ]
        return names + click.Command.shell_complete(self, ctx, incomplete)
