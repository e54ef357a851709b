"""How gemini, copilot, ollama, opencode, qwen and rows of the settings are started."""

import json
from pathlib import Path
from typing import Any

import pytest

from drivers.rehearsal import Rehearsal, check, ended, errand, text
from roost.core import events as e
from roost.core.errors import BadModel, BadValue
from roost.drivers.catalogue import drivers
from roost.drivers.ollama import Ollama
from roost.ports import Launch

DRIVERS = drivers(mock=False)
SECRET = "a prompt that nobody else may read"


def launch(name: str, **more: Any) -> Launch:
    return DRIVERS[name].launch(errand(SECRET, **more))


@pytest.mark.parametrize("name", sorted(DRIVERS))
@pytest.mark.parametrize("auto", [True, False])
def test_no_prompt_and_no_system_prompt_is_an_argument(name: str, auto: bool) -> None:
    made = launch(name, auto_approve=auto, system_prompt="a system prompt")
    assert not [word for word in made.argv if SECRET in word or "a system prompt" in word]
    assert made.cwd == "/tmp/demo"


@pytest.mark.parametrize("name", ["gemini", "copilot", "ollama"])
def test_one_prompt_is_read_from_stdin_to_its_end(name: str) -> None:
    made = launch(name, auto_approve=True, system_prompt="Be kind.")
    (given,) = made.inputs
    assert given.close
    assert given.line.endswith(SECRET)
    assert given.line.startswith("Be kind.") is (name != "copilot")


@pytest.mark.parametrize("more", [{"interactive": True}, {"max_turns": 3}, {"prompt": ""}])
@pytest.mark.parametrize("name", ["gemini", "copilot"])
def test_the_protocol_is_spoken_where_a_prompt_is_not_enough(name: str, more: dict[str, Any]) -> None:
    given = errand(**{"prompt": SECRET, "auto_approve": True, **more})
    made = DRIVERS[name].launch(given)
    assert "--acp" in made.argv
    assert not made.inputs[0].close


def test_gemini_is_told_its_session_and_folders() -> None:
    made = launch("gemini", auto_approve=True, model="gemini-2.5-pro", add_dirs=("/a", "/b"))
    assert made.argv[1:7] == ("--model", "gemini-2.5-pro", "--include-directories", "/a", "--include-directories", "/b")
    assert made.argv[-2:] == ("--session-id", "11111111-2222-4333-8444-555555555555")
    assert made.env["GEMINI_CLI_NO_RELAUNCH"] == "true"
    assert "--model" not in launch("gemini", model="auto").argv
    assert launch("gemini", auto_approve=True, resume="old").argv[-2:] == ("--resume", "old")


@pytest.mark.parametrize(("name", "auto"), [("gemini", True), ("gemini", False), ("opencode", False), ("ollama", True)])
def test_what_a_cli_can_not_be_told_is_a_warning(name: str, auto: bool) -> None:
    on = Rehearsal(DRIVERS[name], errand("hi", auto_approve=auto, effort="high", add_dirs=("/a",)))
    capable = {"protocolVersion": 1, "agentCapabilities": {}}
    events = [{"type": "init", "session_id": "s"}] if auto else [{"id": 1, "result": capable}]
    for event in (*events, {"id": 2, "result": {"sessionId": "s"}}):
        on.feed(json.dumps(event).encode())
    words = [fact.message.split(";")[0] for fact in on.of(e.Warned)]
    folders = [f"{name} knows no further folders"] if name != "gemini" else []
    assert words == [f"{name} knows no effort", *folders]


def test_copilot_is_told_effort_and_agent() -> None:
    argv = launch("copilot", effort="high", agent="reviewer").argv
    assert "--reasoning-effort=high" in argv
    assert "--agent=reviewer" in argv


def test_gemini_loads_a_conversation_only_after_the_minute_of_its_birth() -> None:
    made = launch("gemini", resume="489fe18f-12ac-4549")
    assert made.argv[:2] == ("/bin/sh", "-c")
    assert made.argv[3:6] == ("gemini", "489fe18f", "/bin/cli")
    assert "sleep" in made.argv[2]


@pytest.mark.parametrize("name", sorted(DRIVERS))
def test_d27_d31_nothing_is_written_into_the_project(name: str, tmp_path: Path) -> None:
    """A system prompt, tool servers and a schema: whatever needs a file has it in the folder of its run."""
    project, own = tmp_path / "project", tmp_path / "project/.codex/AGENTS.md"
    own.parent.mkdir(parents=True)
    own.write_text("the project's own")
    for auto in (True, False):
        more = {"mcp": {"x": {"command": "y"}}, "json_schema": {"type": "object"}, "auto_approve": auto}
        if name == "ollama":
            del more["mcp"]
        made = launch(name, working_dir=str(project), system_prompt="Be kind.", **more)
        assert all(not Path(file).is_absolute() and ".." not in Path(file).parts for file in made.files)
        assert not [word for word in (*made.argv, *made.env.values()) if word.startswith(f"{project}/")]
    assert [path for path in project.rglob("*") if path.is_file()] == [own]
    assert own.read_text() == "the project's own"


