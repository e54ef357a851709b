"""Keys of agent files at work in a real server: what the model is sent, what clients see, what hooks are told."""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from acceptance.house import House, Server
from acceptance.sse import Frame
from fakes.llm import FakeLLM

FILE = """\
providers: {{fake: {{base_url: "{url}/v1", token_key: FAKE_KEY}}}}
models:
  fast: {{provider: fake, model: fast, cost: {{input: 1, output: 1}}}}
  other: {{provider: fake, model: other}}
agents:
{agents}
"""
SECRET = "sk-ant-api03-" + "Zk3vQ8xW2mN7pL4tR9yB" * 4
Body = dict[str, Any]
Make = Callable[..., str]


@pytest.fixture(scope="module")
def server(shared: House) -> Server:
    return shared.serve(env={"FAKE_KEY": "k", "ROOST_HOME": str(shared.folder / "state")})


@pytest.fixture
def model(shared: House) -> FakeLLM:
    shared.model.reset()
    return shared.model


@pytest.fixture
def make(shared: House, request: pytest.FixtureRequest) -> Make:
    """Write an agent file from the entries of its agents (`root` alone where there are none); its id."""

    def write(root: str = "{}", **more: str) -> str:
        name = re.sub(r"\W", "-", request.node.name)
        entries = {"root": root, **more}
        agents = "\n".join(f"  {key}: {{model: fast, {text.strip()[1:]}" for key, text in entries.items())
        shared.agent(name, text=FILE.format(url=shared.model.url, agents=agents))
        return name

    return write


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path


def run(
    server: Server, agent: str, text: str | Sequence[str], folder: Path, session: str = "", **more: Any
) -> list[Frame]:
    session = session or server.create(title="t", working_dir=str(folder), tools_approved=True)
    return server.run(session, text, agent, **more)


def of(frames: Sequence[Frame], kind: str) -> list[Body]:
    return [frame.event for frame in frames if frame.type == kind]


def said(frames: Sequence[Frame]) -> str:
    return "".join(event["content"] for event in of(frames, "agent_choice"))


def sent(model: FakeLLM) -> list[Body]:
    return [request["body"] for request in model.requests]


def system(body: Body) -> str:
    return "\n".join(_text(message["content"]) for message in body["messages"] if message["role"] == "system")


def results(body: Body) -> list[str]:
    return [_text(message["content"]) for message in body["messages"] if message["role"] == "tool"]


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


# -- the prompt ---------------------------------------------------------------------------------


def test_what_the_prompt_is_made_of(server: Server, model: FakeLLM, make: Make, folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "NOTES.md").write_text("Mind the gap.")
    agent = make("{instruction: Be kind, add_date: true, add_environment_info: true, add_prompt_files: [NOTES.md]}")
    run(server, agent, "hello", folder / "deep")
    (body,) = sent(model)
    prompt = system(body)
    assert prompt.index("Be kind") < prompt.index(str(folder / "deep"))
    assert re.search(r"\d{4}-\d\d-\d\d", prompt)
    assert "Mind the gap." in prompt
    assert "Linux" in prompt or "linux" in prompt


def test_a_welcome_is_shown_with_the_agent(server: Server, model: FakeLLM, make: Make, folder: Path) -> None:
    agent = make("{description: Helps, welcome_message: Ahoy}")
    (shown,) = of(run(server, agent, "hello", folder), "agent_info")
    assert (shown["welcome_message"], shown["description"], shown["model"]) == ("Ahoy", "Helps", "fake/fast")


# -- tools --------------------------------------------------------------------------------------


def test_a_result_without_words_says_so(server: Server, model: FakeLLM, make: Make, folder: Path) -> None:
    agent = make("{toolsets: [{type: script, shell: {quiet: {cmd: 'true'}}}]}")
    frames = run(server, agent, "[[tool quiet {}]] [[say ok]]", folder)
    assert said(frames) == "ok"
    assert results(sent(model)[-1])[0].strip("<>()") == "no output"


def test_calls_that_repeat_themselves_end_the_turn(server: Server, model: FakeLLM, make: Make, folder: Path) -> None:
    agent = make("{max_consecutive_tool_calls: 3, toolsets: [{type: shell}]}")
    frames = run(server, agent, '[[tool shell {"cmd": "echo x"}]] ' * 9, folder)
    (error,) = of(frames, "error")
    assert error["code"] == "loop_detected"
    assert "shell" in error["error"] and "3" in error["error"]
    assert frames[-1].event["reason"] == "error"
    assert len(of(frames, "tool_call_response")) < 4


