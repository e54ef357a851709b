"""A terminal that is closed, or no longer reads: the run ends with the one, and goes on behind the other."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from acceptance.house import House
from acceptance.runs import Listening

SAY = "[[drip 0.01]] [[say " + "many little words of no importance at all " * 40 + "]]"
ADOPT = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, sys.argv[1:])"


class Seat:
    """`roost run my-agent.yaml` at a terminal of its own, the other end of which is `master`."""

    def __init__(self, house: House, agent: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        words = [sys.executable, "-m", "roost", "run", agent, "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", ADOPT, *words],
            cwd=house.folder,
            env={**house.env(), "TERM": "xterm-256color"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.live = Listening(house, self.process, Path(os.devnull), Path(os.devnull))

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()


@pytest.fixture
def sit(house: House) -> Iterator[Callable[[], Seat]]:
    agent = house.agent()
    seats: list[Seat] = []

    def take() -> Seat:
        seats.append(Seat(house, str(agent)))
        return seats[-1]

    yield take
    for seat in seats:
        seat.close()


def test_a_run_ends_with_its_terminal_and_lets_its_session_go(sit: Callable[[], Seat]) -> None:
    seat = sit()
    live = seat.live.until_listening()
    live.post(f"/api/sessions/{live.session}/followup", {"messages": [{"content": SAY}]})
    stream = live.events(live.session)
    stream.until("agent_choice")
    os.close(seat.master)
    seat.process.wait(20)
    stream.close()
    assert not live.record.exists()


def test_others_take_part_while_the_terminal_does_not_read(sit: Callable[[], Seat]) -> None:
    seat = sit()
    live = seat.live.until_listening()
    stream = live.events(live.session)
    for _ in range(3):
        live.post(f"/api/sessions/{live.session}/followup", {"messages": [{"content": SAY}]})
        stream.until("stream_stopped")
    stream.close()
    os.close(seat.master)
    seat.process.wait(20)
