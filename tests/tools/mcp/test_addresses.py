"""Tool servers behind an address: every transport, lost sessions, servers that go and come back, and headers."""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from fakes.calls import names
from fakes.remote import Door, lived, served, server
from roost.core.errors import ToolsetFailed
from roost.core.events import Answer
from roost.tools.builtin import Builtin
from tools.mcp.asking import Asked
from tools.mcp.conftest import Bench, call

pytestmark = pytest.mark.anyio


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with lived(server().streamable_http_app()) as app:
        yield Door(app)


@pytest.mark.parametrize("transport", ["", "streamable", "streamable-http"])
@pytest.mark.parametrize("protocol", ["auto", "legacy"])
async def test_streamable_http(bench: Bench, door: Door, transport: str, protocol: str) -> None:
    async with (
        served(door) as url,
        bench.open(remote={"url": f"{url}/mcp", "transport_type": transport}, protocol=protocol) as toolset,
    ):
        assert (await call(toolset, "echo", text="hi")).output == "hi"
        assert toolset._listed.modern is (protocol == "auto")  # type: ignore[attr-defined]
        assert len((await call(toolset, "large", megabytes=2)).output) < 300_000
        huge = await call(toolset, "large", megabytes=20)
        assert huge.is_error
        assert (await call(toolset, "echo", text="still")).output == "still"


async def test_a_plain_answer_that_is_too_long(bench: Bench) -> None:
    async with (
        lived(server().streamable_http_app(json_response=True)) as app,
        served(app) as url,
        bench.open(remote={"url": f"{url}/mcp"}) as toolset,
    ):
        huge = await call(toolset, "large", megabytes=20)
        assert huge.is_error and "longer than 16 MiB" in huge.output
        assert (await call(toolset, "echo", text="still")).output == "still"


async def test_the_older_transport_where_it_is_named_and_where_it_is_not(bench: Bench) -> None:
    door = Door(server().sse_app())
    async with served(door) as url:
        for told in ({"transport_type": "sse"}, {}):
            async with bench.open(remote={"url": f"{url}/sse", **told}) as toolset:
                assert (await call(toolset, "echo", text="hi")).output == "hi"
        assert "POST /sse" in door.seen
        async with bench.open(remote={"url": f"{url}/sse", "transport_type": "streamable"}) as toolset:
            with pytest.raises(ToolsetFailed, match="answers with status 405"):
                await toolset.tools()


async def test_a_socket(bench: Bench, door: Door, tmp_path: Path) -> None:
    # Its guard against rebinding wants a port in the name, and a socket has none.
    async with (
        lived(server().streamable_http_app(host="0.0.0.0")) as door.app,
        served(door, uds=str(tmp_path / "s")) as url,
    ):
        for whole in (url, f"{url}:/mcp"):
            async with bench.open(remote={"url": whole}) as toolset:
                assert (await call(toolset, "echo", text="hi")).output == "hi"
    async with bench.open(remote={"url": "unix://s"}) as toolset:
        with pytest.raises(ToolsetFailed, match="must be absolute"):
            await toolset.tools()


async def test_headers(bench: Bench, door: Door) -> None:
    bench.builtin = Builtin({**bench.env, "KEY": "k3y"}, None, bench.home)
    bench.change(headers={"X-Tenant": "acme ${env.KEY}"})
    headers = {"X-Key": "Bearer ${env.KEY}", "X-Who": "${headers.x_tenant}", "X-None": "${headers.nobody}"}
    async with served(door) as url, bench.open(remote={"url": f"{url}/mcp", "headers": headers}) as toolset:
        assert (await call(toolset, "header", name="x-key")).output == "Bearer k3y"
        assert (await call(toolset, "header", name="x-who")).output == "acme ${env.KEY}"
        assert (await call(toolset, "header", name="x-none")).output == "None"


async def test_a_lost_session_is_made_anew_and_the_call_repeated(bench: Bench, door: Door) -> None:
    async with served(door) as url, bench.open(remote={"url": f"{url}/mcp"}, protocol="legacy") as toolset:
        assert (await call(toolset, "echo", text="one")).output == "one"
        async with lived(server().streamable_http_app()) as door.app:
            assert (await call(toolset, "echo", text="two")).output == "two"


