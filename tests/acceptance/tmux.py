"""A terminal to drive: tmux with a server of its own, a screen of a fixed size, keys in and text out."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import pytest

WIDTH, HEIGHT = 100, 30
PATIENCE = 20.0
LOOK = 0.03  # seconds between two looks at the screen

Seen = str | re.Pattern[str] | Callable[[str], object]
"""What to wait for: a text that stands on the screen, a pattern, or whatever says yes to the screen."""


class NotSeen(AssertionError):
    """It did not come on the screen; the screen as it is."""


class Terminal:
    """One program on one screen.

    tmux runs it under a server whose socket is `socket`: nothing of it is shared with other tests or with people.
    """

    def __init__(self, socket: Path, *, width: int = WIDTH, height: int = HEIGHT) -> None:
        self.width = width
        self.height = height
        self._socket = socket

    def start(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Self:
        """Run a program on the screen; it stays to be looked at when it has ended."""
        variables = [word for name, value in env.items() for word in ("-e", f"{name}={value}")]
        self._socket.with_suffix(".conf").write_text(
            'set -g default-terminal "tmux-256color"\n'
            'set -ga terminal-features ",*:RGB"\n'
            "set -g remain-on-exit on\n"
            "set -g status off\n"
            "set -g history-limit 20000\n"
            "set -sg escape-time 0\n"
            "set -g set-clipboard off\n"
        )
        size = ["-x", str(self.width), "-y", str(self.height)]
        self._tmux(
            "-f",
            str(self._socket.with_suffix(".conf")),
            "new-session",
            "-d",
            *size,
            *variables,
            "-c",
            str(cwd),
            "--",
            *command,
        )
        return self

    # -- in -------------------------------------------------------------------------------------

    def type(self, text: str) -> Self:
        """Type a text, as it is."""
        self._tmux("send-keys", "-l", "--", text)
        return self

    def press(self, *keys: str) -> Self:
        """Press keys by their names in tmux: Enter, Escape, C-c, M-Enter, BTab, Up, F1 …"""
        self._tmux("send-keys", *keys)
        return self

    def paste(self, text: str) -> Self:
        """Paste a text, in brackets where the program asks for that."""
        self._tmux("set-buffer", "--", text)
        self._tmux("paste-buffer", "-p", "-d")
        return self

    def go(self, key: str) -> Self:
        """Press a key, and wait until the cursor is elsewhere: what is typed then is for what has the focus now."""
        before = self.cursor
        self.press(key)
        deadline = time.monotonic() + PATIENCE
        while self.cursor == before:
            if time.monotonic() > deadline:
                raise NotSeen(f"the cursor stays where it is\n{_framed(self.screen())}")
            time.sleep(LOOK)
        return self

    def resize(self, width: int, height: int) -> Self:
        """Another size."""
        self.width, self.height = width, height
        self._tmux("resize-window", "-x", str(width), "-y", str(height))
        return self

    # -- out ------------------------------------------------------------------------------------

    def screen(self, *, styled: bool = False) -> str:
        """What is on the screen, line by line, the blanks at the ends of lines cut; `styled` keeps colours."""
        return "\n".join(line.rstrip() for line in self._capture(*(["-e"] if styled else [])).split("\n"))

    def painted(self) -> str:
        """The same with all colours, also those of blanks."""
        return self._capture("-e", "-N")

    def scrolled(self) -> str:
        """The same, with what has scrolled away above it."""
        return "\n".join(line.rstrip() for line in self._capture("-S", "-").split("\n"))

    def until(self, seen: Seen, *, timeout: float = PATIENCE) -> str:
        """The screen, as soon as it shows something.

        Raises:
            NotSeen: it does not in time.
        """
        return self._wait(seen, timeout, wanted=True)

    def until_gone(self, seen: Seen, *, timeout: float = PATIENCE) -> str:
        """The screen, as soon as it shows something no longer."""
        return self._wait(seen, timeout, wanted=False)

    def still(
        self, *, quiet: float = 0.3, timeout: float = PATIENCE, clean: Callable[[str], str] = lambda screen: screen
    ) -> str:
        """The screen, once it has not changed for a while; `clean` takes away what is not to count."""
        deadline = time.monotonic() + timeout
        before, since = clean(self.screen()), time.monotonic()
        while time.monotonic() - since < quiet:
            if time.monotonic() > deadline:
                raise NotSeen(f"the screen does not come to rest\n{before}")
            time.sleep(LOOK)
            if (now := clean(self.screen())) != before:
                before, since = now, time.monotonic()
        return before

    @property
    def cursor(self) -> str:
        """Where it is: column and row."""
        return self._told("#{cursor_x},#{cursor_y}")

    @property
    def pid(self) -> int:
        """The program's process."""
        return int(self._told("#{pane_pid}"))

    @property
    def alive(self) -> bool:
        """Whether the program runs."""
        return self._told("#{pane_dead}") == "0"

    def ended(self, *, timeout: float = PATIENCE) -> int:
        """Wait for the program's end: its exit code; 128 and the signal's number where one ended it."""
        deadline = time.monotonic() + timeout
        while True:
            status, number = self._told("#{pane_dead_status}"), self._told("#{pane_dead_signal}")
            if status or number.strip("0"):
                return int(status) if status else 128 + int(number)
            if not self.alive:  # tmux has seen the end, and may have missed the signal that says how
                os.kill(int(self._told("#{pid}")), signal.SIGCHLD)
            if time.monotonic() > deadline:
                raise NotSeen(f"the program goes on\n{_framed(self.screen())}")
            time.sleep(LOOK)

    def close(self) -> None:
        """End the program, and tmux with it."""
        subprocess.run(["tmux", "-S", str(self._socket), "kill-server"], capture_output=True, check=False)
        self._socket.unlink(missing_ok=True)

    # -- below ----------------------------------------------------------------------------------

    def _wait(self, seen: Seen, timeout: float, *, wanted: bool) -> str:
        deadline = time.monotonic() + timeout
        while True:
            screen = self.screen()
            if bool(_shows(screen, seen)) is wanted:
                return screen
            if time.monotonic() > deadline:
                raise NotSeen(f"{'not' if wanted else 'still'} on the screen: {seen!r}\n{_framed(screen)}")
            time.sleep(LOOK)

    def _capture(self, *flags: str) -> str:
        return self._tmux("capture-pane", "-p", *flags)

    def _told(self, format: str) -> str:
        return self._tmux("display-message", "-p", format).strip()

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-u", "-S", str(self._socket), *words],
            env={"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"},  # what the program sees is said by -e
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, (words[:3], done.stderr)
        return done.stdout


def _shows(screen: str, seen: Seen) -> object:
    if isinstance(seen, str):
        return seen in screen
    return seen.search(screen) if isinstance(seen, re.Pattern) else seen(screen)


def _framed(screen: str) -> str:
    return "\n".join(f"| {line}" for line in screen.split("\n"))


@contextmanager
def opened(
    folder: Path,
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    width: int = WIDTH,
    height: int = HEIGHT,
) -> Iterator[Terminal]:
    """A program on a screen; leaving the block ends it.  `folder` holds the socket: its path should be short."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not there: apt-get install tmux")
    number = len(list(folder.glob("tmux-*.conf")))
    terminal = Terminal(folder / f"tmux-{number}.sock", width=width, height=height)
    try:
        yield terminal.start(command, cwd=cwd, env={"COLORTERM": "truecolor", **env})
    finally:
        terminal.close()
