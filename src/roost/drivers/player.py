"""A tiny agent CLI that plays what its prompt says: the program behind the `mock` driver.

It is copied into the run's folder and started with `python -I -S`: the standard library alone, and
as little of that as it needs, so that its first line comes at once.
"""

import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

DIRECTIVE = "@mock "
SERVERS = "servers.json"  # beside us: the tool servers we are given
CHUNK = 65_536


class Interrupted(Exception):
    """The host wants the round to end."""


class Ended(Exception):
    """The host has closed the input while an answer was awaited."""


class Player:
    """Reads messages, answers and interrupts from stdin; writes events to stdout."""

    def __init__(self, model: str, session: str, resumed: bool, asks: bool) -> None:
        self.model, self.session, self.resumed, self.asks = model, session, resumed, asks
        self.code = 0
        self.tools = 0
        self.open = ""  # the tool that has yet to return
        self.messages: list[str] = []
        self.answers: dict[str, dict[str, Any]] = {}
        self.interrupted = False
        self.eof = False
        self.lingers = False
        self.rest = b""

    # -- lines ------------------------------------------------------------------------------

    def emit(self, kind: str, **fields: Any) -> None:
        """One event."""
        sys.stdout.write(json.dumps({"type": kind, **fields}) + "\n")
        sys.stdout.flush()

    def listen(self, seconds: float | None) -> None:
        """Take in what comes on stdin within this time (None: until something does)."""
        if self.eof:
            if seconds:
                time.sleep(seconds)
            return
        if not select.select([0], [], [], seconds)[0]:
            return
        chunk = os.read(0, CHUNK)
        self.eof = not chunk
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        for line in lines:
            self.take(json.loads(line))

    def take(self, given: dict[str, Any]) -> None:
        """One line of the host's."""
        if given["type"] == "user":
            self.messages.append(given["text"])
        elif given["type"] == "answer":
            self.answers[given["id"]] = given
        elif given["type"] == "interrupt":
            self.interrupted = True

    def sleep(self, seconds: float) -> None:
        """Wait, with an ear for an interrupt."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.listen(left)
            if self.interrupted:
                raise Interrupted
        self.listen(0)
        if self.interrupted:
            raise Interrupted

    # -- rounds -----------------------------------------------------------------------------

    def run(self) -> int:
        """Play every message until the input ends."""
        self.emit(
            "init",
            session=self.session,
            model=self.model,
            cwd=os.getcwd(),  # noqa: PTH109  # pathlib would take as long as all the rest
            tools=["Bash", "Read", "Write"],
            resumed=self.resumed,
        )
        while True:
            while not self.messages and not self.eof:
                self.interrupted = False
                self.listen(None)
            if not self.messages:
                while self.lingers:  # as some CLIs do at the end of their input
                    self.sleep(3600)
                return self.code
            if (code := self.round(self.messages.pop(0))) is not None:
                return code

    def round(self, prompt: str) -> int | None:
        """One message; a code where the process is to end after it."""
        self.interrupted, self.code = False, 0
        code: int | None = None
        try:
            for plan in plans(prompt):
                if code is None:
                    code = self.play(plan)
        except Interrupted:
            self.open = ""
            self.emit("result", success=False, reason="interrupted", message="interrupted")
        except Ended:
            return 1
        return code

    def play(self, plan: dict[str, Any]) -> int | None:
        """One directive."""
        if plan.get("ignore_signals"):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
        self.sleep(plan.get("delay_s", 0))
        for step in plan.get("steps", ()):
            for name in list(step):
                if action := getattr(self, f"do_{name}", None):
                    action(step[name], step)
        while plan.get("hang"):
            self.sleep(3600)
        self.lingers = self.lingers or bool(plan.get("linger"))
        if self.open:
            self.do_tool_ok("", {})
        if failed := plan.get("fail") or plan.get("limit"):
            self.code = 1
            self.emit("result", success=False, reason="error", message=failed)
            return plan.get("exit_code", 1)  # type: ignore[no-any-return]
        if not plan.get("mute"):
            self.emit("result", success=True, reason="stop", message="")
        return plan.get("exit_code")

    # -- steps ------------------------------------------------------------------------------

    def do_say(self, text: str, step: dict[str, Any]) -> None:
        """A message; with `drip`, word by word."""
        for word in words(text) if "drip" in step else ():
            self.emit("delta", text=word)
            self.sleep(step["drip"])
        self.emit("message", text=text)

    def do_think(self, text: str, _: dict[str, Any]) -> None:
        """Reasoning."""
        self.emit("message", text="", reasoning=text)

    def do_tool(self, tool: Any, step: dict[str, Any]) -> None:
        """A call: a name with `input` beside it, or both in an object."""
        if self.open:
            self.do_tool_ok("", {})
        given = tool if isinstance(tool, dict) else {"name": tool, **step}
        self.tools += 1
        self.open = f"tool_{self.tools}"
        call = {"id": self.open, "name": given.get("name", "Bash"), "input": given.get("input", {})}
        self.emit("message", text=given.get("text", ""), calls=[call])
        if "ask" not in given:
            self.emit("started", id=self.open)

    def do_tool_ok(self, output: Any, _: dict[str, Any]) -> None:
        """The open call returns."""
        self.emit("returned", id=self.open, ok=True, output=output if isinstance(output, str) else json.dumps(output))
        self.open = ""

    def do_tool_err(self, output: Any, _: dict[str, Any]) -> None:
        """The open call fails."""
        self.emit("returned", id=self.open, ok=False, output=output if isinstance(output, str) else json.dumps(output))
        self.open = ""

    def do_tool_output(self, text: str, _: dict[str, Any]) -> None:
        """Output of the open call, while it runs."""
        self.emit("output", id=self.open, text=text)

    def do_ask(self, tool: Any, step: dict[str, Any]) -> None:
        """A call that may run only when it is allowed; `ok` is what it then returns."""
        given = tool if isinstance(tool, dict) else {"name": tool, **step}
        self.do_tool({**given, "ask": True}, {})
        if self.asks:
            self.emit("ask", id=self.open, name=given.get("name", "Bash"), input=given.get("input", {}))
            while self.open not in self.answers:
                if self.eof:
                    raise Ended
                self.listen(None)
                if self.interrupted:
                    raise Interrupted
            answer = self.answers[self.open]
            if not answer["allow"]:
                self.emit("returned", id=self.open, ok=False, ran=False, output=f"denied: {answer.get('reason', '')}")
                self.open = ""
                return
        self.emit("started", id=self.open)
        self.do_tool_ok(given.get("ok", "done"), {})

    def do_mcp(self, given: dict[str, Any], _: dict[str, Any]) -> None:
        """A call of a tool server's tool, really made: `server`, `tool` and its `arguments`."""
        server, tool, arguments = given.get("server", "roost"), given["tool"], given.get("arguments", {})
        self.do_tool({"name": f"mcp__{server}__{tool}", "input": arguments}, {})
        with open(os.path.join(os.path.dirname(__file__), SERVERS)) as file:  # noqa: PTH118, PTH120, PTH123
            entry = json.load(file)[server]
        result = self.called(entry, tool, arguments)
        text = "\n".join(part["text"] for part in result["content"])
        (self.do_tool_err if result.get("isError") else self.do_tool_ok)(text, {})

    def called(self, entry: dict[str, Any], tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """What a tool of a server answers that is started for it."""
        import subprocess  # it takes as long as all the rest

        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "mock", "version": "1"}}
        words: list[dict[str, Any]] = [
            {"id": 1, "method": "initialize", "params": hello},
            {"method": "notifications/initialized"},
            {"id": 2, "method": "tools/call", "params": {"name": tool, "arguments": arguments}},
        ]
        argv = [entry["command"], *entry.get("args", ())]
        env = {**os.environ, **entry.get("env", {})}
        with subprocess.Popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            assert server.stdin is not None and server.stdout is not None
            for word in words:
                server.stdin.write(json.dumps({"jsonrpc": "2.0", **word}).encode() + b"\n")
            server.stdin.flush()
            for line in server.stdout:
                answer = json.loads(line)
                if answer.get("id") == 2:
                    server.stdin.close()
                    failed = {"content": [{"text": str(answer.get("error"))}], "isError": True}
                    return answer.get("result", failed)  # type: ignore[no-any-return]
        return {"content": [{"text": f"the server went with code {server.returncode}"}], "isError": True}

    def do_usage(self, usage: dict[str, Any], _: dict[str, Any]) -> None:
        """Tokens and money of this round."""
        self.emit("usage", **usage)

    def do_sleep_s(self, seconds: float, _: dict[str, Any]) -> None:
        """Wait."""
        self.sleep(seconds)

    def do_status(self, text: str, _: dict[str, Any]) -> None:
        """Say something about itself."""
        self.emit("status", message=text)

    def do_stderr(self, text: str, _: dict[str, Any]) -> None:
        """Complain."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def do_flood(self, size: int, _: dict[str, Any]) -> None:
        """About so many bytes of events."""
        line = json.dumps({"type": "status", "message": "x" * 960}) + "\n"
        for _index in range(size // len(line) + 1):
            sys.stdout.write(line)
        sys.stdout.flush()

    def do_garbage(self, text: Any, _: dict[str, Any]) -> None:
        """A line that is no event."""
        sys.stdout.write((text if isinstance(text, str) else '{"type": "mess') + "\n")
        sys.stdout.flush()

    def do_big_line(self, size: int, _: dict[str, Any]) -> None:
        """A message of so many characters."""
        self.emit("message", text="x" * size)

    def do_write(self, file: dict[str, str], _: dict[str, Any]) -> None:
        """Really write a file, and say what became of it."""
        try:
            with open(file["path"], "w") as target:  # noqa: PTH123  # see above
                target.write(file.get("content", ""))
        except OSError as error:
            self.emit("message", text=f"can't write {file['path']}: {error.strerror}")
        else:
            self.emit("message", text=f"wrote {file['path']}")

    def do_read(self, path: str, _: dict[str, Any]) -> None:
        """Really read a file, and say what is in it."""
        try:
            with open(path) as source:  # noqa: PTH123
                text = source.read()
        except OSError as error:
            text = f"can't read {path}: {error.strerror}"
        self.emit("message", text=text)

    def do_env(self, name: str, _: dict[str, Any]) -> None:
        """Say what a variable holds; `*` lists the names of all."""
        self.emit("message", text=" ".join(sorted(os.environ)) if name == "*" else os.environ.get(name, "(unset)"))

    def do_child(self, seconds: float, _: dict[str, Any]) -> None:
        """Leave a process of its own session behind, and say its pid."""
        pid = os.fork()
        if pid == 0:
            os.setsid()
            for fd in (0, 1, 2):
                os.close(fd)
            time.sleep(seconds)
            os._exit(0)
        self.emit("message", text=str(pid))


def plans(prompt: str) -> Iterator[dict[str, Any]]:
    """What the lines of a prompt ask for; without a directive, or steps in it, an echo."""
    lines = prompt.split("\n")
    said = "\n".join(line for line in lines if not line.startswith(DIRECTIVE)).strip()
    given = [line[len(DIRECTIVE) :] for line in lines if line.startswith(DIRECTIVE)]
    if not given:
        yield {"steps": [{"say": prompt}]}
    for number, text in enumerate(given, 1):
        try:
            plan = json.loads(text)
        except ValueError as error:
            plan = {"fail": f"bad @mock directive: {error}"}
        if not isinstance(plan, dict):
            plan = {"fail": "bad @mock directive: it is no object"}
        if "steps" not in plan and not {"fail", "hang", "limit"} & set(plan):
            plan["steps"] = [{"say": said or "ok"}]
        yield {**plan, "mute": number < len(given)}  # one result a message


def words(text: str) -> Iterator[str]:
    """A text word by word, each with the blank that follows it."""
    *head, last = text.split(" ")
    yield from (word + " " for word in head)
    yield last


def main(arguments: list[str]) -> int:
    """`MODEL SESSION new|resume asks|free`."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    model, session, mode, asks = arguments
    if mode == "resume" and session.startswith("bad-"):  # a UUID never does
        sys.stderr.write(f"No conversation found with session ID: {session}\n")
        return 1
    return Player(model, session, mode == "resume", asks == "asks").run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
