"""Accounts: logging in and out, being removed while connected, and being looked after."""

import json
import logging
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import bcrypt
import pytest

from roost.config.users import UsersFile
from roost.core.accounts import Account, digest
from roost.core.errors import (
    AccountExists,
    AccountNotFound,
    BadValue,
    Denied,
    LoginRefused,
    NoAccounts,
    RoostError,
    TooManyLogins,
)
from roost.core.ids import Micros
from roost.core.principals import Principal
from roost.service.accounts import LIFETIME, OPERATOR, Accounts
from roost.service.throttle import TOGETHER, WINDOW
from roost.stores.accounts import Book, MemoryAccounts
from roost.testing.clock import HandClock

pytestmark = pytest.mark.anyio

TOKEN = "5" * 64
OLD = bcrypt.hashpw(b"correct horse", bcrypt.gensalt(4)).decode()


class World:
    """Servers on one store, and a folder for homes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.book = Book()
        self.store = MemoryAccounts(self.book)
        self.clock = HandClock()
        self.users = path / "users.json"
        self.accounts = self.server(UsersFile(path / "none.json", self.users))

    def server(self, roll: UsersFile | None = None) -> Accounts:
        """One more server."""
        return Accounts(self.store, self.clock, token=TOKEN, roll=roll)

    async def add(self, name: str = "ann", password: str = "secret", **how: Any) -> Account:
        """A new account."""
        return await self.accounts.add(OPERATOR, name, password, str(self.path / "homes" / name), **how)

    async def token(self, name: str = "ann", password: str = "secret") -> str:
        """A token for it."""
        return (await self.accounts.login(name, password)).token

    def list(self, *users: dict[str, Any]) -> None:
        """Another `users.json`."""
        new = self.users.with_suffix(".new")
        new.write_text(json.dumps({"users": users}))
        new.chmod(0o600)
        new.replace(self.users)

    def user(self, name: str = "ann", password_hash: str = OLD, **more: Any) -> dict[str, Any]:
        """An entry of it."""
        return {"username": name, "password_hash": password_hash, "home_dir": f"{self.path}/homes/{name}"} | more


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
async def watched(world: World) -> AsyncIterator[World]:
    """A world whose server keeps up with its neighbours."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.accounts.watch)
        await world.clock.until_asleep()
        yield world
        tasks.cancel_scope.cancel()


# -- logging in ---------------------------------------------------------------------------------


async def test_a_login_gives_a_token_that_says_who_is_calling(world: World) -> None:
    account = await world.add(force_sandbox=True)
    login = await world.accounts.login("ann", "secret", address="127.0.0.1")
    assert re.fullmatch("[0-9a-f]{64}", login.token)
    assert login.account == account
    caller = await world.accounts.principal(login.token)
    assert caller == Principal("ann", kind="account", home=str(world.path / "homes" / "ann"), must_sandbox=True)
    assert login.token != await world.token()


async def test_d9_tokens_are_kept_as_digests_alone(world: World) -> None:
    await world.add()
    token = await world.token()
    assert list(world.book.tokens) == [digest(token)]
    assert token not in repr(world.book)


async def test_passwords_are_kept_as_argon2id_of_the_least_that_is_advised(world: World) -> None:
    account = await world.add()
    assert account.password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert "secret" not in repr(world.book)


@pytest.mark.parametrize(
    ("name", "password"), [("ann", "Secret"), ("ann", ""), ("eve", "secret"), ("../ann", "secret"), ("off", "secret")]
)
async def test_what_was_wrong_is_not_told(world: World, name: str, password: str) -> None:
    await world.add()
    await world.add("off")
    await world.accounts.enable(OPERATOR, "off", False)
    with pytest.raises(LoginRefused) as refused:
        await world.accounts.login(name, password)
    assert str(refused.value) == "wrong user name or password"


