"""`roost exec` as a client: what is shown, what is asked, and how it ends."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx2
import pytest

from roost.cli.alone import source
from roost.cli.inprocess import InProcess
from roost.cli.turn import Refused, Request, Turn
from roost.core.errors import BadValue

pytestmark = pytest.mark.anyio

CALL = {"id": "c1", "type": "function", "function": {"name": "shell", "arguments": '{"cmd":"ls"}'}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


QUESTIONS = ("tool_call_confirmation", "max_iterations_reached", "elicitation_request", "budget_exceeded")
ANSWERS = ("/resume", "/elicitation", "/api/waits/w1")


class Api:
    """Plays a run's events; stops at each that waits for a person until the answer has come."""

    def __init__(self, *events: dict[str, Any], agents: Sequence[str] = ("demo",)) -> None:
        self.events = events
        self.agents = agents
        self.asked: list[tuple[str, Any]] = []
        self.answered = asyncio.Event()
        self.left = asyncio.Event()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        path, value = scope["raw_path"].decode(), json.loads(body) if body else None
        self.asked.append((path, value))
        if path == "/api/agents":
            await reply(send, [{"name": name} for name in self.agents])
        elif path.startswith("/api/agents/"):
            await reply(send, {"message": "failed to load agent source: line 3"}, 500)
        elif path == "/api/sessions":
            await reply(send, {"id": "s1"})
        elif path.endswith(ANSWERS):
            self.answered.set()
            await reply(send, None)
        else:
            await self.run(receive, send)

    async def run(self, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for event in self.events:
            if event["type"] == "hang":
                assert (await receive())["type"] == "http.disconnect"
                self.left.set()
                return
            await send({"type": "http.response.body", "body": frame(event), "more_body": True})
            if event["type"] in QUESTIONS:
                await self.answered.wait()
                self.answered.clear()
        await send({"type": "http.response.body", "body": b""})

    def answers(self) -> list[Any]:
        return [value for path, value in self.asked if path.endswith(ANSWERS)]


async def reply(send: Any, value: Any, status: int = 200) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


def frame(event: dict[str, Any]) -> bytes:
    return b": ping\n\nid: 1\ndata: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


def text(content: str) -> dict[str, Any]:
    return {"type": "agent_choice", "content": content}


def stopped(reason: str = "normal", session: str = "s1") -> dict[str, Any]:
    return {"type": "stream_stopped", "session_id": session, "reason": reason}


class Person:
    def __init__(self, *typed: str) -> None:
        self.typed = list(typed)
        self.questions: list[str] = []
        self.there = bool(typed)

    async def ask(self, question: str) -> str:
        self.questions.append(question)
        return self.typed.pop(0)


def client(api: Api) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=InProcess(api), base_url="http://127.0.0.1", timeout=None)


async def play(api: Api, person: Person | None = None, *, raw: bool = False, **asked: Any) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    async with client(api) as http:
        turn = Turn(http, person or Person(), out=out, err=err, raw=raw)
        code = await turn.run(Request("demo", "hi", **asked))
    return code, out.getvalue(), err.getvalue()


async def test_the_answer_goes_to_stdout_and_ends_its_line() -> None:
    assert await play(Api(text("Hel"), text("lo\u0085\u2028x"), stopped())) == (0, "Hello\u0085\u2028x\n", "")


@pytest.mark.parametrize(("reason", "code"), [("normal", 0), ("error", 1), ("canceled", 130)])
async def test_the_exit_code_says_how_it_ended(reason: str, code: int) -> None:
    assert (await play(Api(text("x\n"), stopped(reason))))[:2] == (code, "x\n")


async def test_a_cut_stream_is_no_success() -> None:
    assert (await play(Api(text("x"))))[0] == 1


async def test_the_end_of_a_sub_session_is_not_the_end() -> None:
    assert (await play(Api(stopped("normal", "inner"), text("x"), stopped("error"))))[0] == 1


async def test_the_request_says_all_that_was_asked_for() -> None:
    api = Api(stopped())
    await play(api, model="openai/x", working_dir="/w", approved=True)
    assert api.asked[0] == ("/api/sessions", {"tools_approved": True, "working_dir": "/w"})
    path, body = api.asked[1]
    assert path == "/api/sessions/s1/agent/demo"
    assert body == {"messages": [{"role": "user", "content": "hi"}], "model": "openai/x"}


async def test_an_agent_that_is_an_address_is_one_piece_of_the_path() -> None:
    api = Api(stopped())
    async with client(api) as http:
        await Turn(http, Person(), out=io.StringIO(), err=io.StringIO()).run(Request("https://x/a.yaml?b", "hi"))
    assert api.asked[1][0] == "/api/sessions/s1/agent/https%3A%2F%2Fx%2Fa.yaml%3Fb"


