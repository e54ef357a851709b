"""What `roost serve` is told: what wins over what, what is refused, and how a token is kept."""

import stat
from pathlib import Path
from typing import Any

import pytest

from roost.config.front import FIELDS, Front, load, new_token, save_token, variable_of
from roost.config.settings import resolve
from roost.core.errors import BadValue


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / ".roost").mkdir()
    (tmp_path / ".zag").mkdir()
    return {"HOME": str(tmp_path)}


def ours(env: dict[str, str], text: str) -> Path:
    path = Path(env["HOME"], ".roost", "serve.toml")
    path.write_text(text)
    return path


def theirs(env: dict[str, str], text: str) -> Path:
    path = Path(env["HOME"], ".zag", "serve.toml")
    path.write_text(text)
    return path


def test_the_defaults(env: dict[str, str]) -> None:
    home = Path(env["HOME"])
    assert load({}, env) == Front(home=home / ".roost", zag=home / ".zag")
    assert load({}, env).address == "0.0.0.0:2100"


def test_a_flag_wins_over_the_environment_over_our_file_over_theirs(env: dict[str, str]) -> None:
    theirs(env, '[server]\nhost = "d"\nport = 4\ntoken = "d"\nforce_sandbox = true\n')
    assert load({}, env).host == "d"
    ours(env, '[server]\nhost = "c"\nport = 3\n')
    assert (load({}, env).host, load({}, env).token.reveal()) == ("c", "d")
    env |= {"ROOST_SERVE_HOST": "b", "ROOST_SERVE_PORT": ""}
    assert (load({}, env).host, load({}, env).port) == ("b", 3)
    front = load({"host": "a"}, env)
    assert (front.host, front.port, front.force_sandbox) == ("a", 3, True)
    assert load({"port": 0}, env).port == 0


def test_the_originals_token_variable_comes_after_ours(env: dict[str, str]) -> None:
    ours(env, '[server]\ntoken = "file"\n')
    assert load({}, env | {"ZAG_SERVE_TOKEN": "zag"}).token.reveal() == "zag"
    assert load({}, env | {"ZAG_SERVE_TOKEN": "zag", "ROOST_SERVE_TOKEN": "roost"}).token.reveal() == "roost"
    assert load({}, env | {"ZAG_SERVE_TOKEN": "zag", "ROOST_SERVE_TOKEN": ""}).token.reveal() == "zag"
    assert load({}, env | {"ZAG_SERVE_TOKEN": ""}).token.reveal() == "file"
    assert load({"token": "flag"}, env | {"ROOST_SERVE_TOKEN": "roost"}).token.reveal() == "flag"


def test_whoever_wants_a_new_token_gets_one(env: dict[str, str]) -> None:
    ours(env, '[server]\ntoken = "file"\n')
    assert not load({}, env | {"ROOST_SERVE_TOKEN": "roost"}, generate=True).token
    with pytest.raises(BadValue, match="--token and --generate-token can't be used together"):
        load({"token": "t"}, env, generate=True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[server]\nhost = "x"\nport = \n', r"serve\.toml:3: "),
        ("[server\n", r"serve\.toml:1: "),
        ('a = "\xff', r"serve\.toml:1: |serve\.toml: "),
        ("server = 1\n", r"serve\.toml: server: must be a table"),
        ("[server]\nport = 70000\n", r"serve\.toml: server\.port: must be a port, 0 to 65535, is 70000"),
        ('[server]\nhost = "a b"\n', r"serve\.toml: server\.host: must be a host name or an IP address"),
        ('[server]\ntoken = ""\n', r"serve\.toml: server\.token: must not be empty"),
        ('[server]\ntoken = "a\\nb"\n', r"serve\.toml: server\.token: must consist of printable ASCII characters$"),
        ("[server]\nprot = 1\n", r"serve\.toml: server\.prot: unknown key; did you mean 'port'\?"),
        ('[server]\ntls_cert = "c"\n', r"serve\.toml: server\.tls_key: is missing: .* go together"),
        ('[server]\ntls_key = "k"\n', r"serve\.toml: server\.tls_cert: is missing"),
        ("[server]\nforce_sandbox = 3\n", r"serve\.toml: server\.force_sandbox: must be true or false"),
    ],
)
def test_d23_a_file_that_makes_no_sense_is_an_error_with_its_name(env: dict[str, str], text: str, says: str) -> None:
    ours(env, text)
    with pytest.raises(BadValue, match=says):
        load({}, env)


