"""Agents elsewhere: their cards, what they answer at once, in a stream and after a while, and their ends."""

import json
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import pytest

from fakes.agent import Agent, open_agent, until
from fakes.calls import Session, Using, find, names
from fakes.site import drip, hang
from roost.core.errors import ToolsetFailed
from roost.ports import Toolset
from roost.tools.a2a import peer
from roost.tools.a2a import toolset as toolsets
from roost.tools.a2a.answer import Answer
from roost.tools.a2a.card import BadCard, card, places

pytestmark = pytest.mark.anyio


@pytest.fixture
def agent() -> Iterator[Agent]:
    with open_agent() as agent:
        yield agent


def to(session: Session, agent: Agent, **more: Any) -> AbstractAsyncContextManager[Toolset]:
    return session.open("a2a", url=agent.url, **more)


TOOL = "Far_Agent_write"
both = pytest.mark.parametrize("streaming", [True, False])


# -- the card -----------------------------------------------------------------------------------


async def test_a_tool_for_each_skill(session: Session, agent: Agent) -> None:
    agent.card(streaming=False)
    async with to(session, agent) as toolset:
        assert await names(toolset) == ["Far_Agent_look_up_", "Far_Agent_write"]
        definition = (await find(toolset, "Far_Agent_look_up_")).definition
        assert definition.description == "Looks it up\nFor example: What is a roost?"
        assert not definition.annotations.read_only and definition.effect == "ask"
        assert "Far Agent is an agent elsewhere" in toolset.instructions
    async with to(session, agent, tools=("write",)) as toolset:
        assert await names(toolset) == ["Far_Agent_write"]
    agent.card(streaming=False, skills=[])
    async with to(session, agent) as toolset:
        assert await names(toolset) == ["Far_Agent"]


@pytest.mark.parametrize(
    "path", ["/.well-known/agent-card.json", "/.well-known/agent.json", "/team/card.json", "/team"]
)
async def test_where_the_card_is_found(session: Session, agent: Agent, path: str) -> None:
    agent.card(streaming=False, path=path)
    url = agent.url + (path if path.startswith("/team") else "/deep/er")
    async with session.open("a2a", url=url) as toolset:
        assert TOOL in await names(toolset)


def test_the_places_of_a_card() -> None:
    known = ["/a/.well-known/agent-card.json", "/.well-known/agent-card.json", "/a/.well-known/agent.json",
             "/.well-known/agent.json"]  # fmt: skip
    assert places("http://x/a/") == [f"http://x{path}" for path in known] + ["http://x/a/"]
    assert places("http://x/a.json")[0] == "http://x/a.json"


@pytest.mark.parametrize(
    ("page", "words"),
    [
        (b"<html>", "no JSON"), (b"[]", "no agent card"), (b"{}", "no agent card"),
        (json.dumps({"name": "x", "url": "http://x", "preferredTransport": "GRPC"}).encode(), "speaks: GRPC"),
        (b'{"name": "x"}', "it speaks: nothing"), (b"[" * 100_000, "no JSON"),
    ],
)  # fmt: skip
async def test_a_card_that_is_none(session: Session, agent: Agent, page: bytes, words: str) -> None:
    agent.site.page("/.well-known/agent-card.json", page)
    with pytest.raises(ToolsetFailed, match=words):
        async with to(session, agent):
            pass


async def test_an_agent_that_is_not_there(session: Session, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ToolsetFailed, match="HTTP 404"):
        async with to(session, agent):
            pass
    with pytest.raises(ToolsetFailed, match="no http"):
        async with session.open("a2a", url="ftp://x"):
            pass
    monkeypatch.setattr(toolsets, "PATIENCE", 0.2)
    agent.site.pages["/.well-known/agent-card.json"] = hang
    with pytest.raises(ToolsetFailed, match="has not answered within"):
        async with to(session, agent):
            pass


