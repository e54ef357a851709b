"""A real CLI on stage: a driver's launch as a plain process, its dialog, and a record that can be played again."""

import json
import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from drivers.playback import Act, Playback, errand, replay
from roost.core.ids import RunId, fresh
from roost.ports import Driver, Exit

PATIENCE = 40.0


def installed(name: str) -> str:
    """The CLI's path; the test is skipped where it is not installed."""
    folder = os.environ.get("AGENT_CLI_DIR", "")
    found = shutil.which(name, path=folder) if folder else None
    if found is None:
        pytest.skip(f"no {name}: `npm install {PACKAGES[name]}` and AGENT_CLI_DIR=…/node_modules/.bin bring it")
    return found


PACKAGES = {
    "claude": "@anthropic-ai/claude-code",
    "codex": "@openai/codex",
    "copilot": "@github/copilot",
    "gemini": "@google/gemini-cli",
    "opencode": "opencode-ai",
    "qwen": "@qwen-code/qwen-code",
}


def environment(home: Path, **more: str) -> dict[str, str]:
    """All that the CLI is given: nothing of this process's own."""
    node, clis = os.environ.get("AGENT_NODE_DIR", ""), os.environ.get("AGENT_CLI_DIR", "")
    path = ":".join(folder for folder in (node, clis, "/usr/bin", "/bin") if folder)
    return {"HOME": str(home), "PATH": path, "TERM": "dumb", **more}


class OnStage(Playback):
    """A run: what people do goes in by `do`, what the CLI prints comes in by `until`."""

    def __init__(self, driver: Driver, tmp_path: Path, **more: Any) -> None:
        folder = tmp_path / "run"
        folder.mkdir(mode=0o700, exist_ok=True)
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        given = errand(run=RunId(fresh()), working_dir=str(work), folder=str(folder), **more)
        launch = driver.launch(given)
        for name, content in launch.files.items():
            (folder / name).write_text(content)
        self._process = subprocess.Popen(
            launch.argv,
            cwd=launch.cwd,
            env=launch.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._lines: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self._readers = [
            threading.Thread(target=self._read, args=(name,), daemon=True) for name in ("stdout", "stderr")
        ]
        for reader in self._readers:
            reader.start()
        super().__init__(driver, given)

    def _read(self, name: str) -> None:
        stream = getattr(self._process, name)
        for line in stream:
            self._lines.put((name, line.rstrip(b"\n")))
        self._lines.put((name, b"\x00"))  # the end

    def _write(self, inputs: Any) -> None:
        before = len(self.inputs)
        super()._write(inputs)
        stdin = self._process.stdin
        assert stdin is not None
        for given in self.inputs[before:]:
            if given.line:
                stdin.write(given.line.encode() + b"\n")
                stdin.flush()
            if given.close:
                stdin.close()

    def until(self, there: Callable[["OnStage"], bool], *, patience: float = PATIENCE) -> None:
        """Take in what it prints until this holds."""
        deadline = monotonic() + patience
        while not there(self):
            assert monotonic() < deadline, f"it did not happen; what did: {self.facts}"
            try:
                name, line = self._lines.get(timeout=0.05)  # what is waited for may be a file
            except queue.Empty:
                continue
            if line == b"\x00":
                continue
            if name == "stdout":
                self.do(line)
            else:
                self.made.append(self.dialog.complain(line).facts)
                self.acts.append(b"")

    def until_fact(self, kind: type[Any], count: int = 1, *, patience: float = PATIENCE) -> None:
        """Until it has made so many facts of a kind."""
        self.until(lambda run: len(run.of(kind)) >= count, patience=patience)

    def of(self, kind: type[Any]) -> list[Any]:
        """Its facts of a kind."""
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def signal(self, number: int) -> None:
        """Signal the whole group."""
        os.killpg(self._process.pid, number)

    def finish(self) -> int:
        """Wait for its end, take in the rest, and tell the dialog."""
        code = self._process.wait(PATIENCE)
        for reader in self._readers:
            reader.join(PATIENCE)
        while not self._lines.empty():
            name, line = self._lines.get_nowait()
            if line != b"\x00" and name == "stdout":
                self.do(line)
            elif line != b"\x00":
                self.made.append(self.dialog.complain(line).facts)
                self.acts.append(b"")
        self.do(Exit(code=None if code < 0 else code, signal=max(0, -code)))
        return code

    def check_adoption(self) -> None:
        """The same facts come of it from every cut on."""
        kept = [(act, made) for act, made in zip(self.acts, self.made, strict=True) if act != b""]
        self.acts: list[Act] = [act for act, _ in kept]
        self.made = [made for _, made in kept]
        ending = self.made[-1]
        for cut in range(0, len(self.acts), max(1, len(self.acts) // 25)):
            uncut = [fact for made in self.made[cut:] for fact in made]
            again = replay(self, cut)
            assert again[: len(again) - len(ending)] == uncut[: len(uncut) - len(ending)]

    def stop(self) -> None:
        """Make sure that nothing of it is left."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream is not None
            if stream is self._process.stdin and not stream.closed:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue
        for reader in self._readers:
            reader.join(5)


@contextmanager
def on_stage(driver: Driver, tmp_path: Path, **more: Any) -> Iterator[OnStage]:
    """A run that is ended with the block."""
    run = OnStage(driver, tmp_path, **more)
    try:
        yield run
    finally:
        run.stop()


def codex_home(home: Path, url: str) -> None:
    """Settings that lead Codex to a fake model, and to nobody else."""
    (home / ".codex").mkdir(parents=True)
    (home / ".codex/config.toml").write_text(
        f"""model = "fake-model"
model_provider = "fake"
check_for_update_on_startup = false
[analytics]
enabled = false
[features]
apps = false
plugins = false
remote_plugin = false
plugin_sharing = false
[model_providers.fake]
name = "fake"
base_url = "{url}/v1"
env_key = "FAKE_API_KEY"
wire_api = "responses"
request_max_retries = 1
stream_max_retries = 1
"""
    )


def sent_to(requests: list[dict[str, Any]]) -> str:
    """All that a fake model was sent, as text."""
    return json.dumps([request.get("body") for request in requests])
