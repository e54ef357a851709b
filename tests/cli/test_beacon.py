"""`serve.json`: written, found, and not believed when its server is gone."""

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from roost.cli import beacon
from roost.client import local


def test_it_is_there_while_the_server_is(tmp_path: Path) -> None:
    path = tmp_path / "serve.json"
    with beacon.lit(tmp_path, "https://localhost:2100", "ab"):
        found = json.loads(path.read_bytes())
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert found == {
            "pid": os.getpid(),
            "address": "https://localhost:2100",
            "scheme": "https",
            "start_time": local.started(os.getpid()),
            "fingerprint": "ab",
        }
        assert beacon.read(path) is not None
    assert not path.exists()


def test_without_tls_there_is_no_fingerprint(tmp_path: Path) -> None:
    with beacon.lit(tmp_path, "unix:///run/s", ""):
        assert "fingerprint" not in json.loads((tmp_path / "serve.json").read_bytes())


def test_that_of_another_server_is_left_alone(tmp_path: Path) -> None:
    with beacon.lit(tmp_path, "https://localhost:1", ""), beacon.lit(tmp_path, "https://localhost:2", ""):
        pass
    with beacon.lit(tmp_path, "https://localhost:1", ""):
        theirs = {"pid": os.getppid(), "address": "https://localhost:2", "scheme": "https"}
        (tmp_path / "serve.json").write_text(json.dumps(theirs))
    assert json.loads((tmp_path / "serve.json").read_text()) == theirs


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        {"pid": 2**22 + 1, "start_time": 1},
        {"pid": 2**70, "start_time": 1},
        {"pid": os.getpid(), "start_time": 1},
    ],
)
def test_what_no_living_server_wrote_is_not_believed(tmp_path: Path, text: Any) -> None:
    path = tmp_path / "serve.json"
    path.write_text(text if isinstance(text, str) else json.dumps({"address": "a://b", "scheme": "a", **text}))
    assert beacon.read(path) is None
    assert beacon.read(tmp_path / "nothing") is None


def test_a_stopgap_does_not_take_the_place_of_a_server_that_runs(tmp_path: Path) -> None:
    stopgap = local.stopgap(tmp_path)
    with beacon.lit(tmp_path, "https://localhost:1", "ab"), beacon.lit(tmp_path, stopgap, ""):
        assert json.loads((tmp_path / "serve.json").read_bytes())["address"] == "https://localhost:1"
    with beacon.lit(tmp_path, stopgap, ""):
        assert json.loads((tmp_path / "serve.json").read_bytes())["address"] == stopgap
        with beacon.lit(tmp_path, "https://localhost:1", "ab"):
            assert json.loads((tmp_path / "serve.json").read_bytes())["address"] == "https://localhost:1"


def test_commands_of_this_machine_have_the_token_wherever_it_came_from(tmp_path: Path) -> None:
    (tmp_path / "serve.toml").write_text('[server]\ntoken = "of the file"\n')
    for token in ("of the file", "of a flag"):
        with beacon.lit(tmp_path, "http://127.0.0.1:1", "", token):
            found = local.find(tmp_path)
            assert found is not None
            assert found.token == token
            assert ("of the file" in (tmp_path / "serve.json").read_text()) is False
    assert "of a flag" not in repr(beacon.Beacon(1, "http://127.0.0.1:1", "http", token="of a flag"))