def test_endpoints() -> None:
    def url(asked: str, **given: Any) -> str:
        return card({"name": "x", **given}, asked).url

    other = [{"transport": "GRPC", "url": "http://g"}, {"transport": "JSONRPC", "url": "http://j"}]
    assert url("http://x", url="http://h", preferredTransport="HTTP+JSON", additionalInterfaces=other) == "http://j"
    assert url("http://x", supportedInterfaces=[{"protocolBinding": "JSONRPC", "url": "http://s"}]) == "http://s"
    assert url("http://far:1", url="http://0.0.0.0:2/rpc") == "http://far:2/rpc"
    assert url("http://127.0.0.1:1", url="http://localhost:2/rpc") == "http://127.0.0.1:2/rpc"
    assert url("http://far:1", url="http://localhost:2/rpc") == "http://localhost:2/rpc"  # and that is refused
    with pytest.raises(BadCard):
        url("http://x")


# -- messages -----------------------------------------------------------------------------------


@both
async def test_an_answer_at_once(session: Session, agent: Agent, streaming: bool) -> None:
    agent.card(streaming=streaming)
    session.headers = {"x-key": "s3cr3t-key"}
    async with to(session, agent, headers={"Authorization": "Bearer ${headers.x_key}"}) as toolset:
        result = await session.call(toolset, TOOL, message="plain please")
        assert result.output == "Hello, you.[file a.pdf, application/pdf]" and not result.is_error
    sent = agent.calls[0]
    assert sent["method"] == ("message/stream" if streaming else "message/send")
    assert sent["params"]["message"]["parts"] == [{"kind": "text", "text": "plain please"}]
    assert sent["params"]["metadata"] == {"skillId": "write"}
    assert all(asked.headers.get("authorization") == "Bearer s3cr3t-key" for asked in agent.site.asked)


@both
async def test_a_task_is_followed_to_its_end(session: Session, agent: Agent, streaming: bool) -> None:
    agent.card(streaming=streaming)
    async with to(session, agent) as toolset:
        using = Using()
        result = await session.call(toolset, TOOL, using, message="work")
        assert result.output == 'It is done.{"n": 1}' and not result.is_error
        assert using.shown == (["thinking"] if streaming else [])
    assert agent.methods()[1:] == ["tasks/get"] * 3


async def test_pieces_are_put_together(session: Session, agent: Agent) -> None:
    agent.card(streaming=True)
    async with to(session, agent) as toolset:
        using = Using()
        result = await session.call(toolset, TOOL, using, message="pieces")
        assert result.output == "one two\nthree" and using.shown == ["one ", "two", "three"]


@both
async def test_an_agent_that_asks_back(session: Session, agent: Agent, streaming: bool) -> None:
    agent.card(streaming=streaming)
    async with to(session, agent) as toolset:
        first = await session.call(toolset, TOOL, message="ask")
        assert first.output == "The agent asks back: Which one?\n(Call this tool again with the answer.)"
        assert not first.is_error
    async with to(session, agent) as toolset:  # found again after a restart
        second = await session.call(toolset, TOOL, message="both")
        assert second.output.startswith("It is done.")
        await session.call(toolset, TOOL, message="plain")
    last = agent.calls[-1]["params"]["message"]
    assert last["contextId"] == "c1" and "taskId" not in last


@both
@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("fail", "ended as failed: I fell over"), ("login", "wants a login that it was not given: Who are you?"),
        ("error", "Far Agent: I won't (-32004)"), ("junk", "no JSON-RPC"), ("down", "HTTP 503"), ("down", "lunch"),
    ],
)  # fmt: skip
async def test_what_goes_wrong(session: Session, agent: Agent, word: str, words: str, streaming: bool) -> None:
    agent.card(streaming=streaming)
    async with to(session, agent) as toolset:
        result = await session.call(toolset, TOOL, message=word)
        assert result.is_error and words in result.output


