"""`--force-sandbox`, by enumeration: no driver, no mode, no endpoint and no tool starts a program outside."""

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import anyio
import pytest

from acceptance.clis.theatre import Theatre, alive, opened
from acceptance.house import until
from fakes import llm
from roost.core import events as e
from roost.doors.docker_agent import routes as docker_agent
from roost.doors.zag import routes as zag
from roost.drivers.catalogue import drivers

pytestmark = pytest.mark.skipif(shutil.which("bwrap") is None, reason="`apt-get install bubblewrap` brings it")

PROGRAM = """\
#!/bin/sh
echo "$0 $*" >> {outside} 2>/dev/null
echo "$0" >> "$PWD/inside"
"""
AGENTS = """\
providers: {{fake: {{base_url: {url}/v1}}}}
models: {{fast: {{provider: fake, model: fake-model}}}}
agents:
  root:
    model: fast
    toolsets: [{{type: shell}}, {{type: background_jobs}}, {{type: filesystem}}]
"""
HARNESS = "agents: {root: {harness: {type: codex}}}\n"
GIT = """\
[core]
    fsmonitor = {escape}
    pager = {escape}
    hooksPath = {folder}
[diff]
    external = {escape}
"""
PROGRAMS = sorted({driver.program for driver in drivers(mock=True).values() if driver.program})


class Walled:
    """A server that must confine everything, with a program of each driver that leaves a trace wherever it runs."""

    def __init__(self, theatre: Theatre) -> None:
        self.theatre = theatre
        self.outside = theatre.yard.folder / "outside"

    def runs(self) -> list[e.RunStarted]:
        """All runs of all sessions."""
        with closing(sqlite3.connect(self.theatre.db, timeout=10)) as base:
            facts = [e.decode(body) for (body,) in base.execute("SELECT body FROM events")]
        return [fact for fact in facts if isinstance(fact, e.RunStarted)]

    def check(self) -> None:
        """Nothing has run outside."""
        assert not self.outside.exists(), self.outside.read_text()
        assert all(run.sandbox.startswith(("bubblewrap:", "docker:")) for run in self.runs())


@pytest.fixture(scope="module")
def walled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walled]:
    folder = tmp_path_factory.mktemp("walled")
    (binary := folder / "bin").mkdir()
    for name in (*PROGRAMS, "escape"):
        (binary / name).write_text(PROGRAM.format(outside=folder / "outside"))
        (binary / name).chmod(0o755)
    with llm.serve() as model:
        (agents := folder / "agents").mkdir()
        (agents / "shell.yaml").write_text(AGENTS.format(url=model.url))
        (agents / "harnessed.yaml").write_text(HARNESS)
        flags = ("--force-sandbox", "--enable-mock", "--agents", str(agents))
        with opened(folder, model, {}, *flags, path=f"{binary}:/usr/bin:/bin") as theatre:
            yield Walled(theatre)


@pytest.mark.parametrize(
    "mode", [{"auto_approve": True}, {}, {"interactive": True}], ids=["approved", "asking", "talk"]
)
def test_no_driver_starts_its_program_outside(walled: Walled, mode: dict[str, Any]) -> None:
    spawned = {}
    for name in sorted(drivers(mock=False)):
        work = walled.theatre.work()
        spawned[name] = walled.theatre.spawn(name, "hello", root=str(work), **mode), work
    for name, (session, work) in spawned.items():
        walled.theatre.over(session)
        assert (work / "inside").exists(), name
        assert not alive(session)
    walled.check()


def test_no_tool_of_an_agent_file_runs_outside(walled: Walled) -> None:
    work, escape = walled.theatre.work(), f"echo out >> {walled.outside}"
    prompt = f"""[[tool shell {{"cmd": "{escape}; echo one > one"}}]]
        [[tool run_background_job {{"cmd": "{escape}; echo two > two"}}]] [[say done]]"""
    session = walled.theatre.spawn("shell", prompt, root=str(work), auto_approve=True)
    assert walled.theatre.completed(session) == "done"
    until(lambda: (work / "one").exists() and (work / "two").exists())
    walled.check()


