"""Placeholders that are replaced when a file loads, and those that are left to be replaced later."""

from pathlib import Path

import pytest

from roost.config.agentfile import load
from roost.config.secrets import Secrets
from roost.core.agents import Team
from roost.core.errors import AgentBroken

FILE = """\
providers:
  lab: {base_url: "https://${HOST}/${env.PATH_ || 'v1'}"}
  bare: {base_url: "$ADDRESS"}
models:
  m: {provider: lab, model: "${env.MODEL}-$SIZE"}
  n: {provider: openai, model: x, base_url: "${env.NOTHING}"}
agents:
  root:
    model: m
    description: "For ${env.USER}, at $5"
    welcome_message: "Hi ${env.MISSING ? 'a' : 'b'}"
    instruction: "i ${env.USER} ${nonsense( ${headers.X}"
    commands: {go: {description: "d ${env.USER}", instruction: "${env.USER} ${args[0]}"}, run: "r ${env.USER}"}
    cache: {enabled: true, path: "${env.USER}.db"}
    toolsets: [{type: shell, env: {A: "${env.USER}"}}]
"""
ENV = {"USER": "Ada L.", "HOST": "lab.example", "MODEL": "qwen", "SIZE": "3b", "ADDRESS": "http://127.0.0.1:9/v1"}


def team(env: dict[str, str] | None) -> Team:
    return load("x", FILE.encode(), name="x.yaml", env=env)


def test_what_people_and_models_read() -> None:
    root = team(ENV).default
    assert (root.description, root.welcome) == ("For Ada L., at $5", "Hi b")
    assert root.instruction == "i Ada L. ${nonsense( ${headers.X}"
    assert [(command.description, command.instruction) for command in root.commands] == [
        ("d Ada L.", "${env.USER} ${args[0]}"),
        ("r Ada L.", "r ${env.USER}"),
    ]
    assert root.cache is not None and root.cache.path == "Ada L..db"


def test_what_leads_to_a_model() -> None:
    loaded = team(ENV)
    assert (loaded.models["m"].model, loaded.models["m"].base_url) == ("qwen-3b", "https://lab.example/v1")
    assert loaded.providers["bare"].base_url == "http://127.0.0.1:9/v1"
    assert loaded.models["n"].base_url == "https://api.openai.com/v1"


def test_toolsets_fill_their_own() -> None:
    assert team(ENV).default.toolsets[0].options == {"env": {"A": "${env.USER}"}}


def test_a_variable_that_a_shell_would_want_is_named_with_its_place() -> None:
    with pytest.raises(AgentBroken) as caught:
        team({})
    found = [line for line in caught.value.message.splitlines() if line.startswith("x.yaml:")]
    assert found == [
        "x.yaml:2:19: providers.lab.base_url: the environment variable HOST is not set",
        "x.yaml:3:20: providers.bare.base_url: the environment variable ADDRESS is not set",
        "x.yaml:5:29: models.m.model: the environment variable SIZE is not set",
    ]


def test_values_are_not_read_again() -> None:
    text = "{models: {m: {provider: openai, model: '$A'}}, agents: {root: {description: '${env.A}'}}}"
    loaded = load("x", text.encode(), name="x", env={"A": "$B ${env.B}", "B": "b"})
    assert (loaded.models["m"].model, loaded.default.description) == ("$B ${env.B}",) * 2


def test_without_an_environment_they_stay() -> None:
    loaded = team(None)
    assert loaded.default.description == "For ${env.USER}, at $5"
    assert loaded.providers["bare"].base_url == "$ADDRESS"


def test_clients_are_shown_the_placeholder_and_not_the_value() -> None:
    assert team(ENV).config["agents"][0]["description"] == "For ${env.USER}, at $5"
    assert "Ada" not in str(team(ENV).config)


def test_clients_are_shown_no_secrets() -> None:
    text = "${env.API_KEY} ${env.API_KEY ? 'set' : 'unset'} ${env.NO_KEY ? 'set' : 'unset'} ${env.DB} ${env.USER}"
    file = f'agents: {{root: {{description: "{text}", welcome_message: "{text}", instruction: "{text}",'
    file += f' commands: {{go: {{description: "{text}", instruction: x}}}}}}}}\n'
    env = {"API_KEY": "k-1234567890", "DB": "postgres://ada:hunter22@db/x", "USER": "Ada"}
    root = load("x", file.encode(), name="x.yaml", env=env).default
    assert root.description == root.welcome == root.commands[0].description == "*** set unset *** Ada"
    assert root.instruction == "k-1234567890 set unset postgres://ada:hunter22@db/x Ada"


def test_what_lies_behind_the_environment_is_a_secret(tmp_path: Path) -> None:
    (tmp_path / "COLOUR").write_text("blue")
    env = Secrets({"USER": "Ada"}, folder=tmp_path)
    file = 'agents: {root: {description: "${env.COLOUR}${env.NOTHING}${env.USER}", instruction: "${env.COLOUR}"}}\n'
    root = load("x", file.encode(), name="x.yaml", env=env).default
    assert (root.description, root.instruction) == ("***Ada", "blue")
