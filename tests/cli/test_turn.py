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
from roost.cli.turn import Request, Turn
from roost.client.client import Client
from roost.client.errors import Refused
from roost.core.errors import BadValue

pytestmark = pytest.mark.anyio

CALL = {"id": "c1", "type": "function", "function": {"name": "shell", "arguments": '{"cmd":"ls"}'}}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


QUESTIONS = ("tool_call_confirmation", "max_iterations_reached", "elicitation_request", "budget_exceeded")
ANSWER = "/api/waits/"


class Api:
    """Plays a turn's events; stops at each that waits for a person until the answer has come."""

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
        elif path.startswith(ANSWER):
            self.answered.set()
            await reply(send, {"message": "answered"})
        elif path.endswith("/events"):
            await self.play(receive, send)
        elif path.endswith("/cancel"):
            self.left.set()
            await reply(send, {"message": "session canceled"})
        else:
            await reply(send, None, kind=b"text/event-stream")

    async def play(self, receive: Any, send: Any) -> None:
        head = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        for seq, event in enumerate(({"type": "turn_opened", "session_id": "s1"}, *self.events), 1):
            if event["type"] == "hang":
                await self.left.wait()
                continue
            await send({"type": "http.response.body", "body": frame(event, seq), "more_body": True})
            if event["type"] in QUESTIONS:
                await self.answered.wait()
                self.answered.clear()
        await receive()

    def answers(self) -> list[Any]:
        return [value for path, value in self.asked if path.startswith(ANSWER)]


async def reply(send: Any, value: Any, status: int = 200, kind: bytes = b"application/json") -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


def frame(event: dict[str, Any], seq: int) -> bytes:
    return b": ping\n\nid: %d\ndata: %b\n\n" % (seq, json.dumps(event, ensure_ascii=False).encode())


def text(content: str) -> dict[str, Any]:
    return {"type": "agent_choice", "content": content}


def stopped(reason: str = "normal", **more: str) -> dict[str, Any]:
    return {"type": "stream_stopped", "session_id": "s1", "reason": reason, **more}


class Person:
    def __init__(self, *typed: str) -> None:
        self.typed = list(typed)
        self.questions: list[str] = []
        self.there = bool(typed)

    async def ask(self, question: str) -> str:
        self.questions.append(question)
        return self.typed.pop(0)


def client(api: Any) -> Client:
    return Client(transport=InProcess(api))


async def play(api: Api, person: Person | None = None, *, raw: bool = False, **asked: Any) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    async with client(api) as there:
        turn = Turn(there, person or Person(), out=out, err=err, raw=raw)
        code = await turn.run(Request("demo", "hi", **asked))
    return code, out.getvalue(), err.getvalue()


async def test_the_answer_goes_to_stdout_and_ends_its_line() -> None:
    assert await play(Api(text("Hel"), text("lo\u0085\u2028x"), stopped())) == (0, "Hello\u0085\u2028x\n", "")


@pytest.mark.parametrize(("reason", "code"), [("normal", 0), ("error", 1), ("canceled", 130)])
async def test_the_exit_code_says_how_it_ended(reason: str, code: int) -> None:
    assert (await play(Api(text("x\n"), stopped(reason))))[:2] == (code, "x\n")


async def test_a_session_that_is_deleted_is_no_success() -> None:
    assert (await play(Api(text("x"), {"type": "session_exited"})))[0] == 130


async def test_the_end_of_a_sub_session_is_not_the_end() -> None:
    inner = stopped("normal", session_id="inner", parent_session_id="s1", root_session_id="s1")
    assert (await play(Api(inner, text("x"), stopped("error"))))[0] == 1


async def test_the_request_says_all_that_was_asked_for() -> None:
    api = Api(stopped())
    await play(api, model="openai/x", working_dir="/w", approved=True)
    assert api.asked[0] == ("/api/sessions", {"tools_approved": True, "working_dir": "/w"})
    path, body = api.asked[1]
    assert path == "/api/sessions/s1/agent/demo"
    assert body == {"messages": [{"role": "user", "content": "hi"}], "model": "openai/x"}


async def test_an_agent_that_is_an_address_is_one_piece_of_the_path() -> None:
    api = Api(stopped())
    async with client(api) as there:
        await Turn(there, Person(), out=io.StringIO(), err=io.StringIO()).run(Request("https://x/a.yaml?b", "hi"))
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
    assert [json.loads(line)["type"] for line in out.splitlines()] == ["turn_opened", "agent_choice", "stream_stopped"]
    assert err == ""


CONFIRM = {"type": "tool_call_confirmation", "tool_call": CALL, "request_id": "w1"}


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
    confirm = {
        "type": "tool_call_confirmation",
        "tool_call": call,
        "metadata": {"reason": "it may have run"},
        "request_id": "w1",
    }
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
    api = Api({"type": "max_iterations_reached", "max_iterations": 3, "request_id": "w1"}, stopped())
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
    assert api.answers() == [{"action": "accept", "content": content}]