def test_a_turn_that_began_before_is_confined_from_now_on(tmp_path: Path, fake_llm: llm.FakeLLM) -> None:
    (agents := tmp_path / "agents").mkdir()
    (agents / "shell.yaml").write_text(AGENTS.format(url=fake_llm.url))
    flags = ("--enable-mock", "--agents", str(agents))
    with opened(tmp_path, fake_llm, {}, *flags) as theatre:
        work, outside = theatre.work(), tmp_path / "outside"
        prompt = f"""[[tool shell {{"cmd": "echo out >> {outside}; echo in > inside"}}]] [[say done]]"""
        session = theatre.spawn("shell", prompt, root=str(work))
        wait = theatre.wait(session)
        theatre.front.kill()
        theatre.open("--force-sandbox", *flags)
        assert theatre.api.post(f"/api/waits/{wait['id']}", {"confirmation": "approve"}).status == 200
        assert theatre.completed(session) == "done"
        assert (work / "inside").exists()
        assert not outside.exists()


def routes() -> list[tuple[str, str]]:
    """Every route of both doors."""
    service, closing_ = MagicMock(), anyio.Event()
    tables = [*docker_agent.routes(service, closing=closing_, version="1", quiet=1.0)]
    tables += zag.routes(service, closing=closing_, version="1")
    return sorted({(route.method, route.path) for route in tables})


BODY = {
    "provider": "codex",
    "prompt": "hello",
    "message": "hello",
    "messages": [{"role": "user", "content": "hello"}],
    "content": "hello",
    "auto_approve": True,
    "uncommitted": True,
    "action": "list",
    "query": "x",
    "url": "http://127.0.0.1:1/",
    "command": ["codex"],
    "name": "n",
    "title": "t",
    "confirmation": "approve",
    "timeout": "3s",
    "force": False,
}
STARTERS = {
    ("POST", "/api/v1/sessions/spawn"),
    ("POST", "/api/v1/sessions/pipe"),
    ("POST", "/api/v1/sessions/retry"),
    ("POST", "/api/v1/sessions/:id/input"),
    ("POST", "/api/v1/review"),
    ("POST", "/api/sessions/:id/agent/:agent"),
}


def test_no_endpoint_starts_anything_outside(walled: Walled) -> None:
    theatre, work = walled.theatre, walled.theatre.work()
    repository(work, walled.theatre.yard.folder / "bin")
    started, answers, session = set(), {}, ""
    for method, path in routes():
        if not session or theatre.reply("GET", f"/sessions/{session}").status != 200:
            session = theatre.spawn("mock", "hello", auto_approve=True)
            theatre.completed(session)
        before = {run.run for run in walled.runs()}
        target = path.replace(":agent_name", "root").replace(":agent", "harnessed").replace(":id", session)
        body = {**BODY, "root": str(work), "session_ids": [session], "ids": [session], "sessions": [session]}
        stream = theatre.api.open(method, target, body if method in ("POST", "PATCH") else None)
        answers[method, path] = stream.status, b"" if method == "GET" else stream.read()
        stream.close()
        until(lambda: "running" not in {entry["status"] for entry in theatre.ask("GET", "/sessions")})
        if {run.run for run in walled.runs()} - before:
            started.add((method, path))
        walled.check()
    assert started >= STARTERS, {route: answers[route] for route in STARTERS - started}


def repository(work: Path, programs: Path) -> None:
    """A repository with changes, whose settings name programs for Git to run."""
    git = ("git", "-C", str(work), "-c", "user.name=n", "-c", "user.email=e@example.com")
    subprocess.run((*git, "init", "-q"), check=True)
    (work / "a.txt").write_text("one\n")
    subprocess.run((*git, "add", "a.txt"), check=True)
    subprocess.run((*git, "commit", "-q", "-m", "one"), check=True)
    (work / "a.txt").write_text("two\n")
    for hook in ("post-checkout", "post-index-change"):
        shutil.copy(programs / "escape", work / ".git" / "hooks" / hook)
    with (work / ".git" / "config").open("a") as config:
        config.write(GIT.format(escape=programs / "escape", folder=work / ".git" / "hooks"))


def test_where_no_sandbox_works_what_must_be_confined_is_refused(tmp_path: Path, fake_llm: llm.FakeLLM) -> None:
    with opened(tmp_path, fake_llm, {}, "--enable-mock", env={"ROOST_SANDBOX": "none"}) as theatre:
        refused = theatre.reply("POST", "/sessions/spawn", {"provider": "mock", "prompt": "x", "sandbox": ""})
        assert refused.status == 403, refused
        assert "sandbox" in json.loads(refused.body)["error"]
        assert theatre.completed(theatre.spawn("mock", "x"))
        said = theatre.yard.fails("--force-sandbox", "--token", "t", env={"ROOST_SANDBOX": "none"})
        assert "--force-sandbox: no sandbox works on this machine" in said