async def test_a_server_that_was_away(bench: Bench, door: Door) -> None:
    lifecycle = {"backoff": {"initial": "10ms", "max": "50ms"}, "max_restarts": -1}
    async with served(door) as url:
        port = int(url.rpartition(":")[2])
    async with bench.open(remote={"url": f"{url}/mcp"}, lifecycle=lifecycle) as toolset:
        with pytest.raises(ToolsetFailed, match="can't be reached"):
            await toolset.tools()
        async with served(door, port=port):
            while True:
                try:
                    tools = await toolset.tools()
                    break
                except ToolsetFailed:
                    continue
            assert (await call(toolset, "echo", text="one")).output == "one"
        echo = next(tool for tool in tools if tool.definition.name == "echo")
        async with served(door, port=port):
            assert (await echo.run({"text": "two"}, Asked())).output == "two"


@pytest.mark.parametrize(("status", "why"), [(503, "answers with status 503"), (404, "answers with status 404")])
async def test_a_server_that_refuses(bench: Bench, door: Door, status: int, why: str) -> None:
    door.refuses = (status, "")
    async with served(door) as url, bench.open(remote={"url": f"{url}/mcp"}) as toolset:
        with pytest.raises(ToolsetFailed, match=why):
            await toolset.tools()
        before = len(door.seen)
        with pytest.raises(ToolsetFailed, match=why):
            await toolset.tools()
        assert len(door.seen) == before  # it is not asked again at once


async def test_a_tool_that_asks_in_the_older_way(bench: Bench, door: Door) -> None:
    """The protocol of 2026 has no way for it, so the connection is made anew in the older one."""
    async with served(door) as url, bench.open(remote={"url": f"{url}/mcp"}) as toolset:
        assert (await call(toolset, "echo", text="hi")).output == "hi"
        assert toolset._listed.modern  # type: ignore[attr-defined]
        using = Asked(Answer("accept", content={"n": 3}))
        assert (await call(toolset, "old", using)).output == "accept n=3"
        assert [ask.message for ask in using.asked] == ["How many?"]
        await toolset.tools()
        assert not toolset._listed.modern  # type: ignore[attr-defined]


@pytest.mark.parametrize("protocol", ["auto", "legacy"])
async def test_tools_that_change(bench: Bench, door: Door, protocol: str) -> None:
    async with served(door) as url, bench.open(remote={"url": f"{url}/mcp"}, protocol=protocol) as toolset:
        assert "more" not in await names(toolset)
        await call(toolset, "late")
        with anyio.fail_after(10):
            while "more" not in await names(toolset):
                await anyio.sleep(0.01)
        assert (await call(toolset, "more", text="hi")).output == "hi"


async def test_a_server_that_can_not_be_asked_in_any_way(bench: Bench) -> None:
    """One without sessions: the older way does not help, and the server's own words are told."""
    async with (
        lived(server().streamable_http_app(stateless_http=True)) as app,
        served(app) as url,
        bench.open(remote={"url": f"{url}/mcp"}) as toolset,
    ):
        asked = await call(toolset, "old", Asked(Answer("accept", content={"n": 3})))
        assert asked.is_error and "no back-channel" in asked.output
        assert (await call(toolset, "echo", text="hi")).output == "hi"


async def test_a_confined_session_reaches_what_it_may_and_nothing_else(bench: Bench, door: Door) -> None:
    bench.change(confined=True)
    async with served(door) as url:
        async with bench.open(remote={"url": f"{url}/mcp"}) as toolset:
            with pytest.raises(ToolsetFailed, match="this session is confined to a sandbox"):
                await toolset.tools()
        bench.builtin = Builtin(bench.env, None, bench.home, [url.removeprefix("http://")])
        async with bench.open(remote={"url": f"{url}/mcp"}) as toolset:
            assert await toolset.tools()


@pytest.mark.parametrize(
    ("remote", "why"),
    [
        ({"url": "ftp://x"}, "must begin with http://"),
        ({"url": "${env.NOTHING}"}, "must begin with http://"),
        ({"url": "http://x/", "transport_type": "pigeon"}, "must be streamable or sse"),
    ],
)
async def test_addresses_that_are_none(bench: Bench, remote: dict[str, str], why: str) -> None:
    async with bench.open(remote=remote) as toolset:
        with pytest.raises(ToolsetFailed, match=why):
            await toolset.tools()
