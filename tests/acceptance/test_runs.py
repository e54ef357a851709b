"""Runs over real HTTP: frames, titles, models, limits, and clients that leave (checklist 5 to 10, 16, 23)."""

import json
from typing import Any

import pytest

from acceptance.house import House, Server, until
from acceptance.sse import Frame

FILE = """\
providers:
  fake: {{base_url: {url}/v1}}
models:
  fast: {{provider: fake, model: fake-model}}
  slow: {{provider: fake, model: slow-model}}
agents:
  root:
    model: fast
    description: A helpful assistant
    toolsets: [{{type: think}}, {{type: shell}}]
"""
LIMITED = FILE.replace("    toolsets", "    max_iterations: 2\n    toolsets")
THOUGHT = '[[tool think {"thought": "hm"}]]'


@pytest.fixture(scope="module")
def served(shared: House) -> Server:
    shared.agent(text=FILE.format(url=shared.model.url))
    shared.agent("limited", text=LIMITED.format(url=shared.model.url))
    return shared.serve("--disconnect-grace", "500ms")


def post(server: Server, session: str, body: Any) -> list[Frame]:
    stream = server.open("POST", f"/api/sessions/{session}/agent/my-agent", body)
    assert stream.status == 200, stream.read()
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "no-cache"
    return [f for f in stream if not f.ping]


def test_both_forms_of_a_body(served: Server) -> None:
    messages = [{"role": "user", "content": "hi"}]
    new = post(served, served.create(title="t"), {"messages": messages})
    session = served.create(title="t")
    old = post(served, session, messages)
    assert [f.type for f in old[:-1]] == [f.type for f in new]
    assert old[-1].event == {"type": "stream_end", "session_id": session}
    assert new[-1].type == "stream_stopped"
    assert new[-1].event["reason"] == "normal"


def test_the_last_frame_is_the_session_s_own_stop(served: Server) -> None:
    session = served.create(title="t")
    last = served.run(session, "hi")[-1]
    assert (last.type, last.event["session_id"]) == ("stream_stopped", session)


def test_every_frame_is_one_json_event(served: Server) -> None:
    session = served.create(title="t")
    frames = served.run(session, f"{THOUGHT} [[say two\nlines]]")
    for frame in frames:
        lines = frame.raw.split(b"\n")
        assert [line.split(b": ")[0] for line in lines] == [b"id", b"data"], frame.raw
        event = json.loads(lines[1].removeprefix(b"data: "))
        assert event["type"]
        assert ("agent" in event) == ("agent_name" in event)
        if "agent" in event:
            assert event["agent"] == event["agent_name"] == "root"
        assert event["timestamp"].startswith("20")
    assert [f.id for f in frames] == sorted({f.id for f in frames if f.id})


def test_a_busy_session_refuses_and_others_do_not_wait(served: Server) -> None:
    session = served.create(title="t")
    stream = served.start(session, "[[drip 0.2]] [[say a long answer that takes its time]]")
    stream.until("agent_choice")
    body = {"messages": [{"role": "user", "content": "me too"}]}
    busy = served.post(f"/api/sessions/{session}/agent/my-agent", body)
    assert (busy.status, busy.message) == (409, "session is already processing a request")
    assert served.run(served.create(title="t"), "hi")[-1].type == "stream_stopped"
    assert served.snapshot(session)["streaming"]
    assert list(stream)[-1].type == "stream_stopped"


def titles(server: Server, session: str) -> list[str]:
    return [f.event["title"] for f in server.log(session) if f.type == "session_title"]


def test_a_title_is_found_once_and_stored(served: Server) -> None:
    session = served.create()
    served.run(session, "What is a title?")
    until(lambda: served.snapshot(session)["title"])
    assert titles(served, session) == ["A fake title"]
    served.run(session, "again")
    assert served.get(f"/api/sessions/{session}").json["title"] == "A fake title"
    assert set(titles(served, session)) == {"A fake title"}


def test_a_given_title_saves_the_request(served: Server, shared: House) -> None:
    session = served.create(title="mine")
    shared.model.reset()
    frames = served.run(session, "hi")
    assert len(shared.model.requests) == 1
    assert (frames[0].type, frames[0].event["title"]) == ("session_title", "mine")