def test_d23_their_broken_file_is_an_error_too_but_what_we_do_not_know_there_is_not(env: dict[str, str]) -> None:
    path = theirs(env, '[server]\nnew_key = 1\nhost = ""\ntoken = ""\n[more]\n')
    assert load({}, env).host == "0.0.0.0"
    path.write_text("[server]\nport = = 1\n")
    with pytest.raises(BadValue, match=r"\.zag/serve\.toml:2: "):
        load({}, env)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"token": ""}, "--token: must not be empty"),
        ({"token": "  "}, "--token: must not be empty"),
        ({"token": "snow\u2603"}, "--token: must consist of printable ASCII"),
        ({"tls_cert": "c"}, "--tls-key: is missing: a TLS certificate and its key go together"),
        ({"tls_key": "k"}, "--tls-cert: is missing"),
        ({"listen": "127.0.0.1:80"}, "a port is named by --host and --port"),
        ({"insecure_http_anywhere": True}, "goes with --insecure-http"),
        ({"cors_origins": "example"}, "must be origins"),
        ({"max_sessions": -1}, "must be a whole number"),
    ],
)
def test_flags_that_make_no_sense_are_refused(env: dict[str, str], flags: dict[str, Any], says: str) -> None:
    with pytest.raises(BadValue, match=says):
        load(flags, env)


def test_a_token_is_never_shown_in_a_complaint(env: dict[str, str]) -> None:
    with pytest.raises(BadValue) as refused:
        load({"token": "sesame\u2603"}, env)
    assert "sesame" not in str(refused.value)


def test_certificate_and_key_come_from_one_place(env: dict[str, str]) -> None:
    path = ours(env, '[server]\ntls_cert = "c.pem"\ntls_key = "/k.pem"\n')
    front = load({}, env)
    assert (front.tls_cert, front.tls_key) == (path.parent / "c.pem", Path("/k.pem"))
    with pytest.raises(BadValue, match="--tls-key: is missing"):
        load({"tls_cert": "/flag.pem"}, env)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("localhost", "localhost:2100"),
        ("my-machine.local", "my-machine.local:2100"),
        ("127.0.0.1", "127.0.0.1:2100"),
        ("::1", "[::1]:2100"),
        ("[::]", "[::]:2100"),
        ("fe80::1%eth0", "[fe80::1%eth0]:2100"),
    ],
)
def test_d23_hosts_are_names_or_addresses(env: dict[str, str], host: str, address: str) -> None:
    assert load({"host": host}, env).address == address


def test_an_address_of_our_own_takes_the_place_of_host_and_port(env: dict[str, str]) -> None:
    assert load({"listen": "unix:///run/x.sock", "host": "h"}, env).address == "unix:///run/x.sock"


def test_every_word_of_it_can_be_a_variable_and_stands_in_the_docs() -> None:
    assert set(FIELDS) == set(Front.__struct_fields__) - {"home", "zag"}
    page = (Path(__file__).parents[2] / "docs/serve.md").read_text()
    for name in FIELDS:
        assert f"| `{name}` |" in page, name
        assert f"`{variable_of(name)}`" in page, name


def test_the_settings_leave_the_table_to_us() -> None:
    assert resolve({}, {"HOME": "/h"}, b'debug = true\n[server]\nhost = "x"\n').debug


def test_a_token_is_kept_and_all_else_stays(tmp_path: Path) -> None:
    path = tmp_path / "new" / "serve.toml"
    save_token(path, "one")
    assert path.read_text() == '[server]\ntoken = "one"\n'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    text = '# mine\ndebug = true\n\n[server] # here\nport = 1 # a port\ntoken = "{}"\n\n[other]\nx = 1\n'
    path.write_text(text.format("old"))
    path.chmod(0o644)
    save_token(path, "two")
    assert path.read_text() == text.format("two")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["serve.toml"]


def test_a_link_is_followed_when_a_token_is_kept(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "serve.toml"
    real.write_text("debug = true\n")
    link.symlink_to(real)
    save_token(link, "t")
    assert link.is_symlink()
    assert 'token = "t"' in real.read_text()


def test_a_token_that_can_not_be_kept_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BadValue, match="can't be saved"):
        save_token(tmp_path / "file" / "serve.toml", "t")


def test_tokens_are_64_hexadecimal_digits_and_never_the_same() -> None:
    one, two = new_token(), new_token()
    assert one != two
    assert all(len(token) == 64 and set(token) <= set("0123456789abcdef") for token in (one, two))
