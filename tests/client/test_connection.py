"""`connect.json`, what is known of a server's health, the server of this machine, and what a client is told of one."""

import json
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from fakes.api import FakeApi, P
from roost import Client
from roost.client import connection, health, local
from roost.client.blocking import Blocking
from roost.client.errors import Unreachable
from roost.client.server import Server, home
from roost.core.errors import BadValue


def test_a_connection_is_kept_for_its_owner_alone(tmp_path: Path) -> None:
    made = Server("https://h:2100", token="t", username="ann", fingerprint="ab" * 32)
    path = connection.write(tmp_path / "new", made)
    assert connection.read(tmp_path / "new") == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    text = path.read_text()
    assert text.startswith('{\n  "url": "https://h:2100",')
    assert set(json.loads(text)) == {"url", "token", "username", "fingerprint"}
    assert [one.name for one in path.parent.iterdir()] == ["connect.json"]


def test_a_file_of_the_original_is_read(tmp_path: Path) -> None:
    (tmp_path / "connect.json").write_text('{"url": "https://h:2100", "token": "t", "more": 1}')
    assert connection.read(tmp_path) == Server("https://h:2100", token="t")


def test_a_broken_file_is_said_and_can_be_removed(tmp_path: Path) -> None:
    (tmp_path / "connect.json").write_text("{")
    with pytest.raises(BadValue, match="`roost disconnect` removes it"):
        connection.read(tmp_path)
    assert connection.forget(tmp_path)
    assert not connection.forget(tmp_path)
    assert connection.read(tmp_path) is None


def test_health_is_asked_once_in_half_a_minute_and_for_each_server(api: FakeApi, tmp_path: Path) -> None:
    now, client = [1000.0], Blocking(Server(api.url))
    for moment, asked in ((1000, 1), (1029, 1), (1031, 2), (1000, 3)):
        now[0] = float(moment)
        health.check(client, tmp_path, clock=lambda: now[0])
        assert len(api.seen) == asked
    assert json.loads((tmp_path / "health.json").read_text()) == {api.url: 1000.0}


def test_what_is_known_of_one_server_says_nothing_of_another(api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "health.json").write_text('{"https://elsewhere": 999.0}')
    health.check(Blocking(Server(api.url)), tmp_path, clock=lambda: 1000.0)
    assert [one.target for one in api.seen] == [f"{P}/health"]
    assert json.loads((tmp_path / "health.json").read_text()) == {"https://elsewhere": 999.0, api.url: 1000.0}


def test_a_server_that_is_not_well_is_not_believed_to_be(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    (tmp_path / "health.json").write_text(json.dumps({url: 900.0}))
    with pytest.raises(Unreachable):
        health.check(Blocking(Server(url)), tmp_path, clock=lambda: 1000.0)
    assert json.loads((tmp_path / "health.json").read_text()) == {}


def test_a_broken_cache_is_no_cache(api: FakeApi, tmp_path: Path) -> None:
    (tmp_path / "health.json").write_text("1778922722")
    health.check(Blocking(Server(api.url)), tmp_path)
    assert len(api.seen) == 1


# -- the server of this machine -----------------------------------------------------------------


def record(folder: Path, **fields: object) -> None:
    (folder / "serve.json").write_text(json.dumps({"pid": os.getpid(), **fields}))


def test_a_running_server_is_found_by_its_nearest_address(tmp_path: Path) -> None:
    record(tmp_path, addresses=["https://0.0.0.0:2100", "unix:///run/r.sock"], token="t", fingerprint="ab" * 32)
    assert local.find(tmp_path) == Server("unix:///run/r.sock", token="t")
    record(tmp_path, addresses=["https://0.0.0.0:2100"], token="t", fingerprint="ab" * 32)
    assert local.find(tmp_path) == Server("https://127.0.0.1:2100", token="t", fingerprint="ab" * 32)
    record(tmp_path, address="127.0.0.1:8080")
    assert local.find(tmp_path) == Server("http://127.0.0.1:8080")


def test_its_token_is_in_the_settings_where_the_record_has_none(tmp_path: Path) -> None:
    record(tmp_path, address="unix:///run/r.sock")
    (tmp_path / "serve.toml").write_text('[server]\ntoken = "from the file"\n')
    found = local.find(tmp_path)
    assert found is not None
    assert found.token == "from the file"
    (tmp_path / "serve.toml").write_text("[server")
    assert local.find(tmp_path) == Server("unix:///run/r.sock")


def test_the_record_of_a_process_that_is_gone_is_no_server(tmp_path: Path) -> None:
    assert local.find(tmp_path) is None
    record(tmp_path, pid=2**22 + 1, address="unix:///run/r.sock")
    assert local.find(tmp_path) is None
    (tmp_path / "serve.json").write_text("{")
    assert local.find(tmp_path) is None


def test_a_process_that_was_given_the_same_number_is_another(tmp_path: Path) -> None:
    mine = local.started(os.getpid())
    if mine is None:
        pytest.skip("this system does not say when a process started")
    record(tmp_path, address="unix:///run/r.sock", start_time=mine)
    assert local.find(tmp_path) is not None
    record(tmp_path, address="unix:///run/r.sock", start_time=mine + 1)
    assert local.find(tmp_path) is None


def test_a_session_talks_to_the_server_that_started_it(tmp_path: Path) -> None:
    record(tmp_path, address="unix:///run/r.sock", token="t")
    assert local.of_session(tmp_path, {}) == Server("unix:///run/r.sock", token="t")
    there = {"ROOST_SOCKET": "/run/other.sock", "ROOST_TOKEN": "of the session"}
    assert local.of_session(tmp_path, there) == Server("unix:///run/other.sock", token="of the session")
    assert local.of_session(tmp_path, {"ROOST_URL": "http://127.0.0.1:9"}) == Server("http://127.0.0.1:9")


def test_the_home(tmp_path: Path) -> None:
    assert home({"ROOST_HOME": str(tmp_path)}) == tmp_path
    assert home({"HOME": str(tmp_path)}) == tmp_path / ".roost"


# -- what is said to a client -------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Client, Blocking])
def test_a_fingerprint_may_be_written_as_the_server_prints_it(kind: Any) -> None:
    printed = "AB:" * 31 + "CD"
    for said in (kind("https://h", fingerprint=printed), kind(Server("https://h", fingerprint=printed))):
        assert said.server.fingerprint == "ab" * 31 + "cd"


@pytest.mark.parametrize("kind", [Client, Blocking])
def test_what_is_said_beside_a_server_counts_more(kind: Any) -> None:
    known = Server("https://h", token="t1", ca="/a")
    assert kind(known).server == known
    assert kind(known, token="t2").server == Server("https://h", token="t2", ca="/a")


@pytest.mark.parametrize("kind", [Client, Blocking])
@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"server": ""}, r"which server\? Give its address"),
        ({"server": "127.0.0.1:2100"}, "write https://host:port"),
        ({"server": "http://h:99999"}, "is no address of a server"),
        ({"server": "http://h", "token": "t\n"}, "a line break at its end"),
        ({"server": "http://h", "token": "schlüssel"}, "a character in it that no token has"),
        ({"server": "https://h", "fingerprint": "zz"}, "no SHA-256 fingerprint"),
    ],
)
def test_what_can_not_be_is_said_at_once(kind: Any, said: dict[str, str], why: str) -> None:
    with pytest.raises(BadValue, match=why):
        kind(**said)