def test_copilots_system_prompt_is_a_file_of_the_run() -> None:
    for auto in (True, False):
        made = launch("copilot", auto_approve=auto, system_prompt="Be kind.")
        assert made.files["roost.instructions.md"].endswith("Be kind.\n")
        assert made.env["COPILOT_CUSTOM_INSTRUCTIONS_DIRS"] == "/tmp/demo/run"
    own = {"COPILOT_CUSTOM_INSTRUCTIONS_DIRS": "/mine"}
    made = launch("copilot", env=own, system_prompt="Be kind.")
    assert made.env["COPILOT_CUSTOM_INSTRUCTIONS_DIRS"] == "/mine,/tmp/demo/run"


def test_tool_servers_are_a_file_for_copilot_and_a_talk_for_gemini() -> None:
    made = launch("copilot", auto_approve=True, mcp={"x": {"command": "y"}})
    assert "@/tmp/demo/run/mcp.json" in made.argv
    assert json.loads(made.files["mcp.json"]) == {"mcpServers": {"x": {"tools": ["*"], "command": "y"}}}
    assert made.inputs[0].close
    assert "--acp" in launch("gemini", auto_approve=True, mcp={"x": {"command": "y"}}).argv


def test_copilot_is_told_its_session() -> None:
    new = launch("copilot", auto_approve=True, model="gpt-5").argv
    assert "--session-id=11111111-2222-4333-8444-555555555555" in new
    assert new[new.index("--model") + 1] == "gpt-5"
    assert "--resume=old" in launch("copilot", auto_approve=True, resume="old").argv


@pytest.mark.parametrize("name", ["gemini", "copilot"])
def test_a_prompt_that_is_too_long_is_refused(name: str) -> None:
    with pytest.raises(BadValue, match="longer than"):
        DRIVERS[name].launch(errand("x" * (8 << 20), auto_approve=True))


def test_opencode_is_made_to_ask_where_somebody_can_answer() -> None:
    assert "OPENCODE_PERMISSION" in launch("opencode").env
    assert "OPENCODE_PERMISSION" not in launch("opencode", auto_approve=True).env
    own = {"OPENCODE_PERMISSION": '{"bash":"deny"}'}
    assert launch("opencode", env=own).env["OPENCODE_PERMISSION"] == '{"bash":"deny"}'


def test_qwen_takes_its_model_as_a_flag() -> None:
    argv = launch("qwen", model="qwen3-coder-plus", add_dirs=("/a",)).argv
    assert argv[1:] == (
        *("--acp", "--approval-mode", "default", "--model", "qwen3-coder-plus"),
        *("--include-directories", "/a"),
    )


# -- what they may reach ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "env", "expected"),
    [
        ("gemini", {}, "generativelanguage.googleapis.com:443"),
        ("gemini", {"GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:8901"}, "127.0.0.1:8901"),
        ("copilot", {}, "api.githubcopilot.com:443"),
        ("copilot", {"COPILOT_PROVIDER_BASE_URL": "https://models.example.com/v1"}, "models.example.com:443"),
        ("qwen", {"OPENAI_BASE_URL": "http://[::1]:9/v1"}, "[::1]:9"),
        ("ollama", {}, "127.0.0.1:11434"),
        ("ollama", {"OLLAMA_HOST": "box"}, "box:11434"),
        ("ollama", {"OLLAMA_HOST": "0.0.0.0:1234"}, "127.0.0.1:1234"),
        ("ollama", {"OLLAMA_HOST": "https://box.example.com"}, "box.example.com:443"),
        ("opencode", {}, "models.dev:443"),
    ],
)
def test_what_a_cli_must_reach(name: str, env: dict[str, str], expected: str) -> None:
    found = DRIVERS[name].endpoints(env)
    assert expected in found
    assert all(place.rpartition(":")[2].isdigit() for place in found)


# -- models -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("", "", "qwen3.5:9b"),
        ("", "2b", "qwen3.5:2b"),
        ("", "large", "qwen3.5:35b"),
        ("small", "", "qwen3.5:2b"),
        ("qwen3.5", "", "qwen3.5:9b"),
        ("llama3", "", "llama3"),
        ("llama3", "70b", "llama3:70b"),
        ("hf.co/me/model:Q4_0", "", "hf.co/me/model:Q4_0"),
    ],
)
def test_ollamas_models_have_sizes(name: str, size: str, expected: str) -> None:
    assert Ollama().model(name, size) == expected


