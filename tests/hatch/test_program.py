"""The tool server of a CLI, as a process: its protocol, its patience with a server that is away, its start."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from roost.core.ids import RunId
from roost.hatch.hatch import ORDERS, PROGRAM, Hatch

PATIENCE = 20.0


class Peer:
    """The program, and whoever started it."""

    def __init__(self, argv: list[str]) -> None:
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"PATH": os.defpath})
        self._id = 0

    def send(self, **message: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def read(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def ask(self, method: str, **params: Any) -> Any:
        self._id += 1
        self.send(id=self._id, method=method, params=params)
        answer = self.read()
        assert answer["id"] == self._id
        return answer

    def call(self, name: str, **arguments: Any) -> Any:
        return self.ask("tools/call", name=name, arguments=arguments)["result"]


@pytest.fixture
def place(tmp_path: Path) -> tuple[Hatch, Path]:
    hatch = Hatch(tmp_path / "home", tmp_path / "roost.db")
    folder = tmp_path / "run"
    folder.mkdir()
    for name, text in hatch.outfit(RunId("r1"), str(folder)).files.items():
        (folder / name).write_text(text)
    hatch.path.parent.mkdir(parents=True)
    return hatch, folder


@pytest.fixture
def peer(place: tuple[Hatch, Path]) -> Iterator[Peer]:
    hatch, folder = place
    server = hatch.outfit(RunId("r1"), str(folder)).server
    peer = Peer([server["command"], *server["args"]])
    yield peer
    peer.process.kill()
    peer.process.wait()
    for pipe in (peer.process.stdin, peer.process.stdout):
        assert pipe is not None
        pipe.close()


@contextmanager
def listening(path: Path, answer: Callable[[Any], Any]) -> Iterator[list[Any]]:
    """A server that answers with what `answer` makes of a question; None hangs up."""
    asked: list[Any] = []
    folder = os.open(path.parent, os.O_RDONLY)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    path.unlink(missing_ok=True)
    door.bind(f"/proc/self/fd/{folder}/{path.name}")
    door.listen()

    def serve() -> None:
        while True:
            try:
                line, _ = door.accept()
            except OSError:
                return
            with line, line.makefile("rb") as heard:
                asked.append(json.loads(heard.readline()))
                if (reply := answer(asked[-1])) is not None:
                    line.sendall(json.dumps(reply).encode() + b"\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        door.shutdown(socket.SHUT_RDWR)
        door.close()
        thread.join(5)
        path.unlink(missing_ok=True)
        os.close(folder)


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_it_speaks_the_version_that_is_asked_for(peer: Peer, version: str) -> None:
    hello = peer.ask("initialize", protocolVersion=version, capabilities={}, clientInfo={"name": "t", "version": "1"})
    assert hello["result"]["protocolVersion"] == version
    assert hello["result"]["serverInfo"]["name"] == "roost"
    peer.send(method="notifications/initialized")
    assert peer.ask("ping")["result"] == {}
    tools = peer.ask("tools/list")["result"]["tools"]
    assert [tool["name"] for tool in tools] == ["spawn", "wait", "collect", "ask", "status"]
    assert all(tool["inputSchema"]["type"] == "object" and tool["description"] for tool in tools)


def test_an_unknown_version_gets_the_newest(peer: Peer) -> None:
    assert peer.ask("initialize", protocolVersion="1999-01-01")["result"]["protocolVersion"] == "2025-11-25"


def test_what_it_does_not_know(peer: Peer) -> None:
    assert peer.ask("resources/list")["error"]["code"] == -32601
    assert peer.ask("tools/call", name="rm", arguments={})["error"]["code"] == -32602
    assert peer.process.stdin is not None
    peer.process.stdin.write(b"garbage\n[]\n7\n")
    peer.process.stdin.flush()
    assert peer.read()["error"]["code"] == -32700
    assert peer.read()["error"]["code"] == -32600
    assert peer.ask("ping")["result"] == {}


def test_a_call_reaches_the_server_with_the_runs_token(peer: Peer, place: tuple[Hatch, Path]) -> None:
    hatch, _ = place
    with listening(hatch.path, lambda asked: {"result": [asked["method"], asked["params"]]}) as asked:
        result = peer.call("collect", ids=["a"])
    assert not result["isError"]
    assert json.loads(result["content"][0]["text"]) == ["collect", {"ids": ["a"]}]
    assert hatch.whose(asked[0]["token"]) == "r1"


def test_an_error_is_told_to_the_model(peer: Peer, place: tuple[Hatch, Path]) -> None:
    with listening(place[0].path, lambda _: {"error": "no such session"}):
        result = peer.call("status")
    assert result == {"content": [{"type": "text", "text": "no such session"}], "isError": True}


def test_a_call_waits_for_a_server_that_is_restarted(peer: Peer, place: tuple[Hatch, Path]) -> None:
    path = place[0].path
    peer.send(id="x", method="tools/call", params={"name": "spawn", "arguments": {"prompt": "p"}})
    with listening(path, lambda _: None) as first:  # it takes the question, and dies
        deadline = time.monotonic() + PATIENCE
        while not first:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    with listening(path, lambda _: {"result": {"session_id": "s"}}) as second:
        assert json.loads(peer.read()["result"]["content"][0]["text"]) == {"session_id": "s"}
    assert second[0]["key"] == first[0]["key"]  # so that nothing is started twice
    assert second[0]["again"] and not first[0]["again"]


def test_a_cancelled_call_is_withdrawn_and_others_go_on(peer: Peer, place: tuple[Hatch, Path]) -> None:
    hold, seen = threading.Event(), threading.Event()

    def answer(asked: Any) -> Any:
        if asked["method"] == "wait":
            seen.set()
            hold.wait(PATIENCE)
            return None
        return {"result": "here"}

    with listening(place[0].path, answer):
        peer.send(id=1, method="tools/call", params={"name": "wait", "arguments": {}})
        assert seen.wait(PATIENCE)
        assert peer.ask("ping")["result"] == {}
        peer.send(method="notifications/cancelled", params={"requestId": 1})
        hold.set()
        peer._id = 1
        assert peer.call("status")["content"][0]["text"] == '"here"'


def test_it_loads_little(place: tuple[Hatch, Path]) -> None:
    """It starts with each run of a CLI, which waits for it."""
    hatch, folder = place
    server = hatch.outfit(RunId("r1"), str(folder)).server
    argv = [server["command"], *server["args"]]
    argv.insert(argv.index("-I"), "-Ximporttime")
    done = subprocess.run(argv, input=b"", capture_output=True, timeout=PATIENCE, env={"PATH": os.defpath}, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()}
    assert {"json", "socket"} <= loaded
    assert loaded.isdisjoint(
        {"asyncio", "dataclasses", "http.client", "logging", "roost", "subprocess", "urllib.request"}
    )
    assert len(loaded) < 100  # 59 here, and each release of Python has others


# -- tokens -------------------------------------------------------------------------------------


def test_tokens_are_known_again_by_the_next_server(tmp_path: Path) -> None:
    first = Hatch(tmp_path, tmp_path / "roost.db")
    token = json.loads(first.outfit(RunId("r1"), "/f").files[ORDERS])["token"]
    assert Hatch(tmp_path, tmp_path / "roost.db").whose(token) == "r1"
    assert Hatch(tmp_path / "else", tmp_path / "roost.db").whose(token) is None
    for forged in (token.replace("r1", "r2", 1), token[:-1], "r1.", "", ".", "r1.é", token + "0"):
        assert first.whose(forged) is None


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    Hatch(tmp_path, tmp_path / "roost.db")
    (key,) = tmp_path.glob("run/*.key")
    assert key.stat().st_mode & 0o777 == 0o600
    key.write_bytes(b"cut off")
    Hatch(tmp_path, tmp_path / "roost.db")
    assert len(key.read_bytes()) == 32


def test_the_command_holds_no_secret(tmp_path: Path) -> None:
    outfit = Hatch(tmp_path, tmp_path / "roost.db").outfit(RunId("r1"), "/f")
    token = json.loads(outfit.files[ORDERS])["token"]
    assert token not in json.dumps(outfit.server)
    assert outfit.server["args"][-1] == f"/f/{PROGRAM}"
    assert sys.version_info.major == 3
