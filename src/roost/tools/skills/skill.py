"""A skill: a name, what it is for, and the text that says how."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from roost.core.events import Command

FILE = "SKILL.md"
LARGEST = 1024 * 1024  # bytes of a SKILL.md
_MATTER = 64 * 1024  # characters of front matter
_LONGEST = 1024  # characters of a description
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class BadSkill(Exception):
    """A file that is no skill; the text says why."""


class Skill(Struct, frozen=True):
    """Where it comes from is one of `folder`, `url` and `body`."""

    name: str
    description: str
    folder: str = ""  # real path
    url: str = ""  # of its folder, with a slash at its end
    files: tuple[str, ...] = ()  # of a skill from the web, as its index has them
    body: str = ""
    fork: bool = False  # it runs in a conversation of its own
    model: str = ""
    tools: tuple[str, ...] = ()  # only these, in that conversation
    toolsets: tuple[str, ...] = ()  # groups of the agent file that it has besides, in that conversation


def is_name(text: str) -> bool:
    """Whether it can be a skill's name: lower case, digits, and hyphens between them."""
    return len(text) <= 64 and _NAME.fullmatch(text) is not None


def parted(text: str) -> tuple[dict[str, Any], str]:
    """The front matter of a SKILL.md, and what stands below it."""
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or lines[0].strip() != "---":
        return {}, text
    end = next((number for number, line in enumerate(lines[1:], 1) if line.strip() in ("---", "...")), 0)
    if not end:
        return {}, text
    return _matter(lines[1:end]), "\n".join(lines[end + 1 :]).strip("\n")


def _matter(lines: Sequence[str]) -> dict[str, Any]:
    """The front matter as data.  What is no YAML, as a description with a colon in it, is read line by line."""
    # A third of the time that a server takes to start.
    import yaml

    text = "\n".join(lines)
    if len(text) <= _MATTER:
        try:
            found = yaml.safe_load(text)
            if isinstance(found, dict):
                return found
        except (yaml.YAMLError, RecursionError, ValueError):
            pass
    pairs = (line.partition(":") for line in lines[:1000] if line[:1].isalpha())
    return {key.strip(): value.strip().strip("\"'") for key, colon, value in pairs if colon}


def described(text: str, fallback: str) -> Skill:
    """The skill that the text of a SKILL.md describes; one without a name is called `fallback`.

    Its `allowed-tools` name those of another program, and are a permission there, not a limit: they are left out.

    Raises:
        BadSkill: it has no name that it can have, or says nothing.
    """
    matter, body = parted(text)
    name = str(matter.get("name") or fallback).strip()
    if not is_name(name):
        raise BadSkill(f"{name[:80]!r} is no name for a skill: lower case, digits and hyphens")
    description = " ".join(str(matter.get("description") or _first(body)).split())[:_LONGEST]
    if not description:
        raise BadSkill("it says nothing")
    return Skill(
        name,
        description,
        fork=matter.get("context") == "fork",
        model=str(matter.get("model") or ""),
    )


def inline(given: Mapping[str, Any]) -> Skill:
    """A skill that an agent file spells out."""
    return Skill(
        str(given.get("name") or ""),
        " ".join(str(given.get("description") or "").split()),
        body=str(given.get("instructions") or ""),
        fork=given.get("context") == "fork",
        model=str(given.get("model") or ""),
        tools=tuple(given.get("allowed_tools") or ()),
        toolsets=tuple(given.get("toolsets") or ()),
    )


def commands(skills: Sequence[Skill]) -> tuple[Command, ...]:
    """What `/name rest` stands for: to use the skill, with the rest as what is wanted.

    The text only points to the skill: the skill's own words are no template, and call nothing.
    """
    return tuple(Command(skill.name, skill.description, _order(skill)) for skill in skills)


def _order(skill: Skill) -> str:
    if skill.fork:
        return f"Run the skill {skill.name} with run_skill."
    return f"Read the skill {skill.name} with read_skill, and do what it says."


def _first(body: str) -> str:
    """The first paragraph that is no heading."""
    blocks = (block.strip() for block in body[:20_000].split("\n\n"))
    return next((block for block in blocks if block and not block.startswith("#")), "")