@pytest.mark.parametrize(("name", "size"), [("--help", ""), ("a b", ""), ("", "9b;ls"), ("x", "-v")])
def test_ollama_refuses_what_is_no_name(name: str, size: str) -> None:
    with pytest.raises(BadModel):
        Ollama().model(name, size)


def test_known_models_are_listed_in_a_refusal() -> None:
    with pytest.raises(BadModel, match=r"gemini-2\.5-pro"):
        DRIVERS["gemini"].model("gpt-5")
    assert DRIVERS["gemini"].model("small") == "gemini-3.1-flash-lite-preview"
    assert drivers(mock=False, open_models=True)["gemini"].model("gemini-9") == "gemini-9"
    assert DRIVERS["opencode"].model("anthropic/claude-sonnet-4-5") == "anthropic/claude-sonnet-4-5"


# -- rows of the settings -----------------------------------------------------------------------

ROW = {
    "command": ["goose", "acp"],
    "env": {"GOOSE_MODE": "approve"},
    "models": ["big", "small"],
    "model_flag": "--model",
    "keeps": [".config/goose"],
    "needs": ["GOOSE_PROVIDER"],
    "endpoints": ["api.example.com:443"],
}


def test_a_row_of_the_settings_is_a_driver() -> None:
    goose = drivers(mock=False, rows={"goose": ROW})["goose"]
    assert goose.program == "goose"
    assert goose.capability.provider == "goose"
    assert goose.capability.default_model == "big"
    assert (goose.keeps, goose.needs, goose.endpoints({})) == (
        (".config/goose",),
        ("GOOSE_PROVIDER",),
        ("api.example.com:443",),
    )
    made = goose.launch(errand(SECRET, model="small", env={"PATH": "/bin"}))
    assert made.argv == ("/bin/cli", "acp", "--model", "small")
    assert made.env == {"GOOSE_MODE": "approve", "PATH": "/bin"}


def test_a_row_of_the_settings_changes_one_of_ours() -> None:
    changed = drivers(mock=False, rows={"opencode": {"env": {"X": "1"}, "keeps": [".extra"]}})["opencode"]
    assert changed.program == "opencode"
    assert ".extra" in changed.keeps
    made = changed.launch(errand(SECRET))
    assert made.env["X"] == "1"
    assert made.env["OPENCODE_DISABLE_AUTOUPDATE"] == "true"


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("goose", {}, "command is missing"),
        ("goose", {"command": [" "]}, "command is missing"),
        ("goose", {"command": "goose acp"}, "command"),
        ("goose", {"command": ["goose"], "comand": 1}, "comand"),
        ("goose", 3, r"\[drivers.goose\]"),
        ("gemini", {"command": ["x"]}, "driver of its own"),
        ("../x", {"command": ["x"]}, "letters"),
    ],
)
def test_a_row_that_can_not_be_used_is_refused(name: str, given: Any, words: str) -> None:
    with pytest.raises(BadValue, match=words):
        drivers(mock=False, rows={name: given})


def test_mock_is_there_only_where_it_is_wanted() -> None:
    assert "mock" not in DRIVERS
    assert "mock" in drivers(mock=True)


# -- ollama -------------------------------------------------------------------------------------


def test_all_that_ollama_prints_is_its_answer() -> None:
    on = Rehearsal(DRIVERS["ollama"], errand("hi"))
    assert on.launch.argv == ("/bin/cli", "run", "--nowordwrap", "--hidethinking", "qwen3.5:9b")
    for line in (b"\x1b[?25lHello,", b"", b"there \xf0\x9f\x91\x8b"):
        on.feed(line)
    on.check_adoption()
    on.end(ended(0))
    check(on.facts)
    assert text(on.facts) == ["Hello,\n\nthere \N{WAVING HAND SIGN}\n"]
    assert [result.success for result in on.of(e.RoundResult)] == [True]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "ollama exited with code 1: Error: could not connect"),
        (-9, "ollama was killed"),
        (0, "ollama ended without a result"),
    ],
)
def test_an_ollama_that_says_nothing_is_an_error(code: int, words: str) -> None:
    on = Rehearsal(DRIVERS["ollama"], errand("hi"))
    if code > 0:
        on.complain([b"Error: could not connect to ollama server"])
    on.end(ended(code))
    check(on.facts)
    assert on.of(e.ErrorMet)[0].message.startswith(words)
