"""Where a server listens, and what it plays from a cassette."""

import os
import socket
import stat
from pathlib import Path

import pytest

from acceptance.house import Client, Died, House


def test_a_unix_socket(house: House) -> None:
    house.agent()
    path = house.folder / "run" / "roost.sock"
    server = house.serve(listen=f"unix://{path}")
    assert server.lines[-1] == f"Listening on unix://{path}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    session = server.create(title="t")
    assert server.run(session, "hi")[-1].event["reason"] == "normal"
    with pytest.raises(Died, match="another server answers there"):
        house.serve(listen=f"unix://{path}")
    server.kill()
    assert path.exists()  # what a crash leaves
    again = house.serve(listen=f"unix://{path}")
    assert again.snapshot(session)["messages"]
    assert again.term() == 0
    assert not path.exists()


def test_an_inherited_socket(house: House) -> None:
    house.agent()
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        server = house.serve(listen=f"fd://{sock.fileno()}", fds=[sock.fileno()])
    assert server.lines[-1] == f"Listening on 127.0.0.1:{port}"
    assert Client(f"127.0.0.1:{port}").get("/api/ping").status == 200


def test_a_port_that_is_taken(house: House) -> None:
    house.agent()
    server = house.serve()
    with pytest.raises(Died, match=r"(?s)exit [12].*in use"):
        house.serve(listen=server.address)


def test_beyond_this_machine_only_with_a_token_or_a_word(house: House) -> None:
    house.agent()
    with pytest.raises(Died, match="--allow-unauthenticated"):
        house.serve(listen="0.0.0.0:0")
    open_server = house.serve("--allow-unauthenticated", listen="0.0.0.0:0")
    assert Client(f"127.0.0.1:{open_server.port}").get("/api/ping").status == 200
    guarded = house.serve("--auth-token", "t", listen="0.0.0.0:0", db=house.folder / "other.db")
    assert Client(f"127.0.0.1:{guarded.port}").get("/api/ping").status == 401


def test_standard_input_may_be_closed(house: House) -> None:
    house.agent()
    server = house.serve()  # it is /dev/null, at its end from the start
    assert server.get("/api/ping").status == 200
    assert server.alive


NATIVE = """\
providers:
  openai: {{base_url: {url}/v1, token_key: FAKE_KEY}}
agents:
  root:
    model: openai/gpt-4o-mini
    toolsets: [{{type: think}}]
"""


def test_what_is_recorded_is_replayed(house: House, tmp_path: Path) -> None:
    text = '[[tool think {"thought": "hm"}]] [[say from the model]]'
    house.agent(text=NATIVE.format(url=house.model.url))
    tape = tmp_path / "tape"
    server = house.serve("--record", str(tape), env={"FAKE_KEY": "very-secret"})
    session = server.create(title="t")
    recorded = server.run(session, text)
    assert server.term() == 0
    cassette = (tmp_path / "tape.yaml").read_text()
    assert "version: 2" in cassette and "very-secret" not in cassette
    asked = len(house.model.requests)
    assert asked == 2

    house.model.reset()
    again = house.serve("--fake", str(tape), db=tmp_path / "again.db", env={"FAKE_KEY": ""})
    session = again.create(title="t")
    replayed = again.run(session, text)
    assert house.model.requests == []
    said = [
        [(f.type, f.event.get("content")) for f in frames if f.type == "agent_choice"]
        for frames in (recorded, replayed)
    ]
    assert said[0] == said[1] and said[0]
    assert [f.type for f in replayed] == [f.type for f in recorded]
    missing = again.run(again.create(title="t"), "something that was never recorded")
    assert [f.type for f in missing[-2:]] == ["error", "stream_stopped"]
    with pytest.raises(Died, match=r"exclude each other|together"):
        house.serve("--fake", str(tape), "--record", str(tape))


def test_a_cassette_that_is_not_there(house: House) -> None:
    house.agent()
    with pytest.raises(Died, match="missing") as died:
        house.serve("--fake", os.fspath(house.folder / "missing"))
    assert "Traceback" not in str(died.value)
