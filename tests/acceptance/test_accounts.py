"""Accounts of a real server, looked after from another process."""

import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import anyio
import pytest

from acceptance.house import Client, House, until
from roost.compose import open_accounts, users_file
from roost.config.settings import resolve
from roost.service.accounts import OPERATOR, Accounts

T = TypeVar("T")


def beside(house: House, do: Callable[[Accounts], Awaitable[T]]) -> T:
    """Do something with the accounts of a database that a server has open."""
    settings = resolve({"session_db": str(house.db), "home": str(house.folder / "home")}, {}, None)

    async def run() -> T:
        async with open_accounts(settings) as accounts:
            return await do(accounts)

    return anyio.run(run)


@pytest.fixture
def anns(house: House) -> str:
    """A token of Ann's."""

    async def add(accounts: Accounts) -> str:
        await accounts.add(OPERATOR, "ann", "secret", str(house.folder / "ann"))
        return (await accounts.login("ann", "secret")).token

    return beside(house, add)


def test_d9_an_account_is_removed_while_connected(house: House, anns: str) -> None:
    house.agent()
    server = house.serve("--auth-token", "t", env={"ROOST_DISCONNECT_GRACE": "0"})
    ann, operator = Client(server.address, token=anns), Client(server.address, token="t")
    session = ann.create(title="mine")
    with closing(ann.events(session)) as stream:
        beside(house, lambda accounts: accounts.remove(OPERATOR, "ann"))
        assert ann.get(f"/api/sessions/{session}").status == 401
        assert [frame.id for frame in stream if not frame.ping] == [1]  # and there it ends
    assert ann.get("/nowhere").status == 401
    assert operator.get(f"/api/sessions/{session}").json["title"] == "mine"


def test_a_login_outlives_a_restart(house: House, anns: str) -> None:
    house.agent()
    server = house.serve("--auth-token", "t")
    session = Client(server.address, token=anns).create()
    server.kill()
    again = Client(house.serve("--auth-token", "t").address, token=anns)
    assert again.get(f"/api/sessions/{session}").json["working_dir"] == str(house.folder / "ann")


def test_d9_the_first_account_shuts_an_open_server(house: House) -> None:
    house.agent()
    server = house.serve()
    assert server.get("/api/sessions").status == 200
    beside(house, lambda accounts: accounts.add(OPERATOR, "ann", "secret", str(house.folder / "ann")))
    until(lambda: server.get("/api/sessions").status == 401)
    assert server.get("/health").status == 200
    beside(house, lambda accounts: accounts.remove(OPERATOR, "ann"))
    until(lambda: server.get("/api/sessions").status == 200)


def test_a_lone_turn_needs_no_account(house: House, anns: str) -> None:
    """Whoever can open the database may do everything with it."""
    agent = house.agent()
    command = [sys.executable, "-m", "roost", "exec", str(agent), "hello"]
    done = subprocess.run(
        command, env=house.env(ROOST_SESSION_DB=str(house.db)), cwd=house.folder, capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()


def test_d13_what_an_account_is_known_by_is_nobody_elses(house: House, anns: str) -> None:
    for file in house.folder.glob("session.db*"):
        assert file.stat().st_mode & 0o077 == 0, file
        if file.is_file():
            data = file.read_bytes()
            assert anns.encode() not in data
            assert b"secret" not in data


TOKENS = {
    "ROOST_AUTH_TOKEN": "token-1",
    "ROOST_SERVE_TOKEN": "token-2",
    "ZAG_SERVE_TOKEN": "token-3",
    "ROOST_CONNECT_TOKEN": "token-4",
    "ZAG_CONNECT_TOKEN": "token-5",
}


def test_d15_commands_of_an_agent_do_not_learn_the_servers_tokens(house: House) -> None:
    house.agent(extra="    toolsets: [{type: shell}]\n")
    server = house.serve("--auth-token", "token-0", env={**TOKENS, "OTHER": "is passed on"})
    client = Client(server.address, token="token-0")
    session = client.create(tools_approved=True)
    found = house.folder / "found.txt"
    client.run(session, f'[[tool shell {{"cmd": "env > {found}"}}]]')
    told = found.read_text()
    assert "OTHER=is passed on" in told
    assert "token-" not in told
    assert not [name for name in TOKENS if name in told]


def test_the_list_of_our_own_home_comes_first(tmp_path: Path) -> None:
    settings = resolve({"home": str(tmp_path / "roost")}, {}, None)
    ours, theirs = tmp_path / "roost" / "users.json", tmp_path / ".zag" / "users.json"
    user = '{"users": [{"username": "%s", "password_hash": "x", "home_dir": "/x"}]}'
    for path, name in ((theirs, "bob"), (ours, "ann")):
        path.parent.mkdir()
        path.write_text(user % name)
        listed = users_file(settings, {"HOME": str(tmp_path)}).news()
        assert [account.name for account in listed or ()] == [name]
    assert users_file(settings, {"ZAG_HOME": str(tmp_path / "none")}).news() is not None
    ours.unlink()
    assert users_file(settings, {"ZAG_HOME": str(tmp_path / "none")}).news() is None