async def test_tools_and_troubles_go_to_stderr() -> None:
    code, out, err = await play(
        Api(
            text("Looking"),
            {"type": "tool_call", "tool_call": CALL},
            {"type": "tool_call_response", "tool_call_id": "c1", "response": "a\nb", "result": {"isError": True}},
            {"type": "warning", "message": "careful"},
            {"type": "error", "error": "no"},
            stopped("error"),
        )
    )
    assert (code, out) == (1, "Looking\n")
    assert err.splitlines() == ['· shell {"cmd":"ls"}', "  failed: a b", "warning: careful", "error: no"]


async def test_what_sub_agents_say_is_no_part_of_the_answer() -> None:
    inner = {"session_id": "s2", "parent_session_id": "s1", "agent_name": "coder"}
    task = {"id": "c1", "type": "function", "function": {"name": "transfer_task", "arguments": "{}"}}
    _, out, err = await play(
        Api(
            {"type": "tool_call", "tool_call": task},
            {"type": "agent_switching", "switching": True, "from_agent": "root", "to_agent": "coder"},
            {**text("It is "), **inner},
            {**text("done"), **inner},
            {"type": "agent_switching", "switching": False, "from_agent": "coder", "to_agent": "root"},
            {"type": "tool_call_response", "tool_call_id": "c1", "tool_call": task, "response": "It is done"},
            text("All is well"),
            stopped(),
        )
    )
    assert out == "All is well\n"
    assert err.splitlines() == ["· transfer_task {}", "· to coder", "coder: It is done", "· back to root"]


async def test_a_task_that_failed_says_so() -> None:
    task = {"id": "c1", "type": "function", "function": {"name": "transfer_task", "arguments": "{}"}}
    answer = {"type": "tool_call_response", "tool_call_id": "c1", "tool_call": task, "response": "no"}
    _, _, err = await play(
        Api({"type": "tool_call", "tool_call": task}, answer | {"result": {"isError": True}}, stopped())
    )
    assert err.splitlines() == ["· transfer_task {}", "  failed: no"]


async def test_a_call_that_never_ran_is_shown_with_its_result() -> None:
    blocked = {"type": "tool_call_response", "tool_call_id": "c1", "tool_call": CALL, "response": "blocked by hook"}
    _, _, err = await play(Api({**blocked, "result": {"isError": True}}, stopped()))
    assert err.splitlines() == ['· shell {"cmd":"ls"}', "  failed: blocked by hook"]


async def test_each_answer_has_its_own_lines() -> None:
    added = {"type": "message_added", "session_id": "s1"}
    assert (await play(Api(text("one"), added, text("two"), added, stopped())))[1] == "one\ntwo\n"


async def test_output_that_was_shown_as_it_came_is_not_shown_twice() -> None:
    shown = {"type": "tool_call_output", "tool_call_id": "c1", "output": "a\nb"}
    returned = {"type": "tool_call_response", "tool_call_id": "c1", "response": "a\nb"}
    other = {"type": "tool_call_response", "tool_call_id": "c2", "response": "c"}
    code, out, err = await play(Api({"type": "tool_call", "tool_call": CALL}, shown, returned, other, stopped()))
    assert (code, out) == (0, "")
    assert err.splitlines() == ['· shell {"cmd":"ls"}', "a", "b", "  c"]


async def test_raw_prints_events_alone() -> None:
    _, out, err = await play(Api(text("é"), stopped()), raw=True)
    assert [json.loads(line)["type"] for line in out.splitlines()] == ["agent_choice", "stream_stopped"]
    assert err == ""


CONFIRM = {"type": "tool_call_confirmation", "tool_call": CALL}


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        ("y\n", {"confirmation": "approve"}),
        ("Always\n", {"confirmation": "approve-session"}),
        ("n\n", {"confirmation": "reject"}),
        ("\n", {"confirmation": "reject"}),
        ("?\n", {"confirmation": "reject"}),
    ],
)
async def test_a_person_approves_on_the_terminal(typed: str, sent: dict[str, str]) -> None:
    api, person = Api(CONFIRM, stopped()), Person(typed)
    assert (await play(api, person))[0] == 0
    assert 'shell {"cmd":"ls"}' in person.questions[0]
    assert api.answers() == [sent]


async def test_a_person_sees_all_of_what_is_to_run_and_why_it_asks() -> None:
    command = '{"cmd":"' + "x" * 300 + ' \x1b[2K; rm -rf /"}'
    call = {"id": "c1", "type": "function", "function": {"name": "shell", "arguments": command}}
    confirm = {"type": "tool_call_confirmation", "tool_call": call, "metadata": {"reason": "it may have run"}}
    person = Person("n\n")
    _, _, err = await play(Api(confirm, stopped()), person)
    assert "rm -rf /" in person.questions[0]
    assert "\x1b" not in person.questions[0]
    assert "it may have run" in err


async def test_the_end_of_input_ends_the_questions_line() -> None:
    _, _, err = await play(Api(CONFIRM, {"type": "warning", "message": "careful"}, stopped()), Person(""))
    assert err.splitlines() == ["", "warning: careful"]


