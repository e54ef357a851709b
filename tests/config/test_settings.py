"""Settings: what wins over what, what can't be used, and that each stands in the docs."""

from pathlib import Path
from typing import Any

import pytest

from roost.config.settings import FIELDS, Settings, env_files, flag_of, home_of, resolve, variable_of
from roost.config.values import Secret
from roost.core.errors import BadValue

HOME = {"HOME": "/home/ada"}


def test_the_defaults() -> None:
    settings = resolve({}, HOME, None)
    home = Path("/home/ada/.roost")
    assert settings == Settings(home=home, data_dir=home, cache_dir=home / "cache", config_dir=home)
    assert (settings.listen, settings.session_db) == ("127.0.0.1:8080", Path("session.db"))
    assert (settings.max_request_size, settings.disconnect_grace, settings.resume) == (1048576, 10.0, "resume")


def test_a_flag_wins_over_the_environment_over_the_file() -> None:
    file = b'listen = "a:1"\nresume = "ask"\nmax-request-size = 5\nenv_from_file = []\n'
    env = HOME | {"ROOST_LISTEN": "b:2", "ROOST_RESUME": "fail", "ROOST_DEBUG": ""}
    settings = resolve({"listen": "c:3", "debug": None, "env_from_file": ()}, env, file)
    assert (settings.listen, settings.resume, settings.max_request_size) == ("c:3", "fail", 5)


def test_our_names_come_before_the_originals() -> None:
    old = HOME | {"CAGENT_MODELS_GATEWAY": "http://c", "CAGENT_PPROF_ADDR": "127.0.0.1:6060"}
    assert resolve({}, old, None).models_gateway == "http://c"
    assert resolve({}, old, None).pprof_addr == "127.0.0.1:6060"
    newer = old | {"DOCKER_AGENT_MODELS_GATEWAY": "http://d"}
    assert resolve({}, newer, None).models_gateway == "http://d"
    assert resolve({}, newer | {"ROOST_MODELS_GATEWAY": "http://r"}, None).models_gateway == "http://r"


def test_the_home_moves_what_lies_in_it() -> None:
    settings = resolve({"cache_dir": "/c"}, HOME | {"ROOST_HOME": "/r"}, None)
    assert (settings.home, settings.data_dir, settings.cache_dir) == (Path("/r"), Path("/r"), Path("/c"))
    assert home_of({}, HOME) == Path("/home/ada/.roost")
    assert home_of({"home": "/x"}, HOME | {"ROOST_HOME": "/r"}) == Path("/x")


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("listen", "127.0.0.1:0", "127.0.0.1:0"),
        ("listen", "[::1]:80", "[::1]:80"),
        ("listen", ":8080", ":8080"),
        ("listen", "unix:///run/x.sock", "unix:///run/x.sock"),
        ("disconnect_grace", "1m30s", 90.0),
        ("disconnect_grace", "500ms", 0.5),
        ("disconnect_grace", 3, 3.0),
        ("disconnect_grace", "0", 0.0),
        ("pull_interval", "2.5", 2.5),
        ("max_request_size", "10", 10),
        ("debug", "yes", True),
        ("debug", "0", False),
        ("record", "tape", Path("tape.yaml")),
        ("fake", "tape.yaml", Path("tape.yaml")),
        ("default_model", "openai/gpt-5", "openai/gpt-5"),
        ("auth_token", "t", Secret("t")),
        ("sandbox", "Bubblewrap", "bubblewrap"),
    ],
)
def test_values(name: str, given: Any, value: Any) -> None:
    assert getattr(resolve({name: given}, HOME, None), name) == value
    assert getattr(resolve({}, HOME | {variable_of(name): str(given)}, None), name) == value


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("listen", "8080"),
        ("listen", "host:99999"),
        ("listen", "host:port"),
        ("listen", "unix://"),
        ("listen", "npipe://x"),
        ("disconnect_grace", "soon"),
        ("disconnect_grace", "-1"),
        ("disconnect_grace", "nan"),
        ("resume", "maybe"),
        ("sandbox", "maybe"),
        ("max_request_size", "0"),
        ("max_request_size", "1.5"),
        ("debug", "maybe"),
        ("working_dir", "/nope/nope"),
        ("env_from_file", ["/nope"]),
        ("mcp_oauth_redirect_uri", "ftp://x"),
        ("models_gateway", "gateway"),
        ("default_model", "a b"),
        ("pull_interval", "-1"),
    ],
)
def test_a_bad_value_names_where_it_came_from(name: str, given: Any) -> None:
    with pytest.raises(BadValue) as caught:
        resolve({name: given}, HOME, None)
    assert caught.value.message.startswith(f"{flag_of(name)}: ")
    if isinstance(given, str):
        with pytest.raises(BadValue) as caught:
            resolve({}, HOME | {variable_of(name): given}, None)
        assert caught.value.message.startswith(f"{variable_of(name)}: ")


