"""This machine's clipboard, by whichever of its programs is there.  All of it blocks: it is for a thread."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

SECONDS = 3.0
LARGEST = 32 * 1024 * 1024

_WRITERS: Sequence[Sequence[str]] = (("wl-copy",), ("xclip", "-selection", "clipboard"), ("pbcopy",), ("clip.exe",))


def picture() -> bytes:
    """The picture on it; empty where there is none."""
    for command in _pictures():
        if data := _output(command):
            return data
    return _pasteboard() if sys.platform == "darwin" else b""


def text() -> str:
    """The text on it."""
    for command in _texts():
        if data := _output(command):
            return data.decode("utf-8", "replace")
    return ""


def write(words: str) -> bool:
    """Whether some program has taken the text."""
    for command in _WRITERS:
        if _there(command[0]):
            try:
                subprocess.run(
                    command,
                    input=words.encode(),
                    timeout=SECONDS,
                    check=True,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            except (OSError, subprocess.SubprocessError):
                continue
            return True
    return False


def _pictures() -> Iterator[Sequence[str]]:
    for kind in ("image/png", "image/jpeg"):
        if _there("wl-paste"):
            yield ("wl-paste", "--no-newline", "--type", kind)
        if _there("xclip"):
            yield ("xclip", "-selection", "clipboard", "-o", "-t", kind)


def _texts() -> Iterator[Sequence[str]]:
    if _there("wl-paste"):
        yield ("wl-paste", "--no-newline", "--type", "text")
    if _there("xclip"):
        yield ("xclip", "-selection", "clipboard", "-o")
    if _there("pbpaste"):
        yield ("pbpaste",)


def _there(program: str) -> bool:
    display = {"wl-paste": "WAYLAND_DISPLAY", "wl-copy": "WAYLAND_DISPLAY", "xclip": "DISPLAY"}.get(program)
    return (display is None or bool(os.environ.get(display))) and shutil.which(program) is not None


def _output(command: Sequence[str]) -> bytes:
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return b""
    return done.stdout if len(done.stdout) <= LARGEST else b""


def _pasteboard() -> bytes:
    """A Mac's clipboard holds pictures for AppleScript, which writes them to a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pasted.png"
        script = f'write (the clipboard as «class PNGf») to (open for access POSIX file "{path}" with write permission)'
        _output(("osascript", "-e", script))
        return path.read_bytes() if path.exists() else b""