async def test_without_a_person_a_tool_is_refused_and_it_is_said() -> None:
    api = Api(CONFIRM, stopped())
    _, _, err = await play(api)
    assert api.answers() == [{"confirmation": "reject", "reason": "Nobody was there to approve it."}]
    assert "--yolo" in err


@pytest.mark.parametrize(("typed", "sent"), [(["y\n"], "approve"), (["n\n"], "reject"), ([], "reject")])
async def test_an_iteration_limit_is_a_question(typed: list[str], sent: str) -> None:
    api = Api({"type": "max_iterations_reached", "max_iterations": 3}, stopped())
    await play(api, Person(*typed))
    assert api.answers() == [{"confirmation": sent}]


@pytest.mark.parametrize(("typed", "sent"), [(["y\n"], "approve"), (["n\n"], "reject"), ([], "reject")])
async def test_a_budget_that_is_used_up_is_a_question(typed: list[str], sent: str) -> None:
    api = Api(
        {"type": "budget_exceeded", "message": "It is used up: 0.2 of 0.1. Approve?", "request_id": "w1"}, stopped()
    )
    _, _, err = await play(api, Person(*typed))
    assert api.answers() == [{"confirmation": sent}]
    assert ("/api/waits/w1", {"confirmation": sent}) in api.asked
    assert ("stopped: It is used up: 0.2 of 0.1\n" in err) == (sent == "reject")


SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Your name"},
        "age": {"type": "integer"},
        "sure": {"type": "boolean", "default": False},
        "size": {"type": "string", "enum": ["S", "L"]},
    },
    "required": ["name"],
}


async def test_a_form_is_filled_in_on_the_terminal() -> None:
    api = Api({"type": "elicitation_request", "message": "Who?", "schema": SCHEMA, "elicitation_id": "e1"}, stopped())
    person = Person("Ada\n", "36\n", "\n", "\n")
    _, _, err = await play(api, person)
    assert "? Who?" in err
    assert person.questions == ["  Your name: ", "  age: ", "  sure: ", "  size (S, L): "]
    content = {"name": "Ada", "age": 36, "sure": False}
    assert api.answers() == [{"action": "accept", "content": content, "elicitation_id": "e1"}]


@pytest.mark.parametrize("typed", [[], ["\n"]])
async def test_a_form_without_what_it_needs_is_declined(typed: list[str]) -> None:
    api = Api({"type": "elicitation_request", "message": "Who?", "schema": SCHEMA}, stopped())
    await play(api, Person(*typed))
    assert api.answers() == [{"action": "decline"}]


@pytest.mark.parametrize(("typed", "action"), [("\n", "accept"), ("n\n", "decline")])
async def test_an_address_to_open_is_shown(typed: str, action: str) -> None:
    api = Api({"type": "elicitation_request", "message": "Log in", "mode": "url", "url": "https://x/y"}, stopped())
    _, _, err = await play(api, Person(typed))
    assert "https://x/y" in err
    assert api.answers() == [{"action": action}]


async def test_a_refusal_carries_the_servers_words() -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if scope["path"] == "/api/sessions":
            await reply(send, {"id": "s1"})
        else:
            await reply(send, {"message": "failed to run session: no such model"}, 500)

    async with httpx2.AsyncClient(transport=InProcess(refuse), base_url="http://x") as http:
        turn = Turn(http, Person(), out=io.StringIO(), err=io.StringIO())
        with pytest.raises(Refused, match="no such model"):
            await turn.run(Request("demo", "hi"))


async def test_leaving_a_turn_tells_the_server() -> None:
    api = Api(text("x"), {"type": "hang"})
    running = asyncio.ensure_future(play(api))
    while len(api.asked) < 2:
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    await asyncio.wait_for(api.left.wait(), 10)


async def test_an_app_that_fails_fails_its_caller() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    async with httpx2.AsyncClient(transport=InProcess(broken), base_url="http://x") as http:
        with pytest.raises(ZeroDivisionError):
            await http.get("/")


async def test_the_one_agent_is_found() -> None:
    async with client(Api()) as http:
        assert await source(http, "demo.yaml") == "demo"


async def test_several_agents_are_a_question_for_the_caller() -> None:
    async with client(Api(agents=["a", "b"])) as http:
        with pytest.raises(BadValue, match=r"several agents: name the file of one \(a, b\)"):
            await source(http, "folder")


async def test_an_agent_that_does_not_load_says_why() -> None:
    api = Api(agents=[])
    async with client(api) as http:
        with pytest.raises(Refused, match="line 3"):
            await source(http, "some/demo.yaml")
    assert api.asked[-1][0] == "/api/agents/demo"


async def chunks(api: Api) -> AsyncIterator[bytes]:
    async with client(api) as http, http.stream("POST", "/run") as response:
        async for chunk in response.aiter_raw():
            yield chunk


async def test_a_stream_arrives_piece_by_piece() -> None:
    api = Api(text("one"), CONFIRM, stopped())
    got = []
    async for chunk in chunks(api):
        got.append(chunk)
        if len(got) == 2:
            api.answered.set()  # the rest is sent only now: what came before was not held back
    assert len(got) == 3
