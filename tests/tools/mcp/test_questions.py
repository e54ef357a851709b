"""What servers ask in a call: forms, addresses, answers of a model; and who answers."""

import json
import os
import socket
import subprocess
import sys

import anyio
import pytest

from fakes.calls import Using
from roost.core.agents import Agent, Team
from roost.core.errors import ToolsetFailed
from roost.core.events import Answer
from roost.ports import Ask, Speaker, Toolset
from roost.testing.fakes import FakeModels, answers
from roost.tools.builtin import Builtin
from tools.mcp.asking import Asked
from tools.mcp.conftest import Bench, call

pytestmark = pytest.mark.anyio

TEAM = Team("t", "h", (Agent("root", model="fake"),))


async def test_a_form(bench: Bench) -> None:
    async with bench.scripted() as toolset:
        using = Asked(Answer("accept", content={"n": 2}))
        assert json.loads((await call(toolset, "form", using)).output) == {"action": "accept", "content": {"n": 2}}
        (asked,) = using.asked
        assert (asked.message, asked.mode, asked.durable, asked.meta) == ("How many?", "form", False, {"source": "crm"})
        assert asked.schema is not None and asked.schema["required"] == ["n"]
        for action in ("decline", "cancel"):
            assert json.loads((await call(toolset, "form", Asked(Answer(action)))).output) == {"action": action}


async def test_an_answer_that_does_not_fit_is_asked_for_again(bench: Bench) -> None:
    async with bench.scripted() as toolset:
        using = Asked(Answer("accept", content={"n": "many"}), Answer("accept"), Answer("accept", content={"n": 1}))
        assert json.loads((await call(toolset, "form", using)).output)["content"] == {"n": 1}
        assert [ask.message.partition("\n\n")[2] for ask in using.asked] == [
            "",
            "The last answer can't be used: n: 'many' is not of type 'integer'",
            "The last answer can't be used: 'n' is a required property",
        ]
        wrong = [Answer("accept", content={"n": "x"})] * 5
        assert json.loads((await call(toolset, "form", Asked(*wrong))).output) == {"action": "cancel"}


async def test_nobody_is_there(bench: Bench) -> None:
    async with bench.scripted() as toolset:
        with anyio.fail_after(10):
            assert json.loads((await call(toolset, "form", Using())).output) == {"action": "decline"}


async def test_an_address(bench: Bench) -> None:
    async with bench.scripted() as toolset:
        using = Asked(Answer("accept"))
        assert json.loads((await call(toolset, "page", using)).output) == {"action": "accept"}
        (asked,) = using.asked
        assert (asked.mode, asked.url, asked.server_id) == ("url", "http://127.0.0.1/x", "e1")
        assert "what was to be done in the browser is done" in "".join(using.shown)


async def test_an_address_that_has_to_be_opened_first(bench: Bench) -> None:
    async with bench.scripted() as toolset:
        using = Asked(Answer("accept"))
        assert (await call(toolset, "page-first", using)).output == "opened"
        assert [(ask.mode, ask.url) for ask in using.asked] == [("url", "http://127.0.0.1/y")]
        bench.log.with_suffix(".opened").unlink()
        refused = await call(toolset, "page-first", Asked(Answer("decline")))
        assert refused.is_error and "open it first" in refused.output


async def test_one_question_at_a_time_in_a_session(bench: Bench) -> None:
    async with bench.scripted() as one, bench.scripted() as other:
        gate = anyio.Event()
        using = Asked(gate, *[Answer("accept", content={"n": 1})] * 4)
        async with anyio.create_task_group() as tasks:
            for toolset in (one, other, one, other):
                tasks.start_soon(call, toolset, "form", using)
            with anyio.fail_after(10):
                while not using.asked:
                    await anyio.sleep(0.01)
            gate.set()
        assert (len(using.asked), using.most) == (4, 1)


async def test_the_time_of_a_call_stands_still_while_a_person_thinks(bench: Bench) -> None:
    async with bench.scripted(lifecycle={"call_timeout": "300ms"}) as toolset:
        gate = anyio.Event()
        using = Asked(gate, Answer("accept", content={"n": 1}))
        async with anyio.create_task_group() as tasks:
            said: list[str] = []

            async def ask() -> None:
                said.append((await call(toolset, "form", using)).output)

            tasks.start_soon(ask)
            await anyio.sleep(0.8)
            gate.set()
        assert json.loads(said[0])["action"] == "accept"


async def test_a_question_ends_with_its_call(bench: Bench) -> None:
    async with bench.scripted() as toolset:
        using = Asked(anyio.Event())
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(call, toolset, "form", using)
            with anyio.fail_after(10):
                while not using.asked:
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
        assert using.open == 0
        again = Asked(Answer("accept", content={"n": 1}))
        assert json.loads((await call(toolset, "form", again)).output)["action"] == "accept"


# -- answers of a model -------------------------------------------------------------------------


def sampling(bench: Bench) -> FakeModels:
    models = FakeModels(answers(["hi"]))
    bench.builtin = Builtin(bench.env, None, bench.home, models=models)
    bench.change(team=TEAM)
    return models