def test_a_long_result_gives_way_in_its_middle(server: Server, model: FakeLLM, make: Make, folder: Path) -> None:
    agent = make("{max_tool_result_tokens: 50, toolsets: [{type: shell}]}")
    frames = run(server, agent, '[[tool shell {"cmd": "seq 1 900"}]] [[say ok]]', folder)
    (shown,) = of(frames, "tool_call_response")
    (read,) = results(sent(model)[-1])
    assert read == shown["response"]
    assert len(read) < 400
    assert read.startswith("1\n2\n") and read.rstrip().endswith("900")


def test_results_are_written_as_toon(server: Server, model: FakeLLM, make: Make, folder: Path) -> None:
    agent = make("{toolsets: [{type: script, toon: 'look.*', shell: {look: {cmd: 'cat it.json'}}}]}")
    (folder / "it.json").write_text('{"people": [{"name": "ada", "age": 36}, {"name": "bob", "age": 7}]}')
    run(server, agent, "[[tool look {}]] [[say ok]]", folder)
    (read,) = results(sent(model)[-1])
    assert "people[2]" in read and '"name"' not in read


def test_of_two_tools_of_one_name_the_first_is_kept(server: Server, model: FakeLLM, make: Make, folder: Path) -> None:
    first, second = (f"{{type: script, shell: {{look: {{cmd: 'echo {word}'}}}}}}" for word in ("first", "second"))
    agent = make(f"{{toolsets: [{first}, {second}]}}")
    frames = run(server, agent, "[[tool look {}]] [[say ok]]", folder)
    assert [event["response"].strip() for event in of(frames, "tool_call_response")] == ["first"]
    assert any("look" in event["message"] for event in of(frames, "warning"))
    names = [tool["function"]["name"] for tool in sent(model)[0]["tools"]]
    assert names.count("look") == 1


def test_secrets_are_hidden_from_the_model_and_from_clients(
    server: Server, model: FakeLLM, make: Make, folder: Path
) -> None:
    agent = make("{toolsets: [{type: shell}]}")
    (folder / "env").write_text(f"KEY={SECRET}\n")
    frames = run(server, agent, '[[tool shell {"cmd": "cat env"}]] [[say ok]]', folder)
    assert said(frames) == "ok"
    assert [frame.event for frame in frames if SECRET.encode() in frame.raw] == []
    assert SECRET not in json.dumps(sent(model))
    open_one = make("{redact_secrets: false, toolsets: [{type: shell}]}")
    frames = run(server, open_one, '[[tool shell {"cmd": "cat env"}]] [[say ok]]', folder)
    assert SECRET in of(frames, "tool_call_response")[0]["response"]


# -- models -------------------------------------------------------------------------------------


def models(model: FakeLLM) -> list[str]:
    return [body["model"] for body in sent(model)]


def test_another_model_takes_over(server: Server, model: FakeLLM, make: Make, folder: Path) -> None:
    agent = make("{fallback: {models: [other], retries: -1}}")
    frames = run(server, agent, "[[status 400 1]] [[say ok]]", folder)
    assert said(frames) == "ok"
    assert models(model) == ["fast", "other"]
    (fell,) = of(frames, "model_fallback")
    assert (fell["failed_model"], fell["fallback_model"]) == ("fake/fast", "fake/other")
    after = frames[[frame.type for frame in frames].index("model_fallback") + 1 :]
    assert of(after, "agent_info")[0]["model"] == "fake/other"


def test_a_model_is_tried_again_so_often(server: Server, model: FakeLLM, make: Make, folder: Path) -> None:
    agent = make("{fallback: {retries: 1}}")
    frames = run(server, agent, "[[status 500]]", folder)
    assert models(model) == ["fast", "fast"]
    assert frames[-1].event["reason"] == "error"


def test_who_helped_stays_for_a_while(server: Server, model: FakeLLM, make: Make, folder: Path) -> None:
    agent = make("{fallback: {models: [other], retries: -1, cooldown: 10m}}")
    session = server.create(title="t", working_dir=str(folder))
    run(server, agent, "[[status 400 1]] [[say ok]]", folder, session)
    run(server, agent, "[[say again]]", folder, session)
    assert models(model) == ["fast", "other", "other"]


