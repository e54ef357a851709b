"""Tools that a model is offered only once it has looked for them."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from roost.core.messages import Annotations, Definition, Result
from roost.ports import Tool, Use

CATEGORY: Final = "deferred"
SEARCH: Final = "search_tool"
ADD: Final = "add_tool"
MOST: Final = 20  # tools that one search shows
LONGEST: Final = 300  # characters of a description that a search shows
_READ = 1_000  # characters of a description that are searched


class Deferred:
    """The deferred tools of one session, whichever of its agents has them: hidden until they are added.

    `recalled` is what `Place.recall(CATEGORY)` found of an earlier server.
    """

    def __init__(self, recalled: Mapping[str, Any] | None = None) -> None:
        names = (recalled or {}).get("active")
        self._active: list[str] = [str(name) for name in names] if isinstance(names, list) else []

    @property
    def active(self) -> Sequence[str]:
        """The names that were added, in their order."""
        return tuple(self._active)

    def offered(self, tools: Sequence[Tool], deferred: Collection[str]) -> list[Tool]:
        """The tools that the model has now: all but the deferred ones that nobody added, and two to find these."""
        hidden = {tool.definition.name: tool.definition for tool in tools if tool.definition.name in deferred}
        if not hidden:
            return list(tools)
        visible = [t for t in tools if t.definition.name not in hidden or t.definition.name in self._active]
        return [*visible, _Search(hidden, self._active), _Add(hidden, self._active)]


class _Search:
    definition = Definition(
        SEARCH,
        CATEGORY,
        "Find tools that you do not have yet, by words of their name or description. "
        f"Make one yours with {ADD}. Without a query it lists them.",
        {
            "type": "object",
            "properties": {"query": {"type": "string", "description": "What the tool is called, or is for"}},
            "required": [],
        },
        Annotations(title="Search tools", read_only=True),
        effect="safe",
    )

    def __init__(self, hidden: Mapping[str, Definition], active: Collection[str]) -> None:
        self._hidden = hidden
        self._active = active

    async def run(self, arguments: dict[str, Any], use: Use) -> Result:
        """What was found, the best first."""
        query = arguments.get("query") or ""
        if not isinstance(query, str):
            return Result(f"Invalid arguments for {SEARCH}: query must be a text", is_error=True)
        found = search(query, [tool for name, tool in self._hidden.items() if name not in self._active])
        if not found:
            return Result(f"No tool matches {query[:100]!r}. Try fewer or other words." if query else "There are none.")
        listed = [{"name": tool.name, "description": tool.description[:LONGEST]} for tool in found[:MOST]]
        answer: dict[str, Any] = {"tools": listed}
        if len(found) > MOST:
            answer["more"] = len(found) - MOST
        return Result(json.dumps(answer, ensure_ascii=False))


class _Add:
    definition = Definition(
        ADD,
        CATEGORY,
        f"Make a tool that {SEARCH} has found yours, from your next answer on.",
        {
            "type": "object",
            "properties": {"name": {"type": "string", "description": "The tool's exact name"}},
            "required": ["name"],
        },
        Annotations(title="Add tool", read_only=True),
        effect="safe",
    )

    def __init__(self, hidden: Mapping[str, Definition], active: list[str]) -> None:
        self._hidden = hidden
        self._active = active

    async def run(self, arguments: dict[str, Any], use: Use) -> Result:
        """Add it; the meta of the result is what the next server finds again."""
        name = arguments.get("name")
        if not isinstance(name, str) or name not in self._hidden:
            near = [tool.name for tool in search(str(name), list(self._hidden.values()))[:5]]
            hint = f"did you mean {', '.join(near)}?" if near else f"look for it with {SEARCH}."
            return Result(f"There is no tool {str(name)[:100]!r} to add: {hint}", is_error=True)
        if name not in self._active:
            self._active.append(name)
        return Result(f"The tool {name} is yours from your next answer on.", meta={"active": list(self._active)})


def search(query: str, tools: Sequence[Definition]) -> list[Definition]:
    """Those whose name or description holds the query's characters in their order, the closest first."""
    words = query.lower().split()
    ranked = [(rank, tool) for tool in tools if (rank := _rank(words, tool)) is not None]
    return [tool for _, tool in sorted(ranked, key=lambda entry: entry[0])]


def _rank(words: Sequence[str], tool: Definition) -> tuple[int, int] | None:
    """How far a tool is from a query: the smaller the closer; None where it does not match."""
    name, text = tool.name.lower(), tool.description[:_READ].lower()
    if "_".join(words) in (name, "") or "-".join(words) == name:
        return (0, 0)
    ranks = [_word(word, name, text) for word in words]
    known = [rank for rank in ranks if rank is not None]
    return (max(kind for kind, _ in known), sum(s for _, s in known)) if len(known) == len(ranks) else None


def _word(word: str, name: str, text: str) -> tuple[int, int] | None:
    """The kind of a match (whole in the name, whole in the text, in pieces in either), and how far it is spread."""
    if word in name:
        return (1, len(name) - len(word))
    if word in text:
        return (2, text.index(word))
    for kind, where in ((3, name), (4, text)):
        if (spread := _spread(word, where)) is not None:
            return (kind, spread)
    return None


def _spread(word: str, text: str) -> int | None:
    """How long the shortest piece of a text is that begins where the word may and holds it in order."""
    best: int | None = None
    for start in [place for place, character in enumerate(text) if character == word[0]]:
        end = start
        for character in word[1:]:
            end = text.find(character, end + 1)
            if end < 0:
                return best
        best = end - start if best is None else min(best, end - start)
    return best
