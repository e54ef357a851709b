"""A secret that a tool comes across: it reaches no stream, no log, no database and no model."""

import json
from pathlib import Path

import pytest

from acceptance.house import House

SECRET = "hush/hush+1234=very-secret"
SHOW = '[[tool shell {"cmd": "echo it is $MY_API_KEY; sleep 0.1; printf %s \\"$MY_API_KEY\\" | head -c 9; exit 3"}]]'


def everywhere(house: House, session: str) -> dict[str, bytes]:
    """All that a server has said and kept."""
    server = house.servers[-1]
    found = {f"request {n}": json.dumps(request["body"]).encode() for n, request in enumerate(house.model.requests)}
    found["snapshot"] = json.dumps(server.snapshot(session)).encode()
    found["frames"] = b"\n".join(frame.raw for frame in server.log(session))
    found["log"] = server.stderr().encode()
    return found


@pytest.mark.parametrize("redact", [True, False])
def test_a_secret_of_the_environment(house: House, redact: bool) -> None:
    extra = "    toolsets: [{type: shell}, {type: filesystem}]\n"
    house.agent(extra=extra if redact else f"{extra}    redact_secrets: false\n")
    server = house.serve("--debug", env={"MY_API_KEY": SECRET})
    session = server.create(title="t", safety_policy="autonomous")
    frames = server.run(session, f"{SHOW} [[say done]]")
    response = next(f.event for f in frames if f.type == "tool_call_response")
    assert ("[REDACTED]" in response["response"]) == redact
    shown = everywhere(house, session)
    shown["stream"] = b"\n".join(frame.raw for frame in frames)
    assert server.term() == 0
    shown["database"] = b"".join(path.read_bytes() for path in Path(house.folder).glob("session.db*") if path.is_file())
    seen = {name for name, text in shown.items() if SECRET.encode() in text.replace(b"\\/", b"/")}
    assert bool(seen) != redact, seen


def test_what_a_person_says_is_kept_and_not_sent(house: House) -> None:
    house.agent()
    server = house.serve(env={"MY_API_KEY": SECRET})
    session = server.create()
    server.run(session, f"my key is {SECRET}")
    server.until_idle(session)
    said = server.snapshot(session)["messages"][0]["message"]["content"]
    assert said == f"my key is {SECRET}"
    assert house.model.requests
    for request in house.model.requests:  # that for the title among them
        assert SECRET not in json.dumps(request["body"])
