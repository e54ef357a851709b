"""What `roost serve api` turns down before it opens anything."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import roost
from roost.cli import options, serve
from roost.core.errors import BadValue

SOURCE = Path(roost.__file__).parents[1]


# One interpreter that has loaded the command line, and forks for each that is typed.
NEST = """
import json, os, sys
import roost.cli.front, roost.cli.host
from roost.cli.main import main
for line in sys.stdin:
    words, place, env = json.loads(line)
    if child := os.fork():
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        continue
    os.chdir(place)
    os.environ.update(env)
    for number, name in enumerate((os.devnull, "../stdout", "../stderr")):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
    main(words)
    sys.exit(0)
"""


class Typed(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Typed]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("ROOST_")}
    with subprocess.Popen(
        [sys.executable, "-c", NEST],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**env, "PYTHONPATH": str(SOURCE)},
    ) as nest:
        assert nest.stdin is not None and nest.stdout is not None
        told, heard = nest.stdin, nest.stdout

        def run(cwd: Path, *words: str) -> Typed:
            told.write(json.dumps([words, str(cwd), {"ROOST_HOME": str(cwd / "home")}]) + "\n")
            told.flush()
            code = int(heard.readline())
            return Typed(code, *((cwd.parent / name).read_text() for name in ("stdout", "stderr")))

        yield run
        told.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "here"
    place.mkdir()
    (place / "agent.yaml").write_text("agents:\n  root:\n    model: scripted/x\n    instruction: hi\n")
    return place


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (["--listen", "nowhere"], 1, "--listen: must be host:port"),
        (["--listen", "::1:8080"], 1, "--listen: must be host:port"),
        (["--listen", "npipe://x"], 1, "named pipes"),
        (["--record", "a", "--fake", "b"], 1, "--record and --fake"),
        (
            ["--pull-interval", "10"],
            1,
            "--pull-interval flag can only be used with OCI references, not local files",
        ),
        (["--working-dir", "nowhere"], 2, "does not exist"),
        (["--session-workingdir-root", "nowhere"], 2, "does not exist"),
        (["--max-request-size", "0"], 2, "--max-request-size"),
        (["--resume", "maybe"], 2, "--resume"),
        (["--env-from-file", "nowhere"], 2, "does not exist"),
        (["--nonsense"], 2, "No such option"),
    ],
)
def test_a_bad_flag_is_refused_with_a_reason(run: Run, folder: Path, flags: list[str], code: int, says: str) -> None:
    done = run(folder, "serve", "api", "agent.yaml", *flags)
    assert says in done.stderr
    assert done.returncode == code
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["agent.yaml"]


def test_an_open_address_needs_a_token_and_the_refusal_says_how_else(run: Run, folder: Path) -> None:
    done = run(folder, "serve", "api", "agent.yaml", "-l", "0.0.0.0:0", "--resume", "ask")
    assert done.returncode == 1
    assert "roost serve api agent.yaml --listen 0.0.0.0:0 --resume ask --allow-unauthenticated" in done.stderr


@pytest.mark.parametrize(
    ("listen", "token", "allowed"),
    [("127.0.0.1:0", "", False), ("unix://x", "", False), ("0.0.0.0:0", "t", False), ("0.0.0.0:0", "", True)],
)
def test_other_addresses_need_nothing(listen: str, token: str, allowed: bool) -> None:
    serve.refuse_open(listen, "agent.yaml", {}, token=token, allowed=allowed)


def test_an_open_address_alone_is_refused() -> None:
    with pytest.raises(BadValue, match="no token is set"):
        serve.refuse_open("0.0.0.0:0", "agent.yaml", {}, token="", allowed=False)


@pytest.mark.parametrize(
    ("flags", "code", "says"),
    [
        (["--token", "a", "--generate-token"], 1, "--token and --generate-token can't be used together"),
        (["--token", ""], 1, "--token: must not be empty"),
        (["--tls-cert", "a"], 1, "--tls-key: is missing"),
        (["--host", "a b"], 1, "--host: must be a host name or an IP address"),
        (["--port", "65536"], 2, "--port"),
        (["--insecure-http"], 1, "roost serve --insecure-http --insecure-http-anywhere"),
        (["--listen", "127.0.0.1:0"], 1, "a port is named by --host and --port"),
        (["--record", "a", "--fake", "b"], 1, "--record and --fake"),
        (["--token", "secret", "--insecure-http"], 1, "can be reached from other machines"),
    ],
)
def test_a_bad_flag_of_serve_is_refused_with_a_reason(
    run: Run, folder: Path, flags: list[str], code: int, says: str
) -> None:
    done = run(folder, "serve", *flags)
    assert says in done.stderr
    assert done.returncode == code
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["agent.yaml"]


def test_flags_that_were_not_given_are_left_to_the_environment() -> None:
    assert options.given({"listen": None, "env_from_file": (), "debug": None, "resume": "ask"}) == {"resume": "ask"}


def test_paths_are_seen_from_where_the_command_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    given = options.given({"session_db": Path("a.db"), "log_file": Path("~/x"), "env_from_file": (Path("e"),)})
    assert given == {
        "session_db": str(tmp_path / "a.db"),
        "log_file": str(tmp_path / "me" / "x"),
        "env_from_file": (str(tmp_path / "e"),),
    }


def test_a_command_can_be_pasted() -> None:
    line = options.command(
        "serve", "api", "my agent.yaml", {"listen": "0.0.0.0:1", "debug": True, "env_from_file": ("a", "b")}
    )
    assert line == "roost serve api 'my agent.yaml' --listen 0.0.0.0:1 --debug --env-from-file a --env-from-file b"