async def test_without_accounts_nobody_logs_in(world: World) -> None:
    assert not world.accounts.enabled
    with pytest.raises(NoAccounts):
        await world.accounts.login("ann", "secret")
    await world.add()
    assert world.accounts.enabled
    await world.accounts.remove(OPERATOR, "ann")
    assert not world.accounts.enabled


async def test_a_token_is_good_for_a_day(world: World) -> None:
    await world.add()
    token = await world.token()
    world.clock.wind(LIFETIME - 1)
    assert await world.accounts.principal(token) is not None
    world.clock.wind(1)
    assert await world.accounts.principal(token) is None


async def test_d9_expired_tokens_are_thrown_away(watched: World) -> None:
    await watched.add()
    await watched.token()
    watched.clock.wind(LIFETIME)
    await watched.clock.until_asleep(0.1)
    assert watched.book.tokens == {}


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN.upper() + "x", "ü", "5" * 100_000])
async def test_other_tokens_open_nothing(world: World, token: str) -> None:
    await world.add()
    assert await world.accounts.principal(token) is None


async def test_d15_the_servers_token_is_compared_by_digest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []

    def compare(given: str, kept: str) -> bool:
        seen.append((given, kept))
        return given == kept

    monkeypatch.setattr("hmac.compare_digest", compare)
    assert await world.accounts.principal(TOKEN) == OPERATOR
    assert await world.accounts.principal("short") is None
    assert {len(text) for pair in seen for text in pair} == {64}
    assert TOKEN not in {text for pair in seen for text in pair}


async def test_without_a_token_of_its_own_no_empty_one_opens_the_server(world: World) -> None:
    bare = Accounts(world.store, world.clock)
    assert not bare.required
    assert await bare.principal("") is None


async def test_logging_out_ends_that_token_alone(world: World) -> None:
    await world.add()
    one, other = await world.token(), await world.token()
    assert await world.accounts.logout(one)
    assert await world.accounts.principal(one) is None
    assert await world.accounts.principal(other) is not None
    assert not await world.accounts.logout(TOKEN)
    assert await world.accounts.principal(TOKEN) == OPERATOR


# -- failing ------------------------------------------------------------------------------------


async def fails(world: World, name: str, address: str, password: str = "wrong") -> RoostError:
    with pytest.raises((LoginRefused, TooManyLogins)) as refused:
        await world.accounts.login(name, password, address=address)
    return refused.value


async def test_d32_guessing_is_slowed_down(world: World) -> None:
    await world.add()
    await world.add("bob")
    for _ in range(TOGETHER):
        assert isinstance(await fails(world, "ann", "192.0.2.1"), LoginRefused)
    world.clock.wind(10)
    error = await fails(world, "ann", "192.0.2.1", "secret")  # even with the right one
    assert isinstance(error, TooManyLogins)
    assert error.retry_after == WINDOW - 10
    await world.accounts.login("ann", "secret", address="192.0.2.2")
    await world.accounts.login("bob", "secret", address="192.0.2.1")
    world.clock.wind(error.retry_after)
    await world.accounts.login("ann", "secret", address="192.0.2.1")


async def test_d32_many_guesses_at_once_are_no_way_around_it(world: World) -> None:
    await world.add()
    errors: list[RoostError] = []

    async def guess() -> None:
        errors.append(await fails(world, "ann", "192.0.2.1"))

    async with anyio.create_task_group() as tasks:
        for _ in range(TOGETHER * 2):
            tasks.start_soon(guess)
    assert sum(isinstance(error, LoginRefused) for error in errors) == TOGETHER