def test_a_model_for_the_session(served: Server, shared: House) -> None:
    session = served.create(title="t")
    shared.model.reset()
    served.run(session, "one", model="slow")
    served.run(session, "two")
    assert [r["body"]["model"] for r in shared.model.requests] == ["slow-model", "slow-model"]
    models = served.get(f"/api/sessions/{session}/models").json
    assert models["agent"] == "root" and models["current_model_ref"] == "slow"
    (current,) = (m for m in models["models"] if m.get("is_current"))
    assert current["ref"] == "slow"
    assert next(m["name"] for m in models["models"] if m.get("is_default")) == "fast"


TEAM = """\
providers:
  fake: {{base_url: {url}/v1}}
models:
  fast: {{provider: fake, model: fake-model}}
  keyed: {{provider: openai, model: gpt-5, token_key: A_KEY_THAT_IS_NOT_SET}}
agents:
  root: {{model: fast, description: d}}
  second: {{model: fast, description: d}}
  third: {{model: fake/other, description: d}}
  fourth: {{model: keyed, description: d}}
"""


def test_the_team_is_shown_with_the_models_that_its_agents_run_on(served: Server, shared: House) -> None:
    shared.agent("crew", text=TEAM.format(url=shared.model.url))
    session = served.create(title="t")
    for override, root in (({}, "fake-model"), ({"model": "fake/chosen"}, "chosen"), ({}, "chosen")):
        frames = served.run(session, "hi", agent="crew", **override)
        (team,) = (f.event["available_agents"] for f in frames if f.type == "team_info")
        assert [(mate["name"], mate["provider"], mate["model"]) for mate in team] == [
            ("root", "fake", root),
            ("second", "fake", "fake-model"),
            ("third", "fake", "other"),
            ("fourth", "openai", "gpt-5"),
        ]


def test_a_bad_model_changes_nothing(served: Server) -> None:
    session = served.create(title="t")
    served.run(session, "one")
    before = served.snapshot(session)
    body = {"messages": [{"role": "user", "content": "two"}], "model": "nobody/nothing"}
    reply = served.post(f"/api/sessions/{session}/agent/my-agent", body)
    assert reply.status == 422 and reply.message.startswith("failed to run session: ")
    assert served.snapshot(session) == before


@pytest.mark.parametrize("path", ["nobody", "my-agent/nobody"])
def test_an_unknown_agent(served: Server, path: str) -> None:
    session = served.create(title="t")
    body = {"messages": [{"role": "user", "content": "x"}]}
    reply = served.post(f"/api/sessions/{session}/agent/{path}", body)
    assert reply.status == 404 and reply.message
    assert served.snapshot(session)["messages"] is None


def test_an_unknown_session(served: Server) -> None:
    body = {"messages": [{"role": "user", "content": "x"}]}
    reply = served.post("/api/sessions/nobody/agent/my-agent", body)
    assert (reply.status, reply.message) == (404, "failed to run session: session not found")


@pytest.mark.parametrize(("word", "answers"), [("approve", True), ("reject", False)])
def test_the_limit_of_iterations(served: Server, word: str, answers: bool) -> None:
    session = served.create(title="t")
    stream = served.start(session, f"{THOUGHT} {THOUGHT} {THOUGHT} [[say through]]", agent="limited")
    reached = stream.until("max_iterations_reached")[-1]
    assert reached.event["max_iterations"] == 2
    assert served.resume(session, word).status == 200
    rest = list(stream)
    assert (rest[-1].type, rest[-1].event["reason"]) == ("stream_stopped", "normal")
    last = served.snapshot(session)["messages"][-1]["message"]["content"]
    stopped = "Execution stopped after reaching the configured max_iterations limit (2)."
    assert last == ("through" if answers else stopped)


def test_ten_more_iterations_and_then_again(served: Server) -> None:
    session = served.create(title="t")
    thoughts = [THOUGHT.replace("hm", f"hm {n}") for n in range(13)]  # the same one over and over would be a loop
    stream = served.start(session, " ".join(thoughts), agent="limited")
    stream.until("max_iterations_reached")
    assert served.resume(session, "approve").status == 200
    seen = stream.until("max_iterations_reached")
    assert seen[-1].event["max_iterations"] == 12
    assert sum(f.type == "tool_call_response" for f in seen) == 10
    assert served.resume(session, "no").status == 400
    assert served.resume(session, "reject").status == 200
    assert list(stream)[-1].type == "stream_stopped"


