"""The tools of `skills`: a list of them for the prompt, and their texts when they are asked for."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from roost.core.agents import ToolsetSpec
from roost.core.errors import ToolsetFailed
from roost.core.messages import Annotations, Result
from roost.ports import Place, Task, Use
from roost.tools.house import House
from roost.tools.skills import folders
from roost.tools.skills.sites import Sites
from roost.tools.skills.skill import FILE, LARGEST, Skill, commands, inline, parted
from roost.tools.tool import Kit, Native, Refused, in_thread, reads, schema, string

CATEGORY = "skills"
MOST_SHOWN = 300  # skills in the prompt

log = logging.getLogger(__name__)

_INSTRUCTIONS = """\
Skills are instructions for special tasks. When a task is one that a skill is for, read the skill with read_skill first
and do what it says; read_skill_file reads the other files of a skill.
"""
_FORKS = "Those marked (run_skill) are done in a conversation of their own: start them with run_skill.\n"


@asynccontextmanager
async def open_skills(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """The skills as they are now: of the working directory, of the user, of sites, and those of the file itself."""
    sites = Sites(place, house)
    found = await _found(spec, place, house, sites)
    library = _Library(found, sites)
    yield Kit(_tools(library), _listed(found), commands=commands(found))


async def _found(spec: ToolsetSpec, place: Place, house: House, sites: Sites) -> tuple[Skill, ...]:
    """All of them; a later source wins, and the file itself is the last one."""
    skills: dict[str, Skill] = {}
    troubles = []
    for source in spec.options.get("sources") or ():
        if source == "local":
            home = house.env.get("HOME", "")
            skills |= await in_thread(lambda _: folders.find(place.working_dir, home, confined=place.confined))  # noqa: B023
            continue
        try:
            skills |= {skill.name: skill for skill in await sites.skills(source)}
        except Refused as refusal:
            troubles.append(str(refusal))
            log.warning("no skills from %s: %s", source, refusal, extra={"action": "skill_source_failed"})
    wanted = spec.options.get("names") or ()
    kept = {name: skill for name, skill in skills.items() if not wanted or name in wanted}
    kept |= {skill.name: skill for skill in map(inline, spec.options.get("inline") or ())}
    if troubles and not kept:
        raise ToolsetFailed("; ".join(troubles))
    return tuple(sorted(kept.values(), key=lambda skill: skill.name))


def _listed(skills: Sequence[Skill]) -> str:
    """The block for the prompt."""
    if not skills:
        return ""
    forks = any(skill.fork for skill in skills)
    lines = [f"- {skill.name}{' (run_skill)' if skill.fork else ''}: {skill.description}" for skill in skills]
    if len(lines) > MOST_SHOWN:
        lines[MOST_SHOWN:] = [f"- ... and {len(skills) - MOST_SHOWN} more"]
    return _INSTRUCTIONS + (_FORKS if forks else "") + "Available skills:\n" + "\n".join(lines) + "\n"


def _tools(library: "_Library") -> tuple[Native, ...]:
    """What reads, where there is something to read; run_skill, where there is a skill for it."""
    if not library.skills:
        return ()
    name = string("The name of the skill")
    tools = [
        Native(
            "read_skill",
            CATEGORY,
            "Read the instructions of a skill, and the list of its files.",
            schema(("name",), name=name),
            library.read,
            annotations=reads("Read Skill"),
        ),
        Native(
            "read_skill_file",
            CATEGORY,
            "Read a file of a skill.",
            schema(("skill_name", "path"), skill_name=name, path=string("The file, relative to the skill's folder")),
            library.read_file,
            annotations=reads("Read Skill File"),
        ),
    ]
    if any(skill.fork for skill in library.skills.values()):
        tools.append(
            Native(
                "run_skill",
                CATEGORY,
                "Have a skill done in a conversation of its own, and get its result.",
                schema(("name", "task"), name=name, task=string("What is to be done, with all that has to be known")),
                library.run,
                annotations=Annotations(title="Run Skill"),
            )
        )
    return tuple(tools)


class _Library:
    """The work of the tools."""

    def __init__(self, skills: Sequence[Skill], sites: Sites) -> None:
        self.skills: Mapping[str, Skill] = {skill.name: skill for skill in skills}
        self._sites = sites

    def _find(self, name: str) -> Skill:
        if name not in self.skills:
            raise Refused(f"there is no skill {name!r}; there are: {', '.join(list(self.skills)[:MOST_SHOWN])}")
        return self.skills[name]

    async def read(self, arguments: dict[str, Any], use: Use) -> Result:
        """read_skill."""
        skill = self._find(arguments["name"])
        files = await in_thread(lambda _: folders.files(skill.folder)) if skill.folder else list(skill.files)
        text = await self._body(skill)
        if skill.folder:
            text += f"\n\nFolder of this skill: {skill.folder}"
        if others := [path for path in files if path != FILE]:
            text += "\n\nFiles of this skill, for read_skill_file:\n" + "\n".join(f"- {path}" for path in others)
        return Result(text)

    async def read_file(self, arguments: dict[str, Any], use: Use) -> Result:
        """read_skill_file."""
        skill, path = self._find(arguments["skill_name"]), arguments["path"]
        if skill.folder:
            return Result(await in_thread(lambda _: folders.text(skill.folder, path)))
        if skill.url:
            return Result(await self._sites.text(skill, path))
        raise Refused(f"the skill {skill.name} has no files")

    async def run(self, arguments: dict[str, Any], use: Use) -> Result:
        """run_skill: by the agent itself, in a sub-session with the skill as its brief."""
        skill = self._find(arguments["name"])
        if not skill.fork:
            raise Refused(f"the skill {skill.name} is not one to be run: read it with read_skill, and do what it says")
        body = await self._body(skill)
        brief = f"Do the following task by the skill {skill.name}.\n\n{body}\n\nTask:\n{arguments['task']}"
        title, model = f"Skill: {skill.name}", skill.model
        task = Task("", brief, title=title, model=model, tools=skill.tools, toolsets=skill.toolsets)
        return await use.delegate(task)

    async def _body(self, skill: Skill) -> str:
        """The instructions, as they are now."""
        if skill.folder:
            return parted(await in_thread(lambda _: folders.text(skill.folder, FILE, LARGEST)))[1]
        if skill.url:
            return parted(await self._sites.text(skill, FILE))[1]
        return skill.body
