"""`roost serve --force-sandbox` with the four CLIs: they work inside, and what they start can't look or get out."""

import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from acceptance.clis import probe
from acceptance.clis.cast import CAST, Cli
from acceptance.clis.theatre import Theatre, gone, opened
from acceptance.house import until
from fakes import llm
from roost.core import events as e
from roost.sandbox.view import interpreter
from sandbox.conftest import engine

__all__ = ["engine"]  # a Docker engine of our own

pytestmark = pytest.mark.clis


@pytest.fixture(scope="module", params=["bubblewrap", pytest.param("docker", marks=pytest.mark.xdist_group("docker"))])
def walled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    kind, env = request.param, {}
    if kind == "docker":
        env["DOCKER_HOST"] = request.getfixturevalue("engine")["DOCKER_HOST"]
    elif shutil.which("bwrap") is None:
        pytest.skip("`apt-get install bubblewrap` brings it")
    env["ROOST_SANDBOX"] = kind
    folder = tmp_path_factory.mktemp("walled")
    with llm.serve() as model, opened(folder, model, CAST, "--force-sandbox", env=env) as found:
        yield found


@pytest.fixture(scope="module")
def neighbour() -> Iterator[str]:
    """A server of somebody else's on loopback, which writes down who came."""
    with closing(socket.create_server(("127.0.0.1", 0))) as door:
        threading.Thread(target=_serve, args=(door,), daemon=True).start()
        yield f"127.0.0.1:{door.getsockname()[1]}"


def _serve(door: socket.socket) -> None:
    while True:
        try:
            caller, _ = door.accept()
        except OSError:
            return
        with caller:
            caller.recv(100)
            caller.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")


def test_a_cli_works_inside_and_its_tool_sees_nothing_outside(walled: Theatre, cli: Cli, neighbour: str) -> None:
    work = walled.work()
    secret = walled.yard.folder / "secret.txt"
    secret.write_text("secret")
    shutil.copy(probe.__file__, work / "probe.py")
    model = walled.model.url.removeprefix("http://")
    hidden = [str(path) for path in (secret, walled.db, walled.work("another"), Path("/etc/shadow"))]
    hidden += [str(walled.yard.home / name) for name in ("serve.toml", "serve.json", "logs", "tls")]
    (walled.work("another") / "file").touch()
    outside = [neighbour, f"127.0.0.1:{walled.port}", "192.0.2.1:80", "example.invalid:80"]
    assert probe.reached(neighbour) == "reached"
    words = [interpreter(), "-I", "probe.py", "told.json", *hidden, "/root", str(work), model, *outside]
    prompt = f"{cli.run(' '.join(words))} [[say all done]]"
    session = walled.spawn(cli.name, prompt, root=str(work), auto_approve=True)
    assert walled.completed(session) == "all done"
    assert walled.run(session).sandbox.startswith(walled.env["ROOST_SANDBOX"] + ":")
    told: dict[str, Any] = json.loads((work / "told.json").read_text())
    for path in hidden:
        assert told[path] in ("FileNotFoundError", "PermissionError", "folder with 0 files"), path
    assert told["/root"] in ("FileNotFoundError", "PermissionError", "folder with 0 files")
    assert told[str(work)] == "folder with 1 files"
    assert told[model] == "reached"
    assert "reached" not in {told[address] for address in outside}
    assert told["HOME"] == str(walled.yard.home / "homes" / session)
    assert not {"ROOST_SERVE_TOKEN", "SSH_AUTH_SOCK", "DOCKER_HOST"} & set(told["env"])
    gone(session)


@pytest.mark.parametrize("walled", ["bubblewrap"], indirect=True)
def test_a_cli_asks_and_goes_on_with_its_conversation_inside(walled: Theatre, cli: Cli) -> None:
    work = walled.work()
    session = walled.spawn(cli.name, f"{cli.run('echo made > made.txt')} [[say one]] MARZIPAN", root=str(work))
    wait = walled.wait(session)
    assert walled.api.post(f"/api/waits/{wait['id']}", {"confirmation": "approve"}).status == 200
    assert walled.completed(session) == "one"
    assert (work / "made.txt").stat().st_uid == os.geteuid()
    walled.age(walled.yard.home / "homes" / session)
    before = len(walled.model.requests)
    walled.ask("POST", f"/sessions/{session}/input", {"message": "[[say two]]"})
    until(lambda: walled.status(session)["status"] == "completed" and walled.output(session) == "two", timeout=60)
    assert "MARZIPAN" in str([request["body"] for request in walled.model.requests[before:]])
    runs = [event.fact for event in walled.facts(session) if isinstance(event.fact, e.RunStarted)]
    assert [bool(run.sandbox) for run in runs] == [True, True]
    gone(session)