def test_all_bad_values_are_named_at_once() -> None:
    with pytest.raises(BadValue) as caught:
        resolve(
            {"listen": "x", "wat": 1, "record": "a", "fake": "b"},
            HOME | {"CAGENT_PPROF_ADDR": "y"},
            b'resume = 1\nlisen = "x"\nhome = "/x"\n',
        )
    lines = sorted(line.split(" must")[0] for line in caught.value.message.splitlines())
    assert lines == [
        "--listen:",
        "--record and --fake exclude each other",
        "--wat: unknown flag",
        "CAGENT_PPROF_ADDR:",
        "serve.toml: home: set ROOST_HOME instead",
        "serve.toml: lisen: unknown key; did you mean 'listen'?",
        "serve.toml: resume:",
    ]


@pytest.mark.parametrize("file", [b"a = ", b"\xff"])
def test_a_file_that_is_no_toml_is_named(file: bytes) -> None:
    with pytest.raises(BadValue, match=r"serve\.toml: "):
        resolve({}, HOME, file)


def test_secrets_print_as_stars() -> None:
    settings = resolve({"auth_token": "hunter2"}, HOME, None)
    assert settings.auth_token.reveal() == "hunter2"
    assert "hunter2" not in f"{settings!r}{settings.auth_token}{settings.auth_token!r}"
    assert not resolve({}, HOME, None).auth_token
    with pytest.raises(BadValue) as caught:
        resolve({}, HOME, b"auth_token = 12345")
    assert "12345" not in caught.value.message


def test_every_setting_can_be_given_and_stands_in_the_docs() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    assert set(FIELDS) == set(Settings.__struct_fields__)
    for name, field in FIELDS.items():
        line = next(line for line in docs.splitlines() if line.startswith(f"| `{name}` |"))
        for word in (flag_of(name), variable_of(name), *field.originals):
            assert f"`{word}`" in line


def test_further_drivers_are_tables_of_the_file_or_json() -> None:
    file = b'[drivers.goose]\ncommand = ["goose", "acp"]\n'
    assert resolve({}, HOME, file).drivers == {"goose": {"command": ["goose", "acp"]}}
    assert resolve({}, HOME | {"ROOST_DRIVERS": '{"x": {"command": ["y"]}}'}, file).drivers == {"x": {"command": ["y"]}}
    for wrong in (b"drivers = 3", b'drivers = "{"', b"[drivers]\nx = 1"):
        with pytest.raises(BadValue, match=r"serve\.toml: drivers: must be a table of tables"):
            resolve({}, HOME, wrong)


def test_env_files(tmp_path: Path) -> None:
    first, second = tmp_path / "a.env", tmp_path / "b.env"
    first.write_text('# keys\n\nA=1\nexport B = "two words"\nC=\nD=a=b # kept\n')
    second.write_text("\ufeffA=2\nE='x'\n")
    assert env_files([first, second]) == {"A": "2", "B": "two words", "C": "", "D": "a=b # kept", "E": "x"}


def test_env_files_name_every_bad_line(tmp_path: Path) -> None:
    path = tmp_path / "a.env"
    path.write_text("A=1\nnonsense\n1A=3\n")
    with pytest.raises(BadValue) as caught:
        env_files([path, tmp_path / "nope"])
    assert caught.value.message.splitlines() == [
        f"{path}:2: expected KEY=VALUE",
        f"{path}:3: expected KEY=VALUE",
        f"{tmp_path / 'nope'}: can't be read: No such file or directory",
    ]
