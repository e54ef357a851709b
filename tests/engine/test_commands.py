"""Slash commands with tools, skills, agents and pages."""

import json
from collections.abc import Mapping

import anyio
import pytest

from roost.core.agents import Agent
from roost.core.commands import MOST, Request
from roost.core.errors import BadValue, RoostError
from roost.core.events import Command
from roost.core.messages import Image, Message, Text
from roost.engine import commands
from roost.engine.commands import Said, said

pytestmark = pytest.mark.anyio

AGENT = Agent(
    "root",
    commands=(
        Command("fix", "", 'Repair:\n${shell({cmd: "make lint"})}'),
        Command("old", "", "See !shell(cmd=ls) and ${args[0]}"),
        Command("nest", "", "${shell({cmd: read_file({path: 'x'})})}"),
        Command("many", "", " ".join(f'${{shell({{cmd: "{n}"}})}}' for n in range(MOST + 5))),
        Command("back", "", "", "planner"),
        Command("docs", url="https://example.com/s/{{session_id}}?x=1"),
        Command("cook", "", "Cook ${env.DISH}"),
    ),
)
TOOLS = {"shell", "read_file"}


class Tools:
    """Answers with what is in a table, and keeps what it was asked."""

    def __init__(self, answers: Mapping[str, str] | None = None) -> None:
        self.asked: list[tuple[str, str]] = []
        self._answers = answers or {}

    async def run(self, request: Request) -> str:
        await anyio.lowlevel.checkpoint()
        self.asked.append((request.tool, next(iter(json.loads(request.arguments).values()), "")))
        return self._answers.get(self.asked[-1][1], f"[{self.asked[-1][1]}]")


async def come_to(text: str, tools: Tools | None = None, **how: object) -> Said:
    given = {"tools": TOOLS, "session": "s 1", **how}
    return await said(Message("user", text), AGENT, {"DISH": "soup"}, run=(tools or Tools()).run, **given)


@pytest.mark.parametrize("text", ["hello", "/unknown x", "fix", " /fix", "/"])
async def test_what_names_no_command_stays_as_it_is(text: str) -> None:
    assert await come_to(text) == Said(Message("user", text))


async def test_what_no_person_said_is_no_command() -> None:
    for message in (Message("user", "/fix", implicit=True), Message("tool", "/fix"), Message("assistant", "/fix")):
        tools = Tools()
        assert await said(message, AGENT, {}, run=tools.run, tools=TOOLS) == Said(message)
        assert tools.asked == []


async def test_tools_are_run_and_their_answers_stand_in_the_text() -> None:
    tools = Tools({"make lint": "1 error: ${shell({cmd: 'evil'})}"})
    assert (await come_to("/fix now", tools)).message.content == "Repair:\n1 error: ${shell({cmd: 'evil'})} now"
    assert tools.asked == [("shell", "make lint")]
    assert (await come_to("/old x")).message.content == "See [ls] and x"


async def test_a_call_may_need_another_first() -> None:
    tools = Tools({"x": "ls -l"})
    assert (await come_to("/nest", tools)).message.content == "[ls -l]"
    assert tools.asked == [("read_file", "x"), ("shell", "ls -l")]


async def test_only_tools_of_the_agent_run_and_only_so_many() -> None:
    tools = Tools()
    unknown = await said(Message("user", "/fix"), AGENT, {}, run=tools.run)
    assert unknown.message.content == 'Repair:\n${shell({cmd: "make lint"})}'
    assert tools.asked == []
    await come_to("/many", tools)
    assert len(tools.asked) == MOST


async def test_a_tool_that_does_not_answer_is_waited_for_no_longer_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(request: Request) -> str:
        await anyio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(commands, "PATIENCE", 0.01)
    found = await said(Message("user", "/fix"), AGENT, {}, run=never, tools=TOOLS)
    assert "did not answer within 0.01 seconds" in found.message.content


async def test_a_flood_is_cut() -> None:
    found = await come_to("/fix", Tools({"make lint": "x" * 1_000_000}))
    assert len(found.message.content) < commands.LONGEST + 100
    assert found.message.content.endswith("[the rest is left out]")


async def test_a_command_may_switch_the_agent() -> None:
    assert await come_to("/back do it") == Said(Message("user", "do it"), "planner")
    assert await come_to("/back") == Said(Message("user", "/back"), "planner")


async def test_a_page_is_named_and_no_model_is_asked() -> None:
    found = await come_to("/docs")
    assert found.reply == "Open this page in a browser: https://example.com/s/s%201?x=1"
    assert found.message.content == "/docs"


class Choir:
    """A toolset that has something to say, or fails."""

    def __init__(self, *names: str, failure: RoostError | None = None) -> None:
        self.commands = tuple(Command(name) for name in names)
        self._failure = failure

    @property
    def all(self) -> list[tuple[Command, "Choir"]]:
        return [(command, self) for command in self.commands]

    async def say(self, name: str, rest: str) -> str:
        await anyio.lowlevel.checkpoint()
        if self._failure is not None:
            raise self._failure
        return f"{name}: ${{shell({{cmd: 'evil'}})}} {rest}" if rest != "long" else "x" * 1_000_000


async def test_what_toolsets_have_to_say_counts_unless_a_command_has_its_name() -> None:
    tools, choir = Tools(), Choir("review", "cook", "crm:greet")
    found = await come_to("/review src/a.py", tools, speakers=choir.all)
    assert found.message.content == "review: ${shell({cmd: 'evil'})} src/a.py"
    assert tools.asked == []  # its words are no template
    assert (await come_to("/crm:greet", speakers=choir.all)).message.content.startswith("crm:greet: ")
    assert (await come_to("/cook", speakers=choir.all)).message.content == "Cook soup"
    assert (await come_to("/revie", speakers=choir.all)).message.content == "/revie"
    cut = await come_to("/review long", speakers=choir.all)
    assert cut.message.content.endswith("[the rest is left out]")


async def test_what_a_toolset_cant_say_is_told_and_no_model_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    choir = Choir("greet", failure=BadValue("missing: who. Write /greet who=…"))
    found = await come_to("/greet", speakers=choir.all)
    assert (found.reply, found.message.content) == ("/greet: missing: who. Write /greet who=…", "/greet")

    class Mute(Choir):
        async def say(self, name: str, rest: str) -> str:
            await anyio.sleep_forever()
            raise AssertionError

    monkeypatch.setattr(commands, "PATIENCE", 0.01)
    found = await come_to("/greet", speakers=Mute("greet").all)
    assert found.reply == "/greet had no answer within 0.01 seconds"


async def test_parts_of_a_message_say_the_same() -> None:
    picture = Image("data:image/png;base64,AA==")
    message = Message("user", "/cook", parts=(Text("/cook"), picture))
    found = await said(message, AGENT, {"DISH": "soup"}, run=Tools().run)
    assert found.message.parts == (Text("Cook soup"), picture)
    other = Message("user", "/cook", parts=(picture,))
    assert (await said(other, AGENT, {"DISH": "soup"}, run=Tools().run)).message.parts == (Text("Cook soup"), picture)


async def test_it_can_be_switched_off_and_is_for_people_alone() -> None:
    assert (await come_to("/cook", enabled=False)).message.content == "/cook"
    assistant = Message("assistant", "/cook")
    assert await said(assistant, AGENT, {}, run=Tools().run) == Said(assistant)