LONG = "[[drip 0.05]] [[say " + "and so on and on " * 60 + "]]"


def test_a_client_that_leaves_cancels_its_turn_after_the_grace(served: Server) -> None:
    session = served.create(title="t")
    stream = served.start(session, LONG)
    stream.until("agent_choice")
    stream.close()
    served.until_idle(session, timeout=10)
    frames = served.log(session)
    assert (frames[-1].type, frames[-1].event["reason"]) == ("stream_stopped", "canceled")
    kept = served.snapshot(session)["messages"][-1]["message"]
    assert kept["role"] == "assistant" and kept["content"].startswith("and so on")


def test_a_reader_that_leaves_cancels_nothing(served: Server) -> None:
    session = served.create(title="t")
    reader = served.events(session)
    stream = served.start(session, "[[drip 0.1]] [[say some words that take more than the grace has to give, in all]]")
    reader.until("agent_choice")
    reader.close()
    assert list(stream)[-1].event["reason"] == "normal"


def test_a_turn_goes_on_while_somebody_else_follows(served: Server) -> None:
    session = served.create(title="t")
    stream = served.start(session, "[[drip 0.1]] [[say some words that take more than the grace has to give, in all]]")
    stream.until("agent_choice")
    phone = served.events(session, **{"User-Agent": "phone"})
    stream.close()
    assert phone.until("stream_stopped")[-1].event["reason"] == "normal"
    phone.close()


def test_a_stream_of_the_same_client_is_no_follower(served: Server) -> None:
    session = served.create(title="t")
    reader = served.events(session)
    stream = served.start(session, LONG)
    stream.until("agent_choice")
    stream.close()
    assert reader.until("stream_stopped")[-1].event["reason"] == "canceled"
    reader.close()


def test_a_detached_turn_needs_nobody(served: Server) -> None:
    session = served.create(title="t")
    text = "[[drip 0.1]] [[say some words that take more than the grace has to give, in all]]"
    stream = served.start(session, text, detach=True)
    stream.until("agent_choice")
    stream.close()
    served.until_idle(session)
    assert served.log(session)[-1].event["reason"] == "normal"


def test_a_run_during_the_grace_takes_over(served: Server) -> None:
    session = served.create(title="t")
    stream = served.start(session, LONG)
    stream.until("agent_choice")
    stream.close()

    def taken() -> list[Frame] | None:
        again = served.open("POST", f"/api/sessions/{session}/agent/my-agent", {"messages": [{"content": "anew"}]})
        return list(again) if again.status == 200 else None

    frames = until(taken)
    assert frames[-1].event["reason"] == "normal"
    reasons = [f.event["reason"] for f in served.log(session) if f.type == "stream_stopped"]
    assert reasons == ["canceled", "normal"]


def test_a_turn_that_waits_for_a_person_stays(served: Server) -> None:
    session = served.create(title="t")
    stream = served.start(session, '[[tool shell {"cmd": "echo later"}]]')
    stream.until("tool_call_confirmation")
    stream.close()
    phone = served.events(session, **{"User-Agent": "phone"})
    phone.until("tool_call_confirmation")
    assert served.resume(session, "approve").status == 200
    assert phone.until("stream_stopped")[-1].event["reason"] == "normal"
    phone.close()


def test_cancel(served: Server) -> None:
    session = served.create(title="t")
    stream = served.start(session, LONG)
    stream.until("agent_choice")
    reply = served.post(f"/api/sessions/{session}/cancel")
    assert (reply.status, reply.json) == (200, {"message": "session canceled"})
    assert list(stream)[-1].event["reason"] == "canceled"


def test_old_clients_send_the_whole_conversation_again(served: Server) -> None:
    session = served.create(title="t")
    post(served, session, [{"role": "user", "content": "hi"}])
    post(served, session, [{"role": "user", "content": "hi"}, {"role": "user", "content": "and now?"}])
    said = [m["message"]["content"] for m in served.snapshot(session)["messages"] if m["message"]["role"] == "user"]
    assert said == ["hi", "and now?"]
