"""Logins at protected tool servers: by the client or by the server, by browser or answer; tokens kept and renewed."""

import socket
import stat
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
import httpx2
import pytest

from fakes.oauth import Gate, protected
from fakes.remote import lived, served
from roost.core.errors import NothingWaits, ToolsetFailed
from roost.core.events import Answer, Authorized, Fact
from roost.ports import Ask
from roost.tools.builtin import Builtin
from tools.mcp.conftest import Bench, call

pytestmark = pytest.mark.anyio

BACK = "http://127.0.0.1:1/back"  # nobody is there: whoever plays the browser reads the address alone


async def browse(url: str) -> dict[str, str]:
    """What a browser would bring back: the query of the address that it is sent to."""
    async with httpx2.AsyncClient() as browser:
        reply = await browser.get(url)
        assert reply.status_code == 302, reply.text
        return {name: values[0] for name, values in parse_qs(urlsplit(reply.headers["location"]).query).items()}


class Person:
    """Someone who is asked to log in, and does what the test says; `told` are the facts of the log."""

    def __init__(self, bench: Bench, do: Callable[[Ask], Any]) -> None:
        self.bench = bench
        self.do = do
        self.asked: list[Ask] = []
        self.told: list[Fact] = []
        bench.change(ask=self.ask, tell=self.tell)

    async def ask(self, question: Ask) -> Answer:
        self.asked.append(question)
        answer = await self.do(question)
        if answer is None:  # the browser has brought it
            await anyio.sleep_forever()
        assert isinstance(answer, Answer)
        return answer

    async def tell(self, fact: Fact) -> None:
        self.told.append(fact)

    async def by_callback(self, question: Ask) -> None:
        """The browser's way back leads to the door."""
        came = await browse(question.meta["docker-agent/authorize_url"])
        logins = self.bench.builtin.logins
        assert not logins.deliver("another state", code=came.get("code", ""))
        description = came.get("error_description", "")
        given = {"code": came.get("code", ""), "error": came.get("error", ""), "description": description}
        assert logins.deliver(came["state"], **given)
        assert not logins.deliver(came["state"], **given)  # each state is taken once

    async def by_answer(self, question: Ask) -> Answer:
        """The browser's way back leads to a client, which answers."""
        return Answer("accept", content=dict(await browse(question.meta["cagent/authorize_url"])))

    @property
    def confirmations(self) -> list[str]:
        return [fact.confirmation for fact in self.told if isinstance(fact, Authorized)]


