"""The promises of `ports.Accounts`, kept by every store."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from roost.core.accounts import Account, SessionToken
from roost.core.errors import AccountExists, AccountNotFound, BadValue, StoreFull
from roost.core.ids import Micros, ServerId
from roost.ports import Accounts, EventStore
from roost.stores.memory import Memory, Shelf
from roost.stores.sqlite import open_sqlite

pytestmark = pytest.mark.anyio

ANN = Account("ann", "hash of ann's", "/srv/ann", Micros(5))
BOB = Account("bob", "hash of bob's", "/srv/bob", Micros(6), enabled=False, force_sandbox=True)

Opens = Callable[[str], AbstractAsyncContextManager[Any]]


def token(digest: str, account: str = "ann", *, until: int = 100) -> SessionToken:
    return SessionToken(digest, account, Micros(10), Micros(until))


def anyway(account: Account) -> None:
    """No condition."""


def nothing(*_: object) -> None:
    """Nobody is told."""


@pytest.fixture(params=["memory", "sqlite"])
def opens(request: pytest.FixtureRequest, tmp_path: Path) -> Opens:
    """Opens servers on one and the same store."""
    shelf = Shelf()

    @asynccontextmanager
    async def memory(server: str) -> AsyncIterator[EventStore]:
        store = Memory(lambda: Micros(1), ServerId(server), nothing, shelf=shelf)
        yield store
        store.close()

    def sqlite(server: str) -> Any:
        return open_sqlite(tmp_path / "roost.db", server=ServerId(server), now=lambda: Micros(1), grown=nothing)

    return memory if request.param == "memory" else sqlite


@pytest.fixture
async def accounts(opens: Opens) -> AsyncIterator[Accounts]:
    async with opens("a") as store:
        yield store.accounts


async def test_what_was_added_is_there_by_name(accounts: Accounts) -> None:
    assert list(await accounts.all()) == []
    await accounts.add(BOB)
    await accounts.add(ANN)
    assert list(await accounts.all()) == [ANN, BOB]
    assert await accounts.find("bob") == BOB
    assert await accounts.find("Bob") is None


async def test_a_name_is_taken_once(accounts: Accounts) -> None:
    await accounts.add(ANN)
    with pytest.raises(AccountExists, match="'ann'"):
        await accounts.add(replace(ANN, home="/elsewhere"))
    assert await accounts.find("ann") == ANN


async def test_a_change_sees_the_account_as_it_is(accounts: Accounts) -> None:
    await accounts.add(ANN)
    changed = await accounts.change("ann", lambda was: replace(was, password=was.password + "!"))
    assert changed == await accounts.find("ann") == replace(ANN, password="hash of ann's!")
    with pytest.raises(AccountNotFound):
        await accounts.change("eve", lambda was: was)


async def test_a_change_that_is_refused_leaves_all_as_it_was(accounts: Accounts) -> None:
    await accounts.add(ANN)
    await accounts.admit(token("t"), only_if=anyway)
    before = await accounts.version()

    def refuse(was: Account) -> Account:
        raise BadValue("not so")

    with pytest.raises(BadValue, match="not so"):
        await accounts.change("ann", refuse, revoke=True)
    assert await accounts.find("ann") == ANN
    assert await accounts.login("t", at=Micros(50)) is not None
    assert await accounts.version() == before


async def test_a_token_is_good_until_it_expires(accounts: Accounts) -> None:
    await accounts.add(ANN)
    await accounts.admit(token("t"), only_if=anyway)
    found = await accounts.login("t", at=Micros(99))
    assert found is not None
    assert (found.account, found.token) == (ANN, token("t"))
    assert await accounts.login("t", at=Micros(100)) is None
    assert await accounts.login("other", at=Micros(50)) is None


async def test_a_token_is_kept_only_if_the_account_is_still_as_it_must_be(accounts: Accounts) -> None:
    def refuse(account: Account) -> None:
        assert account == ANN
        raise BadValue("the password was changed meanwhile")

    with pytest.raises(AccountNotFound):
        await accounts.admit(token("t"), only_if=anyway)
    await accounts.add(ANN)
    with pytest.raises(BadValue):
        await accounts.admit(token("t"), only_if=refuse)
    assert await accounts.login("t", at=Micros(50)) is None


async def test_removal_and_revocation_take_the_tokens_of_that_account_alone(accounts: Accounts) -> None:
    await accounts.add(ANN)
    await accounts.add(BOB)
    for digest, name in (("a1", "ann"), ("a2", "ann"), ("b1", "bob")):
        await accounts.admit(token(digest, name), only_if=anyway)

    async def good() -> set[str]:
        return {digest for digest in ("a1", "a2", "b1") if await accounts.login(digest, at=Micros(50))}

    await accounts.revoke("a1")
    await accounts.revoke("unheard of")
    assert await good() == {"a2", "b1"}
    await accounts.change("ann", lambda was: was, revoke=True)
    assert await good() == {"b1"}
    await accounts.remove("bob")
    assert await good() == set()
    await accounts.add(BOB)  # somebody new under the old name
    assert await good() == set()
    with pytest.raises(AccountNotFound):
        await accounts.remove("eve")


async def test_d9_expired_tokens_do_not_pile_up(accounts: Accounts) -> None:
    await accounts.add(ANN)
    for n in range(5):
        await accounts.admit(token(f"t{n}", until=100 + n), only_if=anyway)
    assert await accounts.purge(at=Micros(102)) == 3
    assert await accounts.purge(at=Micros(102)) == 0
    assert await accounts.login("t3", at=Micros(50)) is not None


async def test_the_version_rises_with_what_can_end_a_login(accounts: Accounts) -> None:
    seen = [await accounts.version()]

    async def rose() -> bool:
        seen.append(await accounts.version())
        return seen[-1] > seen[-2]

    await accounts.add(ANN)
    assert await rose()
    await accounts.admit(token("t"), only_if=anyway)
    assert not await rose()
    await accounts.revoke("unheard of")
    assert not await rose()
    await accounts.revoke("t")
    assert await rose()
    await accounts.change("ann", lambda was: replace(was, enabled=False))
    assert await rose()
    await accounts.take_in([BOB])
    assert await rose()
    await accounts.take_in([BOB])
    assert not await rose()
    await accounts.remove("ann")
    assert await rose()


async def test_a_list_is_taken_in_once(accounts: Accounts) -> None:
    assert list(await accounts.take_in([ANN, BOB])) == ["ann", "bob"]
    await accounts.change("ann", lambda was: replace(was, password="changed here"))
    await accounts.remove("bob")
    assert list(await accounts.take_in([ANN, BOB])) == []
    assert list(await accounts.all()) == [replace(ANN, password="changed here")]


async def test_what_a_list_says_anew_holds(accounts: Accounts) -> None:
    await accounts.take_in([ANN, BOB])
    await accounts.change("ann", lambda was: replace(was, force_sandbox=True))
    await accounts.admit(token("a"), only_if=anyway)
    await accounts.admit(token("b", "bob"), only_if=anyway)
    now = replace(ANN, password="changed there")
    assert list(await accounts.take_in([now])) == ["ann", "bob"]
    assert list(await accounts.all()) == [replace(now, force_sandbox=True)]
    assert await accounts.login("a", at=Micros(50)) is None
    assert await accounts.login("b", at=Micros(50)) is None


async def test_a_list_does_not_take_over_who_was_there_before(accounts: Accounts) -> None:
    await accounts.add(replace(ANN, password="ours"))
    assert list(await accounts.take_in([ANN])) == []
    assert (await accounts.all())[0].password == "ours"


async def test_d9_a_neighbour_sees_a_change_at_once(opens: Opens) -> None:
    async with opens("a") as here, opens("b") as there:
        await here.accounts.add(ANN)
        assert await there.accounts.find("ann") == ANN
        await there.accounts.admit(token("t"), only_if=anyway)
        assert await here.accounts.login("t", at=Micros(50)) is not None
        before = await here.accounts.version()
        await there.accounts.remove("ann")
        assert await here.accounts.login("t", at=Micros(50)) is None
        assert await here.accounts.version() > before


async def test_what_was_written_outlives_the_server(tmp_path: Path) -> None:
    for server in ("a", "b"):
        opened = open_sqlite(tmp_path / "roost.db", server=ServerId(server), now=lambda: Micros(1), grown=nothing)
        async with opened as store:
            if server == "a":
                await store.accounts.add(BOB)
                await store.accounts.admit(token("t", "bob"), only_if=anyway)
            else:
                assert list(await store.accounts.all()) == [BOB]
                assert await store.accounts.login("t", at=Micros(50)) is not None
    with pytest.raises(StoreFull):
        await store.accounts.add(ANN)


async def test_d13_a_database_with_accounts_is_its_users_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "roost.db"
    async with open_sqlite(path, server=ServerId("a"), now=lambda: Micros(1), grown=nothing) as store:
        await store.accounts.add(ANN)
        beside = [*path.parent.glob("roost.db*")]
        assert len(beside) > 2
        assert {file.name: oct(file.stat().st_mode & 0o077) for file in beside} == {f.name: "0o0" for f in beside}
        assert path.parent.stat().st_mode & 0o077 == 0
