"""Shell completion: the scripts, and what they get when they ask."""

import os
import shutil
import subprocess
import sys

import pytest

SHELLS = ["bash", "zsh", "fish"]


def roost(*arguments: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "roost", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **env},
    )
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_printed_for_each_shell(shell: str) -> None:
    script = roost("completion", shell)
    assert "_ROOST_COMPLETE" in script
    if found := shutil.which(shell):
        subprocess.run([found, "-n"], input=script, text=True, timeout=60, check=True)


def words(line: str) -> list[str]:
    typed = line.split(" ")
    out = roost(_ROOST_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(len(typed) - 1))
    return [item.split(",", 1)[1] for item in out.splitlines()]


def test_commands_are_completed() -> None:
    assert words("roost se") == ["serve", "send", "search", "session"]
    assert words("roost d") == ["disconnect", "discover", "doctor"]


def test_flags_are_completed() -> None:
    assert words("roost serve api --session-w") == ["--session-workingdir-root"]
    assert words("roost serve api --resume a") == ["ask"]
