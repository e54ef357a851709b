"""The promises of `ports.Browsers`, kept by every store."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from roost.core.accounts import Account
from roost.core.browsers import Browser, PairingCode, Subscription
from roost.core.errors import AccountNotFound, BadValue
from roost.core.ids import Micros, ServerId
from roost.ports import Visit
from roost.stores.memory import Memory, Shelf
from roost.stores.sqlite import open_sqlite

pytestmark = pytest.mark.anyio

ANN = Account("ann", "hash of ann's", "/srv/ann", Micros(5))
PHONE = Browser("one", "d1", "", "bond", "Safari on iPhone", Micros(1), Micros(1), Micros(100))
HERS = Browser("two", "d2", "ann", "", "Chrome on Linux", Micros(2), Micros(2), Micros(100))
CODE = PairingCode("c1", "", "bond", Micros(50))
TELL = Subscription("https://push.example/1", "one", "", "point", "secret", Micros(3))

Opens = Callable[[], AbstractAsyncContextManager[Any]]


def anyway(account: Account) -> None:
    """No condition."""


def nothing(*_: object) -> None:
    """Nobody is told."""


@pytest.fixture(params=["memory", "sqlite"])
def opens(request: pytest.FixtureRequest, tmp_path: Path) -> Opens:
    """Opens servers on one and the same store."""
    shelf = Shelf()

    @asynccontextmanager
    async def memory() -> AsyncIterator[Any]:
        store = Memory(lambda: Micros(1), ServerId("a"), nothing, shelf=shelf)
        yield store
        store.close()

    def sqlite() -> Any:
        return open_sqlite(tmp_path / "roost.db", server=ServerId("a"), now=lambda: Micros(1), grown=nothing)

    return memory if request.param == "memory" else sqlite


@pytest.fixture
async def store(opens: Opens) -> AsyncIterator[Any]:
    async with opens() as store:
        await store.accounts.add(ANN)
        yield store


async def test_a_browser_is_found_by_its_digest_until_it_expires(store: Any) -> None:
    await store.browsers.keep(PHONE, only_if=anyway)
    await store.browsers.keep(HERS, only_if=anyway)
    assert await store.browsers.find("d1", at=Micros(99)) == Visit(PHONE, None)
    assert await store.browsers.find("d2", at=Micros(99)) == Visit(HERS, ANN)
    assert await store.browsers.find("d1", at=Micros(100)) is None
    assert await store.browsers.find("d3", at=Micros(1)) is None
    assert list(await store.browsers.all()) == [PHONE, HERS]


async def test_it_outlives_the_server(opens: Opens) -> None:
    async with opens() as store:
        await store.browsers.keep(PHONE, only_if=anyway)
        await store.browsers.offer(CODE)
        await store.browsers.subscribe(TELL)
    async with opens() as store:
        assert list(await store.browsers.all()) == [PHONE]
        assert list(await store.browsers.subscriptions()) == [TELL]
        assert await store.browsers.use("c1", at=Micros(49)) == CODE


async def test_it_is_kept_for_an_account_that_is_there_and_as_it_should_be(store: Any) -> None:
    def never(account: Account) -> None:
        raise BadValue(f"not {account.name}")

    with pytest.raises(AccountNotFound):
        await store.browsers.keep(replace(HERS, account="bob"), only_if=anyway)
    with pytest.raises(BadValue, match="not ann"):
        await store.browsers.keep(HERS, only_if=never)
    assert list(await store.browsers.all()) == []
    await store.browsers.keep(PHONE, only_if=never)  # it has no account to look at
    assert list(await store.browsers.all()) == [PHONE]


async def test_it_was_here_and_may_come_back(store: Any) -> None:
    await store.browsers.keep(PHONE, only_if=anyway)
    before = await store.accounts.version()
    await store.browsers.seen("one", at=Micros(90), expires_at=Micros(190))
    await store.browsers.seen("nobody", at=Micros(90), expires_at=Micros(190))
    visit = await store.browsers.find("d1", at=Micros(150))
    assert visit == Visit(replace(PHONE, seen_at=Micros(90), expires_at=Micros(190)), None)
    assert await store.accounts.version() == before


async def test_a_browser_that_is_forgotten_is_told_nothing_more(store: Any) -> None:
    await store.browsers.keep(PHONE, only_if=anyway)
    await store.browsers.subscribe(TELL)
    await store.browsers.subscribe(replace(TELL, endpoint="https://push.example/2", browser=""))
    before = await store.accounts.version()
    await store.browsers.forget("one")
    assert await store.browsers.find("d1", at=Micros(1)) is None
    assert [one.browser for one in await store.browsers.subscriptions()] == [""]
    assert await store.accounts.version() > before
    before = await store.accounts.version()
    await store.browsers.forget("one")
    assert await store.accounts.version() == before


@pytest.mark.parametrize("change", ["revoke", "remove", "list"])
async def test_with_the_tokens_of_an_account_go_its_browsers_and_codes(store: Any, change: str) -> None:
    await store.browsers.keep(PHONE, only_if=anyway)
    await store.browsers.keep(HERS, only_if=anyway)
    await store.browsers.offer(replace(CODE, digest="c2", account="ann"))
    await store.browsers.offer(CODE)
    await store.browsers.subscribe(replace(TELL, browser="two", account="ann"))
    await store.browsers.subscribe(replace(TELL, endpoint="https://push.example/3", browser="", account="ann"))
    if change == "revoke":
        await store.accounts.change("ann", lambda was: was)
        assert len(await store.browsers.all()) == 2
        await store.accounts.change("ann", lambda was: replace(was, password="new"), revoke=True)
    elif change == "remove":
        await store.accounts.remove("ann")
    else:
        await store.accounts.remove("ann")
        await store.accounts.take_in([ANN])
        await store.browsers.keep(HERS, only_if=anyway)
        await store.accounts.take_in([])
    assert list(await store.browsers.all()) == [PHONE]
    assert list(await store.browsers.subscriptions()) == []
    assert await store.browsers.use("c2", at=Micros(1)) is None
    assert await store.browsers.use("c1", at=Micros(1)) == CODE


async def test_a_code_is_taken_once_and_in_time(store: Any) -> None:
    for digest in ("c1", "c2"):
        await store.browsers.offer(replace(CODE, digest=digest))
    assert await store.browsers.use("c1", at=Micros(49)) == CODE
    assert await store.browsers.use("c1", at=Micros(49)) is None
    assert await store.browsers.use("c2", at=Micros(50)) is None
    assert await store.browsers.use("c2", at=Micros(49)) is None
    assert await store.browsers.use("nobody's", at=Micros(1)) is None


async def test_whose_a_code_is_can_be_seen_without_taking_it(store: Any) -> None:
    await store.browsers.offer(CODE)
    assert await store.browsers.offered("c1", at=Micros(49)) == CODE
    assert await store.browsers.offered("c1", at=Micros(50)) is None
    assert await store.browsers.offered("nobody's", at=Micros(1)) is None
    assert await store.browsers.use("c1", at=Micros(49)) == CODE
    assert await store.browsers.offered("c1", at=Micros(49)) is None


async def test_the_newest_word_of_an_endpoint_counts(store: Any) -> None:
    await store.browsers.keep(PHONE, only_if=anyway)
    await store.browsers.subscribe(TELL)
    newer = replace(TELL, public="another", created_at=Micros(9))
    await store.browsers.subscribe(newer)
    assert list(await store.browsers.subscriptions()) == [newer]
    await store.browsers.unsubscribe(TELL.endpoint)
    await store.browsers.unsubscribe(TELL.endpoint)
    assert list(await store.browsers.subscriptions()) == []


async def test_what_has_expired_is_removed(store: Any) -> None:
    await store.browsers.keep(PHONE, only_if=anyway)
    await store.browsers.keep(replace(HERS, expires_at=Micros(101)), only_if=anyway)
    await store.browsers.subscribe(TELL)
    await store.browsers.offer(CODE)
    await store.browsers.offer(replace(CODE, digest="c2", expires_at=Micros(101)))
    await store.browsers.purge(at=Micros(100))
    assert [one.id for one in await store.browsers.all()] == ["two"]
    assert list(await store.browsers.subscriptions()) == []
    assert await store.browsers.use("c1", at=Micros(1)) is None
    assert await store.browsers.use("c2", at=Micros(1)) is not None
