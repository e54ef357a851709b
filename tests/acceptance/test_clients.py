"""Three generations of the Go client complete: list, create, run with approval, title, second turn (checklist 30)."""

import pytest

from acceptance.clients import GoClient
from acceptance.house import House, until

FILE = """\
providers:
  fake: {{base_url: {url}/v1}}
agents:
  root:
    model: fake/fake-model
    description: Ops helper
    welcome_message: Hello.
    toolsets: [{{type: shell}}]
    commands:
      fix: Fix it.
"""


@pytest.mark.parametrize("generation", [0, 1, 2])
def test_a_generation_of_the_client(house: House, generation: int) -> None:
    server = house.serve(agents=house.agent("agent", text=FILE.format(url=house.model.url)))
    assert [a["name"] for a in server.get("/api/agents").json] == ["agent"]
    client = GoClient(server, "agent.yaml", generation)
    client.begin()

    seen = []
    for event in client.run('[[tool shell {"cmd": "echo ran"}]] [[say All done.]]'):
        seen.append(event)
        if event["type"] == "tool_call_confirmation":
            client.approve()
    types = [event["type"] for event in seen]
    assert types.index("tool_call_confirmation") < types.index("tool_call") < types.index("tool_call_response")
    assert "".join(e["content"] for e in seen if e["type"] == "agent_choice") == "All done."
    until(lambda: server.snapshot(client.id)["title"])
    client.rename("Mine")

    again = list(client.run("and now?"))
    assert "".join(e["content"] for e in again if e["type"] == "agent_choice") == "fake reply to: and now?"
    snapshot = server.snapshot(client.id)
    said = [m["message"]["content"] for m in snapshot["messages"] if m["message"]["role"] == "user"]
    assert said == client.texts
    assert (client.title, snapshot["title"]) == ("Mine", "Mine")
    last = snapshot["last_event_seq"]
    client.afterwards()
    if client.log is not None:
        client.log.until_seq(last)
        assert client.log.types().count("stream_stopped") == 2
        until(lambda: client.log is not None and client.log.exited)
        client.log.stop()
        ids = [f.id for f in client.log.frames]
        assert ids == list(range(ids[0] or 0, (ids[0] or 0) + len(ids)))


def test_generations_share_a_server(house: House) -> None:
    server = house.serve(agents=house.agent("agent", text=FILE.format(url=house.model.url)))
    clients = [GoClient(server, "agent.yaml", generation, yolo=True) for generation in (0, 1, 2)]
    for client in clients:
        client.begin()
    for client in clients:
        types = [event["type"] for event in client.run('[[tool shell {"cmd": "echo ran"}]]')]
        assert "tool_call_confirmation" not in types and "tool_call_response" in types
    for client in clients:
        if client.log is not None:
            client.log.stop()
