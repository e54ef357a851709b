"""Hooks of an agent file: both forms of each event, and what is left out or refused."""

import pytest

from roost.config.agentfile import load
from roost.core.agents import Hook, Matcher, Team
from roost.core.errors import AgentBroken


def team(hooks: str) -> Team:
    return load("x", f"agents: {{root: {{hooks: {hooks}}}}}".encode(), name="x.yaml")


def test_hooks_are_what_the_file_says() -> None:
    loaded = team(
        """{
  pre_tool_use: [
    {matcher: "shell|edit_.*", preempt_yolo: true, hooks: [
      {type: command, command: ./a.sh, timeout: 20, name: guard, env: {N: 1}, working_dir: tools, on_error: block}]},
    {hooks: {type: command, command: ./b.sh}}],
  post_tool_use: {matcher: "*", hooks: [{type: builtin, command: redact_secrets}]},
  turn_start: [{type: builtin, command: add_prompt_files, args: [--depth=2]}, {type: command, command: date}],
  stop: {type: command, command: ./again.sh}
}"""
    )
    assert loaded.warnings == ()
    guard = Hook("command", "./a.sh", (), 20.0, "guard", {"N": "1"}, "tools", "block")
    assert loaded.default.hooks == {
        "pre_tool_use": (Matcher((guard,), "shell|edit_.*", preempt=True), Matcher((Hook("command", "./b.sh"),))),
        "post_tool_use": (Matcher((Hook("builtin", "redact_secrets"),), "*"),),
        "turn_start": (Matcher((Hook("builtin", "add_prompt_files", ("--depth=2",)), Hook("command", "date"))),),
        "stop": (Matcher((Hook("command", "./again.sh"),)),),
    }


def test_what_is_not_built_is_left_out_and_its_neighbours_stay() -> None:
    loaded = team(
        "{stop: [{type: builtin, command: snapshot}, {type: command, command: x}],"
        " post_tool_use: [{hooks: [{type: model, model: auto, prompt: p}]}],"
        " before_agent_run: [{type: command, command: x}]}"
    )
    assert loaded.default.hooks == {"stop": (Matcher((Hook("command", "x"),)),)}
    assert [line.split(": ", 1)[1] for line in loaded.warnings] == [
        "agents.root.hooks.stop[0]: the builtin hook 'snapshot' is not supported yet and is left out",
        "agents.root.hooks.post_tool_use[0].hooks[0]: a hook of type 'model' is not supported yet and is left out",
        "agents.root.hooks.before_agent_run is not supported yet and is ignored",
    ]


@pytest.mark.parametrize(
    ("hooks", "words"),
    [
        ("{pre_tool_use: [{matcher: '[', hooks: []}]}", "'[' is no regular expression"),
        ("{pre_tool_use: [{matcher: '%s', hooks: []}]}" % ("(" * 9999 + ")" * 9999), "nested too deeply"),
        ("{pre_tool_use: [{matcher: 'a{99999999999}', hooks: []}]}", "is no regular expression"),
        ("{pre_tool_use: [{matcher: x}]}", "hooks is missing"),
        ("{pre_tool_use: [{hooks: [{type: command, command: x, timeout: 0}]}]}", "must be at least 1, is 0"),
        ("{stop: [{type: command, command: ''}]}", "a hook of type 'command' needs command"),
        ("{stop: [{type: model, model: auto}]}", "a hook of type 'model' needs prompt"),
        ("{stop: [{type: model, model: nowhere, prompt: x}]}", "model 'nowhere' is neither in `models`"),
        ("{stop: [{matcher: x, hooks: []}]}", "unknown key 'matcher'"),
        ("{stopp: []}", "did you mean 'stop'"),
        ("{stop: [{command: x}]}", "type is missing"),
        ("{stop: [1]}", "expected a mapping"),
        ("{tool_guard: [{hooks: [{type: builtin, command: unload}]}]}", "so the file is refused"),
    ],
)
def test_hooks_that_can_not_be_are_refused(hooks: str, words: str) -> None:
    with pytest.raises(AgentBroken) as caught:
        team(hooks)
    found = [line for line in caught.value.message.splitlines() if line.startswith("x.yaml:1:")]
    assert any(words in line for line in found), found
