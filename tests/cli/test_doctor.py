"""`roost doctor`: what it finds, and what it never prints."""

import json
import os
import socket
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from fakes.pages import site
from roost.cli import checks
from roost.cli.doctor import doctor
from roost.cli.model import model

GOOD = "agents:\n  root:\n    model: openai/gpt-5-mini\n    instruction: hi\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_TOKEN")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("ROOST_HOME", str(tmp_path / "home"))
    return tmp_path


def agents(where: str, env: dict[str, str]) -> list[checks.Finding]:
    return list(checks.agents(checks.load_all(where, env), env))


def test_keys_are_named_and_not_shown() -> None:
    found = checks.keys({"OPENAI_API_KEY": "sk-hidden", "OTHER": "x"})
    assert found == checks.Finding("keys", "ok", "OPENAI_API_KEY")
    assert checks.keys({}).state == "warn"


def test_agent_files_are_loaded_one_by_one(folder: Path) -> None:
    (folder / "good.yaml").write_text(GOOD)
    (folder / "bad.YML").write_text("agents:\n  root:\n    modell: x\n")
    (folder / "notes.txt").write_text("no agent")
    bad, good = agents(str(folder), {"OPENAI_API_KEY": "k"})
    assert bad.state == "fail"
    assert "bad.YML" in bad.text
    assert "modell" in bad.text
    assert good == checks.Finding("agents", "ok", f"{folder}/good.yaml: root")


def test_a_model_without_its_key_is_said(folder: Path) -> None:
    (folder / "a.yaml").write_text(GOOD)
    [found] = agents("a.yaml", {})
    assert (found.state, found.text) == ("warn", "a.yaml: loads, but\nnot set: OPENAI_API_KEY")


def test_keys_of_providers_of_the_files_own_are_keys(folder: Path) -> None:
    own = "providers:\n  mine:\n    base_url: https://llm.example/v1\n    token_key: MY_OWN_WORD\n"
    (folder / "a.yaml").write_text(GOOD.replace("openai/gpt-5-mini", "mine/small") + own)
    loaded = checks.load_all("a.yaml", {})
    assert checks.keys({"MY_OWN_WORD": "hidden"}, checks.own_keys(loaded)) == checks.Finding(
        "keys", "ok", "MY_OWN_WORD"
    )
    assert agents("a.yaml", {})[0].text == "a.yaml: loads, but\nnot set: MY_OWN_WORD"
    assert agents("a.yaml", {"MY_OWN_WORD": "hidden"})[0].state == "ok"


def test_what_an_agent_file_asks_for_in_vain_is_said(folder: Path) -> None:
    (folder / "a.yaml").write_text(GOOD + "    toolsets:\n      - type: scheduler\n")
    [found] = agents("a.yaml", {"OPENAI_API_KEY": "k"})
    assert found.state == "warn"
    assert "'scheduler' is not supported yet" in found.text


def test_the_built_in_agent_loads() -> None:
    [found] = agents("default", {"ANTHROPIC_API_KEY": "k"})
    assert found.state == "ok"


def test_no_agent_at_all_is_a_failure() -> None:
    [found] = agents("nowhere", {})
    assert found.state == "fail"


def test_the_disk_is_measured(folder: Path) -> None:
    found = checks.disk(folder / "new")
    assert found.state in ("ok", "warn")
    assert "fsync" in found.text


def test_a_disk_that_cannot_be_written_is_a_failure(folder: Path) -> None:
    (folder / "file").write_text("")
    assert checks.disk(folder / "file" / "x").state == "fail"


def test_a_disk_on_the_network_is_a_failure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_filesystem", lambda _: "nfs4")
    assert checks.disk(folder).state == "fail"


def test_another_programs_database_is_told_apart(folder: Path) -> None:
    assert checks.database(folder / "none.db").state == "ok"
    with sqlite3.connect(folder / "session.db") as db:
        db.execute("CREATE TABLE t (x)")
    assert checks.database(folder / "session.db").state == "warn"
    assert checks.database(folder / "session.db", given=True).state == "fail"


def test_a_taken_port_is_said() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        assert checks.port(f"127.0.0.1:{sock.getsockname()[1]}").state == "warn"
    assert checks.port("127.0.0.1:0").state == "ok"


def test_it_prints_a_line_for_each_and_fails_only_for_what_is_broken(folder: Path) -> None:
    done = CliRunner().invoke(doctor, ["--listen", "127.0.0.1:0"])
    assert done.exit_code == 0, done.output
    for check in ("python", "keys", "local model", "disk", "database", "port", "shell"):
        assert check in done.output
    (folder / "bad.yaml").write_text("agents: 3\n")
    assert CliRunner().invoke(doctor, ["bad.yaml", "--listen", "127.0.0.1:0"]).exit_code == 1


def test_it_prints_json() -> None:
    done = CliRunner().invoke(doctor, ["--json", "--listen", "127.0.0.1:0"])
    assert {finding["check"] for finding in json.loads(done.output)} >= {"python", "database"}


def test_rebuilding_a_database_that_is_not_there_fails(folder: Path) -> None:
    done = CliRunner().invoke(doctor, ["--rebuild", "--session-db", "none.db"])
    assert done.exit_code == 1
    assert not (folder / "none.db").exists()


def test_rebuilding_a_sound_database_finds_nothing_wrong(folder: Path) -> None:
    done = CliRunner().invoke(doctor, ["--rebuild", "--session-db", "a.db"])
    assert done.exit_code == 1
    (folder / "a.db").touch()
    done = CliRunner().invoke(doctor, ["--rebuild", "--session-db", "a.db", "--listen", "127.0.0.1:0"])
    assert "all was as the logs say" in done.output


def test_the_model_says_whether_it_is_there() -> None:
    done = CliRunner().invoke(model, ["status", "--json"])
    found = json.loads(done.output)
    assert set(found) == {"engine", "weights", "file"}
    assert done.exit_code == (0 if all(found.values()) else 1)


def test_the_agent_clis_that_are_there_are_named(folder: Path) -> None:
    assert checks.clis({"PATH": str(folder)}).state == "warn"
    (program := folder / "codex").write_text("#!/bin/sh\n")
    program.chmod(0o755)
    found = checks.clis({"PATH": str(folder)})
    assert (found.state, found.text.split("\n")[0]) == ("ok", f"codex ({program})")
    assert "claude" in found.text.split("\n")[1]


def test_an_agent_that_lives_elsewhere_is_fetched(tmp_path: Path) -> None:
    env = {"ROOST_HOME": str(tmp_path), "HOME": str(tmp_path), "OPENAI_API_KEY": "k"}
    with site(a=GOOD.encode()) as there:
        [found] = agents(f"{there.url}/a.yaml", env)
        assert found == checks.Finding("agents", "ok", f"{there.url}/a.yaml: root")
        [gone] = agents(f"{there.url}/b.yaml", env)
        assert (gone.state, gone.text) == ("fail", f"{there.url}/b.yaml can't be fetched: HTTP 404")