async def test_a_model_is_asked_once_a_person_agrees(bench: Bench) -> None:
    models = sampling(bench)
    async with bench.scripted() as toolset:
        using = Asked(Answer("accept"))
        told = json.loads((await call(toolset, "sample", using)).output)
        assert (told["role"], told["content"]["text"], told["stopReason"]) == ("assistant", "A title", "endTurn")
        assert "wants an answer of the model fake/one to this:\n\nuser: Say hi" in using.asked[0].message
        assert models.one.requests[0].max_tokens == 50
        assert json.loads((await call(toolset, "sample", Asked(Answer("decline")))).output)["message"] == (
            "the user has declined"
        )
        assert "nobody is there" in json.loads((await call(toolset, "sample", Using())).output)["message"]
        assert len(models.one.requests) == 1
        assert [done.usage for done in using.spent] == [None]
        poor = Asked(Answer("accept"))
        poor.poor = True
        assert "budget is used up" in json.loads((await call(toolset, "sample", poor)).output)["message"]
        assert len(models.one.requests) == 1


async def test_a_model_is_asked_at_once_or_never(bench: Bench) -> None:
    models = sampling(bench)
    async with bench.scripted(sampling="allow") as toolset:
        assert json.loads((await call(toolset, "sample", Using())).output)["content"]["text"] == "A title"
    async with bench.scripted(sampling="deny") as toolset:
        assert "not supported" in json.loads((await call(toolset, "sample", Using())).output)["message"]
    bench.change(team=None)
    async with bench.scripted() as toolset:
        assert "not supported" in json.loads((await call(toolset, "sample", Using())).output)["message"]
    assert len(models.one.requests) == 1


# -- the real one -------------------------------------------------------------------------------


async def test_server_everything(bench: Bench, everything: tuple[str, str]) -> None:
    node, program = everything
    sampling(bench)
    async with bench.open(command=node, args=[program], name="all") as toolset:
        assert (await call(toolset, "all_echo", message="hi")).output == "Echo: hi"
        image = await call(toolset, "all_get-tiny-image")
        assert image.images[0].mime_type == "image/png"
        assert str(bench.work) in (await call(toolset, "all_get-roots-list")).output
        resource = await call(toolset, "all_get-resource-reference", resourceType="Text", resourceId=1)
        assert "[resource " in resource.output
        structured = await call(toolset, "all_get-structured-content", location="New York")
        assert structured.structured["temperature"]
        form = Asked(Answer("accept", content={"name": "Ada", "check": True}))
        assert "- Name: Ada" in (await call(toolset, "all_trigger-elicitation-request", form)).output
        page = Asked(Answer("accept"))
        url = "https://example.com/verify"
        done = await call(toolset, "all_trigger-url-elicitation", page, url=url, message="Open it")
        assert not done.is_error and (page.asked[0].mode, page.asked[0].url) == ("url", url)
        sampled = await call(toolset, "all_trigger-sampling-request", Asked(Answer("accept")), prompt="x", maxTokens=9)
        assert "A title" in sampled.output
        assert isinstance(toolset, Speaker)
        assert {command.name for command in toolset.commands} >= {"all:simple-prompt", "all:args-prompt"}
        assert "weather" in await toolset.say("all:args-prompt", "Rome")


@pytest.mark.parametrize("module", ["mcp_server_time", "mcp_server_git"])
async def test_servers_in_python(bench: Bench, module: str) -> None:
    patient = {"startup_timeout": "60s"}  # they load a lot
    async with bench.open(command=sys.executable, args=["-m", module], lifecycle=patient) as toolset:
        assert await toolset.tools()
        if module == "mcp_server_time":
            told = await call(toolset, "get_current_time", timezone="UTC")
        else:
            told = await call(toolset, "git_status", repo_path=str(bench.work))
        assert ("UTC" in told.output) is (module == "mcp_server_time")
        assert told.is_error is (module == "mcp_server_git")


async def test_a_question_outside_of_a_call_is_the_sessions(bench: Bench) -> None:
    import mcp.types as types

    from roost.tools.mcp.elicitation import Elicitation
    from roost.tools.mcp.talk import Talks

    async def ask(question: Ask) -> Answer:
        return Answer("accept", content={"n": 1})

    params = types.ElicitRequestFormParams(message="m", requested_schema={"type": "object"})
    context = type("C", (), {"meta": None})()
    assert (await Elicitation(Talks(ask), anyio.Lock(), "x").ask(context, params)).content == {"n": 1}
    assert (await Elicitation(Talks(None), anyio.Lock(), "x").ask(context, params)).action == "decline"


async def test_server_everything_behind_an_address(bench: Bench, everything: tuple[str, str]) -> None:
    """Each of two calls beside each other gets the question that belongs to it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    env = {**os.environ, "PORT": str(port)}
    running = subprocess.Popen([*everything, "streamableHttp"], env=env, stderr=subprocess.DEVNULL)
    try:
        async with bench.open(
            remote={"url": f"http://127.0.0.1:{port}/mcp"}, lifecycle={"backoff": {"initial": "20ms", "max": "20ms"}}
        ) as toolset:
            with anyio.fail_after(20):
                while not await ready(toolset):
                    await anyio.sleep(0.02)
            said: dict[str, str] = {}

            async def one(name: str) -> None:
                form = Asked(Answer("accept", content={"name": name, "check": True}))
                said[name] = (await call(toolset, "trigger-elicitation-request", form)).output
                assert len(form.asked) == 1

            async with anyio.create_task_group() as tasks:
                for name in ("Ada", "Grace", "Joan"):
                    tasks.start_soon(one, name)
            assert all(f"- Name: {name}" in text for name, text in said.items()) and len(said) == 3
    finally:
        running.terminate()
        running.wait()


async def ready(toolset: Toolset) -> bool:
    try:
        return bool(await toolset.tools())
    except ToolsetFailed:
        return False
