"""A home that is connected to a server which writes down what it is asked."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from fakes.api import TOKEN, FakeApi
from roost.cli.main import main


class There:
    """Commands, as somebody types them."""

    def __init__(self, api: FakeApi, home: Path) -> None:
        self.api = api
        self.home = home

    def connect(self, **more: Any) -> None:
        path = self.home / "connect.json"
        path.write_text(json.dumps({"url": self.api.url, "token": TOKEN, **more}))
        path.chmod(0o600)

    def run(self, *words: str, input: str | None = None, code: int = 0) -> Result:
        """Type a command; its exit code has to be this one."""
        done = CliRunner().invoke(_main, list(words), input=input, prog_name="roost")
        assert done.exit_code == code, (done.exit_code, done.output, done.exception)
        return done

    def asked(self, *words: str, code: int = 0) -> list[tuple[str, str, Any]]:
        """What the server was asked by it."""
        self.api.seen.clear()
        self.run(*words, code=code)
        return self.api.calls()


class _Main:
    """The command line as it is when it is started: errors are lines on stderr."""

    name = "roost"

    def main(self, args: list[str], prog_name: str, **_: Any) -> None:
        main(args)


_main: Any = _Main()
