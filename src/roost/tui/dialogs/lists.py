"""What there is to pick from: models, agents, messages, modes, themes, commands, places."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.cells import cell_len
from textual.content import Content

from roost.client.fleet import Found
from roost.client.shapes import Model
from roost.core.events import TURN_ENDED
from roost.tui import columns
from roost.tui.columns import Column
from roost.tui.dialogs.picker import Item
from roost.tui.parts import Answered, Command, Teammate
from roost.tui.rows import Row, User
from roost.tui.slash import OWN
from roost.tui.themes import THEMES
from roost.tui.widgets.status import amount

Laid = Callable[[int], Content]
"""A line for so many cells."""

MODES = (
    ("strict", "every tool asks"),
    ("balanced", "what is safe runs, all else asks"),
    ("restricted", "what is safe runs, all else is refused"),
    ("autonomous", "everything runs unasked"),
)


def models(known: Iterable[Model], chosen: str) -> list[Item[str]]:
    """Those of the file first, then those that were used, then the catalogue's."""
    found = sorted(known, key=lambda model: model.is_catalog)
    return [
        Item(model.ref, _model(model, chosen), f"{model.name} {model.ref} {model.family}", _source(model))
        for model in found
    ]


def _source(model: Model) -> str:
    return "Catalogue" if model.is_catalog else "Used before" if model.is_custom else "Of the agent file"


def _model(model: Model, chosen: str) -> Laid:
    now = model.ref == chosen if chosen else model.is_current
    facts = [f"{amount(model.context_limit)} window" if model.context_limit else ""]
    if model.input_cost is not None and model.output_cost is not None:
        facts.append(f"${model.input_cost:g} in, ${model.output_cost:g} out")
    exact = f"{model.provider}/{model.model}" if model.model else model.ref
    return _two("● " if now else "  ", model.name, [exact if exact != model.name else "", *facts], 34)


def agents(team: Sequence[Teammate], speaker: str) -> list[Item[str]]:
    """The team."""
    return [
        Item(
            mate.name,
            _two("● " if mate.name == speaker else "  ", mate.name, [mate.description], 20),
            f"{mate.name} {mate.description}",
        )
        for mate in team
    ]


def forks(rows: Iterable[Row]) -> list[Item[int]]:
    """What the person has said, the newest first: a fork begins before it."""
    said = [row for row in rows if isinstance(row, User) and row.ordinal is not None and not row.depth]
    return [
        Item(row.ordinal or 0, Content.assemble((f"{place:>3}  ", "$text-muted"), _line(row.words)), row.words)
        for place, row in reversed(list(enumerate(said, 1)))
    ]


def typed(lines: Iterable[str]) -> list[Item[str]]:
    """What was typed before."""
    return [Item(line, Content(_line(line)), line[:2000]) for line in lines]


def modes(now: str) -> list[Item[str]]:
    """What may run unasked."""
    return [
        Item(name, _two("● " if name == now else "  ", name, [words], 12), f"{name} {words}") for name, words in MODES
    ]


def themes(now: str) -> list[Item[str]]:
    """The colours."""
    return [
        Item(name, _two("● " if name == now else "  ", name, [words], 18), f"{name} {words}")
        for name, (_, words) in THEMES.items()
    ]


def ways(now: str) -> list[Item[str]]:
    """How to be called."""
    words = {"off": "not at all", "bell": "the terminal's bell", "message": "a message of the desktop", "both": "both"}
    return [Item(name, _two("● " if name == now else "  ", name, [what], 10), name) for name, what in words.items()]


def palette(agent: Sequence[Command]) -> list[Item[str]]:
    """Everything that can be asked for, by the line that does."""
    found = [
        Item(f"/{own.name}", _command(own.description, own.name, own.key), f"{own.name} {own.description}", own.group)
        for own in sorted(OWN, key=lambda own: _GROUPS.index(own.group))
    ]
    mine = [
        Item(
            f"/{one.name} ",
            _command(one.description or _line(one.instruction), one.name, ""),
            f"{one.name} {one.description}",
            "Commands of the agent",
        )
        for one in agent
    ]
    return [*mine, *found]


_GROUPS = ("Session", "Agent", "Screen", "Roost")


def places(found: Found) -> list[Item[str]]:
    """Where a text was found."""
    return [
        Item(
            match.session_id,
            Content.assemble((f"{match.session_id[:8]}  ", "$accent"), (_line(match.snippet), "$text")),
            match.snippet,
        )
        for match in found.matches
    ]


def _command(words: str, name: str, key: str) -> Laid:
    parts = [
        Column(words, width=46, least=30, grows=True),
        Column(f"/{name}", "$accent", width=10, least=10),
        Column(key, "$text-muted", width=14, least=14, rank=1),
    ]
    return lambda room: columns.line(parts, room)


def _two(mark: str, name: str, facts: Sequence[Any], width: int) -> Laid:
    rest = "  ".join(str(fact) for fact in facts if fact)
    parts = [Column(name, "bold", width=max(width, cell_len(name)), least=cell_len(name)), Column(rest, "$text-muted")]
    return lambda room: columns.line(parts, room, lead=Content.styled(mark, "$success"))


def _line(text: str) -> str:
    return " ".join(text.split())[:160]


def outcome(one: Answered) -> str:
    """What became of something that waited, for those who did not answer it; "" where that needs no words."""
    what = (
        f"{one.wait.tool}"
        if one.wait.kind == "approval"
        else {"limit": "the limit", "budget": "the budget"}.get(one.wait.kind, "the question")
    )
    if not one.action:
        return "" if one.why in ("", TURN_ENDED) else f"{what}: withdrawn ({one.why})"
    who = one.by or "somebody else"
    words = {
        "approve": "allowed",
        "reject": "refused",
        "accept": "answered",
        "decline": "declined",
        "cancel": "dismissed",
    }
    reason = f": {one.reason}" if one.reason else ""
    return f"{what} was {words.get(one.action, one.action)} by {who}{reason}"