def test_a_tools_results_are_read_by_another_model(server: Server, model: FakeLLM, make: Make, folder: Path) -> None:
    agent = make("{toolsets: [{type: shell, model: other}, {type: think}]}")
    frames = run(server, agent, '[[tool shell {"cmd": "echo x"}]] [[tool think {"thought": "t"}]] [[say ok]]', folder)
    assert said(frames) == "ok"
    assert models(model) == ["fast", "other", "fast"]
    assert [event["model"] for event in of(frames, "agent_info")][-2:] == ["fake/other", "fake/fast"]


def test_titles_and_summaries_have_models_of_their_own(server: Server, shared: House, model: FakeLLM) -> None:
    text = FILE.format(url=model.url, agents="  root: {model: fast}").replace(
        "  other:", "  small: {provider: fake, model: small}\n  other:"
    )
    shared.agent("titles", text=text.replace("model: fast, cost", "model: fast, title_model: small, cost"))
    session = server.create()
    frames = server.run(session, "[[sleep 0.2]] [[say ok]]", "titles")
    assert sorted(models(model)) == ["fast", "small"]
    assert of(frames, "session_title") or server.until_idle(session)["title"]


def test_a_model_without_a_price_is_not_free(server: Server, model: FakeLLM, make: Make, folder: Path) -> None:
    agent = make()
    session = server.create(title="t", working_dir=str(folder))
    frames = run(server, agent, "[[say ok]]", folder, session, model="fake/nobody-knows")
    (usage,) = of(frames, "token_usage")
    assert usage["usage"]["last_message"]["Cost"] is None


def test_the_same_words_get_the_same_answer(server: Server, model: FakeLLM, make: Make, folder: Path) -> None:
    agent = make("{cache: {enabled: true}}")
    first = run(server, agent, "[[say one two]]", folder)
    again = run(server, agent, "  [[SAY one two]] ", folder)
    assert said(first) == said(again) == "one two"
    assert len(model.requests) == 1


def test_a_stop_has_its_reason(server: Server, model: FakeLLM, make: Make, folder: Path) -> None:
    agent = make("{hooks: {before_llm_call: {type: command, command: 'test ! -e stop || exit 2'}}}")
    session = server.create(title="t", working_dir=str(folder))

    def reason(frames: Sequence[Frame]) -> tuple[str, str]:
        codes = [event.get("code", "") for event in of(frames, "error")]
        return frames[-1].event["reason"], codes[0] if codes else ""

    assert reason(run(server, agent, "[[say ok]]", folder, session)) == ("normal", "")
    assert reason(run(server, agent, "[[status 400]]", folder, session)) == ("error", "model_error")
    stream = server.start(session, "[[hang]] [[say ok]]", agent)
    stream.until("agent_choice")
    server.post(f"/api/sessions/{session}/cancel")
    assert reason([frame for frame in stream if not frame.ping]) == ("canceled", "")
    (folder / "stop").touch()
    assert reason(run(server, agent, "[[say ok]]", folder, session)) == ("error", "hook_blocked")


# -- hooks --------------------------------------------------------------------------------------


def test_hooks_guard_tell_and_add(server: Server, model: FakeLLM, make: Make, folder: Path) -> None:
    hook = "{type: command, command: '%s'}"
    guard = hook % "grep -q danger && { echo too dangerous >&2; exit 2; }; exit 0"
    agent = make(
        "{toolsets: [{type: shell}], hooks: {"
        f"pre_tool_use: [{{matcher: shell, preempt_yolo: true, hooks: [{guard}]}}], "
        f"post_tool_use: [{{matcher: '*', hooks: [{hook % 'cat >> told'}]}}], "
        f"session_start: {hook % 'echo The project is called Roost.'}}}}}"
    )
    frames = run(
        server,
        agent,
        '[[tool shell {"cmd": "echo danger"}]] [[tool shell {"cmd": "echo fine"}]] [[say ok]]',
        folder,
    )
    (blocked,) = of(frames, "hook_blocked")
    assert "too dangerous" in blocked["message"]
    bad, good = results(sent(model)[-1])
    assert bad.startswith("Tool call blocked by hook: too dangerous")
    assert good.strip() == "fine"
    told = json.loads((folder / "told").read_text())
    assert (told["hook_event_name"], told["tool_input"]) == ("post_tool_use", {"cmd": "echo fine"})
    assert "The project is called Roost." in json.dumps(sent(model)[0]["messages"])
