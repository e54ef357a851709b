"""The slash commands of the terminal UI itself; those of the agent come from its file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from roost.tui.parts import Command


@dataclass(frozen=True, slots=True)
class Slash:
    """One of them: `argument` says what may stand behind it, `key` what does the same."""

    name: str
    description: str
    argument: str = ""
    key: str = ""
    group: str = "Session"


OWN: tuple[Slash, ...] = (
    Slash("help", "Keys and commands", key="F1", group="Roost"),
    Slash("new", "Begin a new session"),
    Slash("sessions", "Open, rename or delete sessions", key="Ctrl+O"),
    Slash("search", "Find text in all sessions", "[text]"),
    Slash("fork", "Go on anew from an earlier message"),
    Slash("title", "Give the session another title", "[title]"),
    Slash("star", "Mark the session, or take the mark away"),
    Slash("export", "Write the conversation to a file", "[path]"),
    Slash("copy", "Copy the last answer"),
    Slash("history", "Find what was typed before", key="Ctrl+R"),
    Slash("agent", "Talk to another agent of the team", "[name]", group="Agent"),
    Slash("model", "Use another model", "[name]", key="Ctrl+L", group="Agent"),
    Slash("safety", "What may run unasked", "[mode]", group="Agent"),
    Slash("compact", "Sum the history up, to make room", "[what to heed]", group="Agent"),
    Slash("budget", "What the session may spend", "[$5, 30m, none …]", group="Agent"),
    Slash("cancel", "Stop what it does", key="Esc Esc", group="Agent"),
    Slash("tree", "Show or hide the sub-agents", key="Ctrl+T", group="Screen"),
    Slash("results", "Show or hide what tools return", key="Ctrl+G, r", group="Screen"),
    Slash("theme", "Other colours", "[name]", group="Screen"),
    Slash("notify", "How to be told that something waits", "[how]", group="Screen"),
    Slash("quit", "Leave", key="Ctrl+C Ctrl+C", group="Roost"),
)

_ALIASES = {
    "exit": "quit",
    "q": "quit",
    "resume": "sessions",
    "clear": "new",
    "models": "model",
    "themes": "theme",
    "agents": "agent",
    "find": "search",
    "?": "help",
    "stop": "cancel",
}


@dataclass(frozen=True, slots=True)
class Typed:
    """A command of our own, as it was typed."""

    name: str
    rest: str = ""


def parse(text: str, commands: Sequence[Command] = ()) -> Typed | None:
    """The command of ours that the text is; the agent's own come first, and what is none is for the agent."""
    if not text.startswith("/") or "\n" in text.strip():
        return None
    name, _, rest = text[1:].strip().partition(" ")
    if any(command.name == name for command in commands):
        return None
    name = _ALIASES.get(name, name)
    return Typed(name, rest.strip()) if any(own.name == name for own in OWN) else None


def unknown(text: str, commands: Iterable[Command]) -> str:
    """The name behind a slash that neither we nor the agent know; "" where it looks like no command, as a path does."""
    first = text[1:].split(maxsplit=1)[0] if text.startswith("/") and text[1:].strip() else ""
    if not first or not first.replace("-", "").replace("_", "").isalnum() or parse(f"/{first}"):
        return ""
    return "" if any(command.name == first for command in commands) else first
