"""Skills of an agent: where they come from, and those that its file spells out."""

from collections.abc import Sequence
from typing import Any, Final

from roost.config.mentions import section
from roost.config.shapes import Either, Flag, Items, Key, Record, Text
from roost.core.agents import ToolsetSpec

Data = dict[str, Any]

_text, _names = Text(), Items(Text(filled=True))

_skill = Record(
    {
        "name": Key(Text(pattern=r"\S+", what="a name without blanks")),
        "description": Key(_text),
        "instructions": Key(_text),
        "context": Key(Text(words=("fork",))),
        "model": Key(_text),
        "allowed_tools": Key(_names),
        "toolsets": Key(_names),
    },
    required=("name", "description", "instructions"),
)
SKILLS: Final = Either(flag=Flag(), items=Items(Either(text=_text, entries=_skill)))


def is_source(text: str) -> bool:
    """Whether it says where skills are; other words are names of skills."""
    return text == "local" or text.startswith(("http://", "https://"))


def groups(data: Data) -> Sequence[str]:
    """The groups of toolsets that skills of the file name for the conversations in which they run."""
    lists = [agent.get("skills") for agent in section(data, "agents").values()]
    entries = [entry for listed in (*lists, *section(data, "skills").values()) for entry in _spelled(listed)]
    return tuple(dict.fromkeys(name for entry in entries for name in entry.get("toolsets", ())))


def _spelled(listed: Any) -> Sequence[Data]:
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


def skills(agent: Data, data: Data) -> ToolsetSpec | None:
    """The skills of an agent, those of its groups among them; of two inline ones with a name its own wins."""
    groups = [section(data, "skills").get(group) for group in agent.get("use_skills", ())]
    sources: dict[str, None] = {}
    names: dict[str, None] = {}
    inline: dict[str, Data] = {}
    for group in [*groups, agent.get("skills")]:
        for entry in ["local"] if group is True else group or ():
            if isinstance(entry, dict):
                inline[entry["name"]] = entry
            else:
                (sources if is_source(entry) else names)[entry] = None
    if names and not sources:
        sources["local"] = None
    if not sources and not inline:
        return None
    options = {"sources": list(sources), "names": list(names), "inline": list(inline.values())}
    return ToolsetSpec("skills", options=options)