@pytest.mark.parametrize("typed", [[], ["\n"]])
async def test_a_form_without_what_it_needs_is_declined(typed: list[str]) -> None:
    api = Api({"type": "elicitation_request", "message": "Who?", "schema": SCHEMA, "elicitation_id": "e1"}, stopped())
    await play(api, Person(*typed))
    assert api.answers() == [{"action": "decline"}]


@pytest.mark.parametrize(("typed", "action"), [("\n", "accept"), ("n\n", "decline")])
async def test_an_address_to_open_is_shown(typed: str, action: str) -> None:
    api = Api(
        {
            "type": "elicitation_request",
            "message": "Log in",
            "mode": "url",
            "url": "https://x/y",
            "elicitation_id": "e1",
        },
        stopped(),
    )
    _, _, err = await play(api, Person(typed))
    assert "https://x/y" in err
    assert api.answers() == [{"action": action}]


async def test_a_refusal_carries_the_servers_words() -> None:
    asked = []

    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        asked.append((scope["method"], scope["path"]))
        if scope["path"] == "/api/sessions":
            await reply(send, {"id": "s1"})
        elif scope["method"] == "DELETE":
            await reply(send, {"message": "session deleted"})
        else:
            await reply(send, {"message": "failed to run session: no such model"}, 500)

    async with client(refuse) as there:
        turn = Turn(there, Person(), out=io.StringIO(), err=io.StringIO())
        with pytest.raises(Refused, match="no such model"):
            await turn.run(Request("demo", "hi"))
    assert asked[-1] == ("DELETE", "/api/sessions/s1")  # where nothing began nothing is left


async def test_a_turn_that_is_cancelled_is_waited_for() -> None:
    api = Api(text("x"), {"type": "hang"}, stopped("canceled"))
    async with client(api) as there:
        turn = Turn(there, Person(), out=io.StringIO(), err=io.StringIO())
        running = asyncio.ensure_future(turn.run(Request("demo", "hi")))
        while len(api.asked) < 3:
            await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        assert not api.left.is_set()
        await asyncio.wait_for(turn.cancel(), 10)
    assert "/api/sessions/s1/cancel" in [path for path, _ in api.asked]


async def test_a_turn_that_never_began_needs_no_cancelling() -> None:
    api = Api()
    async with client(api) as there:
        await Turn(there, Person(), out=io.StringIO(), err=io.StringIO()).cancel()
    assert api.asked == []


async def test_an_answer_that_comes_too_late_is_no_failure() -> None:
    class Late(Api):
        async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
            if not scope["path"].startswith(ANSWER):
                return await super().__call__(scope, receive, send)
            self.answered.set()
            return await reply(send, {"message": "it was answered already"}, 409)

    assert (await play(Late(CONFIRM, text("done"), stopped()), Person("y\n")))[:2] == (0, "done\n")


async def test_a_history_that_is_summed_up_is_told() -> None:
    started = {"type": "session_compaction", "status": "started"}
    ended = {"type": "session_compaction", "status": "completed", "outcome": "applied"}
    _, out, err = await play(Api(started, ended, text("on"), stopped()))
    assert out == "on\n"
    assert err.splitlines() == ["· the history is being summed up", "· the history is summed up"]


async def test_another_model_and_another_agent_are_told() -> None:
    fell = {"type": "model_fallback", "failed_model": "a/b", "fallback_model": "c/d", "reason": "busy"}
    _, _, err = await play(Api(fell, {"type": "handed_over", "to_agent": "coder"}, stopped()))
    assert err.splitlines() == ["· a/b does not answer: c/d is asked", "· coder goes on"]


async def test_an_app_that_fails_fails_its_caller() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    async with httpx2.AsyncClient(transport=InProcess(broken), base_url="http://x") as http:
        with pytest.raises(ZeroDivisionError):
            await http.get("/")


async def test_the_one_agent_is_found() -> None:
    async with client(Api()) as there:
        assert await source(there, "demo.yaml") == "demo"


async def test_several_agents_are_a_question_for_the_caller() -> None:
    async with client(Api(agents=["a", "b"])) as there:
        with pytest.raises(BadValue, match=r"several agents: name the file of one \(a, b\)"):
            await source(there, "folder")


async def test_an_agent_that_does_not_load_says_why() -> None:
    api = Api(agents=[])
    async with client(api) as there:
        with pytest.raises(Refused, match="line 3"):
            await source(there, "some/demo.yaml")
    assert api.asked[-1][0] == "/api/agents/demo"


async def chunks(api: Api) -> AsyncIterator[bytes]:
    http = httpx2.AsyncClient(transport=InProcess(api), base_url="http://x", timeout=None)
    async with http, http.stream("GET", "/events") as response:
        async for chunk in response.aiter_raw():
            yield chunk


async def test_a_stream_arrives_piece_by_piece() -> None:
    api = Api(text("one"), CONFIRM, stopped())
    got = []
    async for chunk in chunks(api):
        got.append(chunk)
        if len(got) == 3:
            api.answered.set()  # the rest is sent only now: what came before was not held back
        if len(got) == 4:
            break
    assert b"stream_stopped" in got[3]