@asynccontextmanager
async def guarded(lifetime: int = 3600) -> AsyncIterator[tuple[str, Gate]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    app, gate = protected(f"http://127.0.0.1:{port}", lifetime)
    async with lived(app), served(app, port=port) as url:
        yield f"{url}/mcp", gate


def driven(bench: Bench) -> None:
    """The server drives its logins: it has an address to come back to."""
    bench.builtin = Builtin(bench.env, None, bench.home, redirect_uri=BACK)


@pytest.mark.parametrize("way", ["by_callback", "by_answer"])
async def test_a_login_that_the_server_drives(bench: Bench, way: str) -> None:
    driven(bench)
    person = Person(bench, lambda question: getattr(person, way)(question))
    async with guarded() as (url, gate), bench.open(remote={"url": url}) as toolset:
        assert "scopes=['mcp']" in (await call(toolset, "whoami")).output
        (asked,) = person.asked
        assert asked.message == f"OAuth authorization required for {url}" and asked.durable is False
        for prefix in ("cagent", "docker-agent"):
            assert asked.meta[f"{prefix}/type"] == "oauth_flow" and asked.meta[f"{prefix}/server_url"] == url
        query = parse_qs(urlsplit(asked.meta["docker-agent/authorize_url"]).query)
        assert query["code_challenge_method"] == ["S256"] and query["redirect_uri"] == [BACK]
        assert query["resource"] == [url] and query["state"] == [asked.meta["docker-agent/state"]]
        assert asked.meta["auth_server"].rstrip("/") == url.removesuffix("/mcp")
        assert asked.meta["auth_server_metadata"]["code_challenge_methods_supported"] == ["S256"]
        assert asked.meta["resource_metadata"]["resource"] == url
        assert person.confirmations == ["accept"]
        async with bench.open(remote={"url": url}) as other:  # another session has it already
            assert (await call(other, "whoami")).output
        assert gate.did == {"register": 1, "authorize": 1, "exchange": 1} and len(person.asked) == 1


async def test_a_login_that_the_client_drives(bench: Bench) -> None:
    async with guarded() as (url, gate):
        token = gate.issue("c1", ["mcp"], url)

        async def answer(question: Ask) -> Answer:
            assert "docker-agent/state" not in question.meta
            assert question.meta["auth_server_metadata"]["token_endpoint"].endswith("/token")
            return Answer("accept", content=token.model_dump())

        person = Person(bench, answer)
        async with bench.open(remote={"url": url}) as toolset:
            assert (await call(toolset, "whoami")).output.startswith("client=yes")
        assert person.confirmations == ["accept"] and gate.did == {}


async def test_what_is_kept_can_be_read_by_nobody_else(bench: Bench) -> None:
    driven(bench)
    person = Person(bench, lambda question: person.by_callback(question))
    async with guarded() as (url, gate):
        async with bench.open(remote={"url": url}) as toolset:
            await toolset.tools()
        files = list((bench.home / "mcp-logins").iterdir())
        assert len(files) == 2 and all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
        secrets = [*gate.access, *gate.refresh]
        assert not any(secret.encode() in file.read_bytes() for secret in secrets for file in files)
        driven(bench)  # as after a restart
        async with bench.open(remote={"url": url}) as toolset:
            await toolset.tools()
        assert len(person.asked) == 1
        bench.change(owner="somebody else")
        async with bench.open(remote={"url": url}) as toolset:
            await toolset.tools()
        assert len(person.asked) == 2
        for file in files:
            file.write_bytes(b"broken")
        (bench.home / "mcp-logins" / "key").unlink()
        bench.change(owner="")
        driven(bench)
        async with bench.open(remote={"url": url}) as toolset:
            await toolset.tools()  # what can't be read counts as not there
        assert len(person.asked) == 3


async def test_a_token_near_its_end_is_renewed_unasked(bench: Bench) -> None:
    driven(bench)
    person = Person(bench, lambda question: person.by_callback(question))
    async with guarded(lifetime=5) as (url, gate), bench.open(remote={"url": url}) as toolset:
        await toolset.tools()
        first = set(gate.access)
        drawer = bench.builtin._house.vault.drawer("", url)
        kept = await drawer.get()
        assert kept is not None and not kept.token.near_its_end(time.time())
        assert kept.token.near_its_end(time.time() + 4.1) and kept.token.access in first
        with anyio.fail_after(10):
            while gate.did["refresh"] == 0:
                assert (await call(toolset, "whoami")).output.startswith("client=yes")
                await anyio.sleep(0.05)
        renewed = await drawer.get()
        assert renewed is not None and renewed.token.access not in first
        assert gate.did["register"] == 1 and len(person.asked) == 1
    assert renewed.token.expires_at > kept.token.expires_at


async def test_a_token_that_is_not_taken_any_more(bench: Bench) -> None:
    driven(bench)
    person = Person(bench, lambda question: person.by_callback(question))
    async with guarded() as (url, gate), bench.open(remote={"url": url}) as toolset:
        await toolset.tools()
        gate.access.clear()  # revoked: it is renewed
        assert (await call(toolset, "whoami")).output.startswith("client=yes")
        assert gate.did["refresh"] == 1 and len(person.asked) == 1
        gate.access.clear()
        gate.refresh.clear()  # for good: a person logs in again, and the call goes on
        assert (await call(toolset, "whoami")).output.startswith("client=yes")
        assert gate.did["register"] == 1 and len(person.asked) == 2
        assert person.confirmations == ["accept", "accept"]


async def test_sessions_beside_each_other_need_one_login(bench: Bench) -> None:
    driven(bench)
    both = anyio.Event()

    async def last(question: Ask) -> None:
        if len(person.asked) < 2:
            await both.wait()
            await anyio.sleep_forever()
        both.set()
        await person.by_callback(question)

    person = Person(bench, last)
    async with guarded() as (url, gate):
        async with bench.open(remote={"url": url}) as one, bench.open(remote={"url": url}) as other:
            with anyio.fail_after(15):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(one.tools)
                    tasks.start_soon(other.tools)
        assert gate.did == {"register": 1, "authorize": 1, "exchange": 1}


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_no_is_heard_once(bench: Bench, action: str) -> None:
    driven(bench)

    async def no(question: Ask) -> Answer:
        return Answer(action)

    person = Person(bench, no)
    async with guarded() as (url, gate), bench.open(remote={"url": url}) as toolset:
        with pytest.raises(ToolsetFailed, match="failed: it was declined"):
            await toolset.tools()
        with pytest.raises(ToolsetFailed, match="wants a login, which was declined"):
            await toolset.tools()
        assert person.confirmations == ["decline"] and len(person.asked) == 1
        assert gate.did["exchange"] == 0


async def test_what_a_browser_may_not_bring(bench: Bench) -> None:
    driven(bench)
    contents: list[dict[str, str]] = []

    async def bring(question: Ask) -> Answer:
        came = await browse(question.meta["cagent/authorize_url"])
        return Answer("accept", content={**came, **contents[-1]})

    person = Person(bench, bring)
    async with guarded() as (url, gate), bench.open(remote={"url": url}) as toolset:
        for content, why in (
            ({"state": "old"}, "state is that of another login"),
            ({"iss": "http://elsewhere"}, "the answer comes from http://elsewhere"),
            ({"code": "guessed"}, "the authorization server gives no token: invalid_grant"),
            ({"code": "", "error": "access_denied"}, "failed: access_denied"),
        ):
            contents.append(content)
            with pytest.raises(ToolsetFailed, match=why):
                await toolset.tools()
        assert person.confirmations == ["decline"] * 4 and gate.did["exchange"] == 0


async def test_a_refusal_of_the_authorization_server(bench: Bench) -> None:
    driven(bench)
    person = Person(bench, lambda question: person.by_callback(question))
    remote = {"oauth": {"scopes": ["mcp", "deny"]}}
    async with guarded() as (url, _), bench.open(remote={"url": url, **remote}) as toolset:
        with pytest.raises(ToolsetFailed, match="access_denied: no"):
            await toolset.tools()
        assert person.confirmations == ["decline"]


async def test_nobody_can_be_asked(bench: Bench) -> None:
    driven(bench)

    async def nobody(question: Ask) -> Answer:
        raise NothingWaits("this session works in the background")

    async with guarded() as (url, _), bench.open(remote={"url": url}) as toolset:
        with pytest.raises(ToolsetFailed, match="wants a login, and nobody can be asked here"):
            await toolset.tools()
    person = Person(bench, nobody)
    async with guarded() as (url, _), bench.open(remote={"url": url}) as toolset:
        with anyio.fail_after(10), pytest.raises(ToolsetFailed, match="this session works in the background"):
            await toolset.tools()
        assert person.confirmations == ["decline"]


async def test_a_client_that_was_registered_by_hand(bench: Bench) -> None:
    driven(bench)
    person = Person(bench, lambda question: person.by_callback(question))
    async with guarded() as (url, gate):
        async with httpx2.AsyncClient() as http:
            asked = {"redirect_uris": ["http://127.0.0.1:2/own"], "token_endpoint_auth_method": "client_secret_post"}
            made = (await http.post(url.removesuffix("/mcp") + "/register", json=asked)).json()
        bench.builtin = Builtin({**bench.env, "SECRET": made["client_secret"]}, None, bench.home, redirect_uri=BACK)
        oauth = {
            "clientId": made["client_id"],
            "clientSecret": "${env.SECRET}",
            "callbackRedirectURL": "http://127.0.0.1:2/own",
            "scopes": ["mcp"],
        }
        async with bench.open(remote={"url": url, "oauth": oauth}) as toolset:
            assert (await call(toolset, "whoami")).output.startswith("client=yes")
        assert gate.did["register"] == 1
        query = parse_qs(urlsplit(person.asked[0].meta["cagent/authorize_url"]).query)
        assert query["client_id"] == [made["client_id"]] and query["redirect_uri"] == ["http://127.0.0.1:2/own"]


async def test_a_header_of_the_file_is_never_replaced(bench: Bench) -> None:
    driven(bench)
    person = Person(bench, lambda question: person.by_callback(question))
    async with guarded() as (url, gate):
        token = gate.issue("c1", ["mcp"], url).access_token
        for given, works in ((token, True), ("wrong", False)):
            headers = {"authorization": f"Bearer {given}"}
            async with bench.open(remote={"url": url, "headers": headers}) as toolset:
                if works:
                    assert await toolset.tools()
                else:
                    with pytest.raises(ToolsetFailed, match="refuses the Authorization header"):
                        await toolset.tools()
    assert person.asked == []
