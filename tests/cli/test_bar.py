"""How far long work is: when it is shown, and in which words."""

import io
import sys

import anyio
import pytest

from fakes.api import FakeApi, serving
from roost.cli import bar, progress
from roost.cli.bar import Bars, Lines, Work
from roost.client.server import Server
from roost.clock import SystemClock
from roost.service.progress import Jobs

pytestmark = pytest.mark.anyio


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (Work("1", "", 3, 12, "turns"), "3 of 12 turns"),
        (Work("1", "", 3, 0, "sessions"), "3 sessions"),
        (Work("1", "", 0, 0, "sessions"), ""),
        (Work("1", "", 0, 0, "bytes"), "0 B"),
        (Work("1", "", 512, 0, "bytes"), "512 B"),
        (Work("1", "", 1_234_000, 3_400_000, "bytes"), "1.2 of 3.4 MB"),
        (Work("1", "", 0, 3_400, "bytes"), "0.0 of 3.4 kB"),
    ],
)
def test_how_much_is_done(work: Work, words: str) -> None:
    assert bar.amount(work) == words


def test_what_a_title_would_do_to_a_terminal_it_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Tty())
    assert "\x1b" not in bar.worded("pull", "org/\x1b[2Jagent")
    assert bar.worded("other", "thing") == "other: thing"


def test_where_nobody_looks_on_a_line_comes_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines()

    def told(seconds: float, done: int) -> str:
        lines.paint([Work("1", "fetching a", done, 9, "turns", seconds)])
        return capsys.readouterr().err

    assert told(1.0, 1) == ""
    assert told(3.0, 2) == "fetching a … 2 of 9 turns\n"
    assert told(9.0, 3) == ""
    assert told(13.0, 4) == "fetching a … 4 of 9 turns\n"
    lines.paint([])
    assert capsys.readouterr().err == "fetching a: over\n"
    lines.paint([Work("2", "short", seconds=1.0)])
    lines.paint([])
    assert capsys.readouterr().err == ""


def test_a_terminal_has_bars_for_what_takes_longer_than_half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, before = Tty(), sys.stdout
    monkeypatch.setattr(sys, "stderr", screen)
    bars = Bars()
    bars.paint([Work("1", "fetching [a]", 1, 4, "turns", 0.4)])
    assert screen.getvalue() == ""
    bars.paint([Work("1", "fetching [a]", 2, 4, "turns", 0.6)])
    bars.paint([Work("1", "fetching [a]", 3, 4, "turns", 0.7)])
    assert sys.stdout is before  # an answer is not cut into lines
    bars.close()
    shown = screen.getvalue()
    assert "fetching [a]" in shown
    assert "3 of 4 turns" in shown
    assert sys.stderr is screen


async def test_jobs_of_this_process_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Tty()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(bar, "SOON", 0.0)
    jobs = Jobs(SystemClock())
    async with progress.shown(jobs):
        with jobs.job("tools", "tool servers of root", total=2, unit="servers") as effort:
            effort.step()
            with anyio.fail_after(10):
                while "1 of 2 servers" not in screen.getvalue():
                    await anyio.sleep(0.02)
        assert "starting tool servers of root" in screen.getvalue()


def test_a_servers_job_is_shown_while_a_request_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Tty()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setattr(bar, "SOON", 0.0)
    with serving(FakeApi()) as api:
        job = {"id": "1", "what": "gc", "title": "old sessions are removed", "done": 3, "total": 7, "unit": "sessions"}
        other = {"id": "2", "what": "pull", "title": "x"}
        api.answers["GET /api/jobs"] = (200, [other, {**job, "started_at": "2026-01-01T00:00:00Z"}])
        with bar.following(_server(api), "gc", "looking"):
            for _ in range(500):
                if "3 of 7 sessions" in screen.getvalue():
                    break
                bar.time.sleep(0.02)
    assert "old sessions are removed" in screen.getvalue()
    assert "3 of 7 sessions" in screen.getvalue()


def _server(api: FakeApi) -> Server:
    from fakes.api import TOKEN

    return Server(api.url, token=TOKEN)
