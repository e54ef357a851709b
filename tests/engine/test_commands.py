"""Slash commands with tools, skills, agents and pages."""

import json
from collections.abc import Mapping

import anyio
import pytest

from roost.core.agents import Agent
from roost.core.commands import MOST, Request
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


async def test_a_skill_is_read_out_unless_a_command_has_its_name() -> None:
    tools = Tools({"review": "Look twice.\n"})
    found = await come_to("/review src/a.py", tools, skills=("review", "cook"))
    assert tools.asked == [("read_skill", "review")]
    assert found.message.content == '<skill name="review">\nLook twice.\n</skill>\n\nsrc/a.py'
    assert (await come_to("/review", tools, skills=("review",))).message.content.endswith("Do what this skill says.")
    assert (await come_to("/cook", tools, skills=("review", "cook"))).message.content == "Cook soup"


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