async def test_d32_a_name_that_nobody_has_costs_as_much(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is computed is the same, whoever is asked for; so is what is answered."""
    done: list[str] = []
    for kind in ("argon2", "bcrypt"):
        name = f"roost.service.passwords._fits_{kind}"
        monkeypatch.setattr(name, lambda password, hashed, kind=kind: done.append(kind) or False)
    await world.add()
    await fails(world, "ann", "a")
    await fails(world, "eve", "a")
    assert done == ["argon2", "argon2"]
    world.list(world.user("bob"))
    done.clear()
    for name in ("ann", "bob", "eve", "../x"):
        await fails(world, name, "b")
    assert done == ["bcrypt", "argon2"] * 4


# -- being looked after -------------------------------------------------------------------------


async def test_accounts_are_for_the_operator_alone(world: World) -> None:
    await world.add()
    caller = await world.accounts.principal(await world.token())
    assert caller is not None
    mine = world.accounts
    for asked in (
        mine.listing(caller),
        mine.add(caller, "eve", "x", "/tmp/eve"),
        mine.remove(caller, "ann"),
        mine.set_password(caller, "ann", "x"),
        mine.enable(caller, "ann", False),
        mine.force_sandbox(caller, "ann", False),
    ):
        with pytest.raises(Denied):
            await asked
    assert [account.name for account in await mine.listing(OPERATOR)] == ["ann"]


async def test_a_home_is_made(world: World) -> None:
    account = await world.add()
    assert oct(Path(account.home).stat().st_mode & 0o777) == "0o700"
    kept = world.path / "homes" / "bob"
    kept.mkdir(mode=0o755)
    (kept / "file").touch()
    await world.add("bob")
    assert (kept / "file").exists()
    Path(account.home).rmdir()
    await world.token()
    assert Path(account.home).is_dir()


@pytest.mark.parametrize("home", ["", "relative", "~/x", "/srv/../etc", "/srv/a\0b"])
async def test_a_home_is_absolute(world: World, home: str) -> None:
    with pytest.raises(BadValue, match="absolute"):
        await world.accounts.add(OPERATOR, "ann", "secret", home)
    assert not world.accounts.enabled


async def test_a_home_that_cannot_be_made_makes_no_account(world: World) -> None:
    (world.path / "file").touch()
    with pytest.raises(BadValue, match="can't be made"):
        await world.accounts.add(OPERATOR, "ann", "secret", str(world.path / "file" / "ann"))
    assert await world.accounts.listing(OPERATOR) == ()


@pytest.mark.parametrize("name", ["", ".ann", "a/b", "..", "ann ", "a" * 65, "änn"])
async def test_d12_an_account_has_a_plain_name(world: World, name: str) -> None:
    with pytest.raises(BadValue, match="user name"):
        await world.accounts.add(OPERATOR, name, "secret", str(world.path / "home"))
    assert not (world.path / "home").exists()


@pytest.mark.parametrize("password", ["", "x" * 1025])
async def test_no_password_is_empty_or_endless(world: World, password: str) -> None:
    with pytest.raises(BadValue, match="password"):
        await world.accounts.add(OPERATOR, "ann", password, str(world.path / "home"))
    await world.add()
    with pytest.raises(BadValue, match="password"):
        await world.accounts.set_password(OPERATOR, "ann", password)


async def test_who_is_not_there_is_named(world: World) -> None:
    await world.add()
    with pytest.raises(AccountExists):
        await world.add()
    for asked in (
        world.accounts.remove(OPERATOR, "eve"),
        world.accounts.set_password(OPERATOR, "eve", "x"),
        world.accounts.enable(OPERATOR, "eve", True),
        world.accounts.force_sandbox(OPERATOR, "eve", True),
    ):
        with pytest.raises(AccountNotFound, match="'eve'"):
            await asked


# -- no longer being let in ---------------------------------------------------------------------


async def remove(accounts: Accounts) -> None:
    await accounts.remove(OPERATOR, "ann")


async def disable(accounts: Accounts) -> None:
    await accounts.enable(OPERATOR, "ann", False)


async def change_password(accounts: Accounts) -> None:
    await accounts.set_password(OPERATOR, "ann", "other")


ENDS = [remove, disable, change_password]


@pytest.mark.parametrize("end", ENDS)
async def test_d9_who_is_no_longer_let_in_is_out_at_once(world: World, end: Any) -> None:
    await world.add()
    await world.add("bob")
    tokens, bobs = [await world.token(), await world.token()], await world.token("bob")
    await end(world.accounts)
    assert [await world.accounts.principal(token) for token in tokens] == [None, None]
    assert await world.accounts.principal(bobs) is not None
    with pytest.raises(LoginRefused):
        await world.token()


@pytest.mark.parametrize("end", ENDS)
async def test_d9_also_at_a_neighbour(world: World, end: Any) -> None:
    await world.add()
    token = await world.token()
    await end(world.server())
    assert await world.accounts.principal(token) is None


async def test_d9_an_account_that_is_enabled_again_has_to_log_in_again(world: World) -> None:
    await world.add()
    token = await world.token()
    await world.accounts.enable(OPERATOR, "ann", False)
    await world.accounts.enable(OPERATOR, "ann", True)
    assert await world.accounts.principal(token) is None
    await world.token()


async def test_a_sandbox_is_forced_from_the_next_request_on(world: World) -> None:
    await world.add()
    token = await world.token()
    await world.accounts.force_sandbox(OPERATOR, "ann", True)
    caller = await world.accounts.principal(token)
    assert caller is not None
    assert caller.must_sandbox


@pytest.mark.parametrize("end", [*ENDS, "logout"])
@pytest.mark.parametrize("where", ["here", "there"])
async def test_d9_whoever_is_connected_hears_of_it(watched: World, end: Any, where: str) -> None:
    await watched.add()
    await watched.add("bob")
    token, bobs = await watched.token(), await watched.token("bob")
    out: list[str] = []

    async def connected(name: str, token: str) -> None:
        await watched.accounts.revoked(token)
        out.append(name)

    async with anyio.create_task_group() as tasks:
        for name, held in (("ann", token), ("bob", bobs), ("operator", TOKEN)):
            tasks.start_soon(connected, name, held)
        await anyio.wait_all_tasks_blocked()
        server = watched.accounts if where == "here" else watched.server()
        await (server.logout(token) if end == "logout" else end(server))
        watched.clock.wind(1)
        with anyio.fail_after(10):
            while not out:
                await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert out == ["ann"]


async def test_whoever_is_connected_is_out_when_the_token_expires(world: World) -> None:
    await world.add()
    token = await world.token()
    world.clock.wind(LIFETIME - 0.05)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.accounts.revoked, token)
            await anyio.wait_all_tasks_blocked()
            world.clock.wind(0.05)


async def test_a_login_that_overlaps_a_new_password_gives_nothing(world: World) -> None:
    await world.add()
    put = world.store.admit

    async def slow(*args: Any, **how: Any) -> None:
        await world.accounts.set_password(OPERATOR, "ann", "other")
        await put(*args, **how)

    world.store.admit = slow  # type: ignore[method-assign]
    with pytest.raises(LoginRefused):
        await world.token()
    assert world.book.tokens == {}


# -- users.json ---------------------------------------------------------------------------------


async def test_a_list_that_appears_is_imported(watched: World) -> None:
    assert not watched.accounts.enabled
    watched.list(watched.user(created_at="2026-05-01T08:00:00.123456789+00:00"), watched.user("bob", enabled=False))
    watched.clock.wind(1)
    with anyio.fail_after(10):
        while not watched.accounts.enabled:
            await anyio.lowlevel.checkpoint()
    ann, bob = await watched.accounts.listing(OPERATOR)
    assert (ann.name, ann.home, ann.enabled) == ("ann", f"{watched.path}/homes/ann", True)
    assert ann.created_at == Micros(1777622400123456)
    assert (bob.name, bob.enabled) == ("bob", False)


async def test_d9_a_change_of_the_list_holds_at_the_next_request(world: World) -> None:
    world.list(world.user(), world.user("bob"))
    token, bobs = await world.token(password="correct horse"), await world.token("bob", "correct horse")
    world.list(world.user(enabled=False), world.user("bob"))
    assert await world.accounts.principal(token) is None
    assert await world.accounts.principal(bobs) is not None
    world.list()
    assert await world.accounts.principal(bobs) is None
    assert await world.accounts.listing(OPERATOR) == ()


async def test_a_bcrypt_hash_is_replaced_at_the_first_login(world: World) -> None:
    world.list(world.user())
    before = world.users.read_bytes()
    (account,) = await world.accounts.listing(OPERATOR)
    assert account.password == OLD
    login = await world.accounts.login("ann", "correct horse")
    assert login.account.password.startswith("$argon2id$")
    assert await world.accounts.principal(login.token) is not None
    await world.token(password="correct horse")
    with pytest.raises(LoginRefused):
        await world.token(password="wrong horse")
    assert world.users.read_bytes() == before


async def test_bcrypt_looks_at_72_bytes(world: World) -> None:
    long = "ä" * 50
    world.list(world.user(password_hash=bcrypt.hashpw(long.encode()[:72], bcrypt.gensalt(4)).decode()))
    with pytest.raises(LoginRefused):
        await world.token(password=long[:35])
    await world.token(password=long)
    with pytest.raises(LoginRefused):  # argon2 looks at all of it
        await world.token(password=long[:40])


async def test_a_password_that_was_changed_here_survives_a_restart(world: World) -> None:
    world.list(world.user())
    await world.accounts.refresh()
    await world.accounts.set_password(OPERATOR, "ann", "newer")
    again = world.server(UsersFile(world.users))
    await again.login("ann", "newer")
    with pytest.raises(LoginRefused):
        await again.login("ann", "correct horse")


async def test_the_first_list_that_is_there_counts(world: World) -> None:
    world.list(world.user())
    (world.path / "none.json").write_text(json.dumps({"users": [world.user("bob")]}))
    await world.accounts.refresh()
    assert [account.name for account in await world.accounts.listing(OPERATOR)] == ["bob"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"users": [{"username": "ann"}]}', '{"users": 5}', "\xff"])
async def test_a_broken_list_changes_nothing(world: World, text: str, caplog: pytest.LogCaptureFixture) -> None:
    world.list(world.user())
    await world.accounts.refresh()
    world.users.write_bytes(text.encode("latin-1"))
    for _ in range(2):
        await world.accounts.refresh()
    assert world.accounts.enabled
    assert [record.getMessage() for record in caplog.records if "can't be read, and" in record.getMessage()] != []
    await world.token(password="correct horse")


async def test_d12_names_and_homes_of_a_list_are_looked_at(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.list(
        world.user("../eve"), world.user("rel", home_dir="rel"), world.user("up", home_dir="/a/../b"), world.user()
    )
    await world.accounts.refresh()
    assert [account.name for account in await world.accounts.listing(OPERATOR)] == ["ann"]
    assert [record.levelno for record in caplog.records if "not imported" in record.getMessage()] == [
        logging.WARNING
    ] * 3


async def test_d13_a_list_that_others_can_read_is_pointed_at(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.list(world.user())
    await world.accounts.refresh()
    assert "read by others" not in caplog.text
    world.users.chmod(0o640)
    os.utime(world.users, (1, 1))
    await world.accounts.refresh()
    assert f"{world.users} can be read by others" in caplog.text


async def test_a_list_that_could_not_be_used_is_read_again(world: World) -> None:
    world.list(world.user())
    take_in = world.store.take_in

    async def fail(_: Any) -> Any:
        world.store.take_in = take_in  # type: ignore[method-assign]
        raise BadValue("no room")

    world.store.take_in = fail  # type: ignore[method-assign]
    with pytest.raises(BadValue):
        await world.accounts.refresh()
    await world.accounts.refresh()
    assert world.accounts.enabled