@both
async def test_a_long_answer_is_cut(
    session: Session, agent: Agent, streaming: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.card(streaming=streaming)
    async with to(session, agent) as toolset:
        result = await session.call(toolset, TOOL, message="flood")
        assert 30_000 <= len(result.output) < 31_000 and "left out" in result.output
        monkeypatch.setattr(peer, "LARGEST", 50_000)
        result = await session.call(toolset, TOOL, message="flood")
        assert result.is_error and ("more than 50000 bytes" in result.output or "50000 bytes without" in result.output)


@both
async def test_a_task_that_never_ends_is_cancelled(
    session: Session, agent: Agent, streaming: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.card(streaming=streaming)
    monkeypatch.setattr(peer, "PATIENCE", 0.6)
    async with to(session, agent) as toolset:
        result = await session.call(toolset, TOOL, message="hang")
        assert result.is_error and "not finished within 0.6 s; the task was cancelled" in result.output
    assert agent.methods()[-1] == "tasks/cancel" and agent.state == "canceled"


@both
async def test_cancelling_the_call_cancels_the_task(session: Session, agent: Agent, streaming: bool) -> None:
    agent.card(streaming=streaming)
    async with to(session, agent) as toolset:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                shown = anyio.Event()
                using = Using(hears=lambda _: shown.set())

                async def call() -> None:
                    await session.call(toolset, TOOL, using, message="hang")

                tasks.start_soon(call)
                if streaming:
                    await shown.wait()
                else:
                    await until(agent, "tasks/get")
                tasks.cancel_scope.cancel()
    assert agent.state == "canceled"


async def test_a_silent_stream_is_left_for_the_task(
    session: Session, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent.card(streaming=True)
    monkeypatch.setattr(peer, "IDLE", 0.2)
    async with to(session, agent) as toolset, anyio.create_task_group() as tasks:

        async def call() -> None:
            result = await session.call(toolset, TOOL, message="hang")
            assert result.output.startswith("It is done.")

        tasks.start_soon(call)
        await until(agent, "tasks/get")
        agent.looks = 1


async def test_bytes_that_drip_for_ever(session: Session, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    agent.card(streaming=True)
    monkeypatch.setattr(peer, "PATIENCE", 0.5)
    agent.site.pages["/rpc"] = drip
    async with to(session, agent) as toolset:
        result = await session.call(toolset, TOOL, message="plain")
        assert result.is_error and "not finished within 0.5 s" in result.output


# -- where it may be ----------------------------------------------------------------------------


async def test_a_card_does_not_lead_into_the_private_net(session: Session, agent: Agent) -> None:
    agent.card(streaming=False, url=f"http://127.0.0.2:{agent.site.port}/rpc")
    headers = {"Authorization": "Bearer topsecret"}
    async with to(session, agent, headers=headers) as toolset:
        result = await session.call(toolset, TOOL, message="plain")
        assert result.is_error and "not a public address" in result.output
    assert not agent.calls
    with pytest.raises(ToolsetFailed, match="not a public address"):
        async with to(session, agent, allow_private_ips=False):
            pass


async def test_a_confined_session_reaches_no_agent(session: Session, agent: Agent) -> None:
    agent.card(streaming=False)
    session.confined = True
    with pytest.raises(ToolsetFailed, match="confined"):
        async with to(session, agent):
            pass
    assert not agent.site.asked


async def test_secrets_do_not_come_back(session: Session, agent: Agent) -> None:
    agent.card(streaming=False)
    async with to(session, agent, headers={"X-Api-Key": "t0psecret"}) as toolset:
        agent.site.pages["/rpc"] = (400, {}, b'{"error": {"message": "bad key t0psecret"}}')
        result = await session.call(toolset, TOOL, message="plain")
        assert result.is_error and "bad key ***" in result.output


# -- the answer ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("results", "text", "state", "over"),
    [
        ([], "", "", False),
        ([None, 7, "x"], "", "", False),
        ([{"parts": [{"type": "text", "text": "old"}, {"text": "new"}, {"what": 1}, 7]}], "oldnew", "", True),
        ([{"id": "t", "status": {"state": "TASK_STATE_INPUT_REQUIRED"}}], "", "input-required", True),
        ([{"id": "t", "status": {"state": "working"}}], "", "working", False),
        ([{"id": "t", "status": {"state": "completed"}, "history": [
            {"role": "user", "parts": [{"text": "q"}]}, {"role": "agent", "parts": [{"text": "a"}]}]}], "a",
         "completed", True),
        ([{"kind": "task", "id": 7, "status": 7, "artifacts": 7, "history": 7}], "", "", True),
        ([{"kind": "artifact-update", "taskId": "t", "artifact": {"parts": [{"text": "x"}]}}], "x", "", False),
    ],
)  # fmt: skip
def test_answers_of_all_kinds(results: list[Any], text: str, state: str, over: bool) -> None:
    answer = Answer()
    for result in results:
        answer.feed(result)
    assert (answer.text(), answer.state, answer.over) == (text, state, over)
