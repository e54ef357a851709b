"""How the page does with long sessions: the time to the newest message, and the frames of a scroll through all of it.

Run: python -m bench.page [FOLDER]

A database is made in FOLDER (default: a temporary one).  It needs Chromium and playwright, and writes beside this file
`page.json`, the figures, and `page-trace.json.gz`, what Chromium's main thread did meanwhile.
"""

import asyncio
import gzip
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from bench.seed import AGENT, MODEL, now, session
from roost.core import events as e
from roost.core.ids import AnswerId, CallId, LogId, ServerId, TurnId, fresh
from roost.core.messages import Message, Result, ToolCall
from roost.stores.sqlite import open_sqlite

HERE = Path(__file__).parent
MESSAGES = 10_000
FRAME = 100.0  # milliseconds that none may take
LEAP = 900  # pixels that a frame of the scroll goes up

PROSE = """I looked at **part {n}** and changed `module_{n}.py`. See [the guide](https://example.com/{n}).

- the parser keeps what is open
- the printer has *one* case more, with a line that is long enough to wrap where the window is narrow

```python
def part_{n}(text: str) -> int:
    return len(text.split()) + {n}  # counted
```
"""

SCROLL = """
async (step) => {
  const box = document.querySelector('.transcript')
  const frames = []
  let last = performance.now(), still = 0, before = -1
  while (still < 90 && frames.length < 20000) {
    box.scrollTop -= step
    await new Promise(requestAnimationFrame)
    const now = performance.now()
    frames.push(now - last)
    last = now
    const first = document.querySelector('.piece')?.dataset.key
    const place = `${first} ${Math.round(box.scrollTop)}`
    still = place === before ? still + 1 : 0
    before = place
  }
  const first = document.querySelector('.piece')?.textContent.slice(0, 60)
  return { frames, first, nodes: document.querySelectorAll('.transcript *').length }
}
"""


async def talk(store: Any, log: LogId, title: str, messages: int) -> None:
    """A session of so many messages: questions, answers, and calls with what they returned."""
    await store.put(log, [e.SessionCreated(e.Template(title=title))])
    epoch = (await store.take(log)).epoch
    for n in range(messages // 4):
        call = ToolCall(CallId(f"call_{n}"), "shell", json.dumps({"cmd": f"make part-{n}"}))
        result = Result("\n".join(f"line {k} of part {n}" for k in range(n % 40)))
        answer = AnswerId(fresh())
        turn = TurnId(fresh())
        facts: list[e.Fact] = [
            e.TurnOpened(turn, source="agent", agent=AGENT, working_dir="/"),
            e.MessageWritten(Message("user", f"Question {n}: what about part {n}?", at=now())),
            e.UserSaid(f"Question {n}: what about part {n}?", n),
            e.ModelAsked(answer, AGENT, MODEL),
            e.MessageAdded(Message("assistant", "", agent=AGENT, calls=(call,), at=now()), answer=answer, agent=AGENT),
            e.ToolCalled(call, "once", AGENT),
            e.ToolReturned(call, result, AGENT),
            e.MessageAdded(call=call.id, agent=AGENT),
            e.MessageAdded(Message("assistant", PROSE.format(n=n), agent=AGENT, model=MODEL, at=now()), agent=AGENT),
            e.TurnEnded(turn, "normal", AGENT),
        ]
        await store.append(log, facts, epoch=epoch)
    await store.release(log, epoch=epoch)


async def seeded(path: Path) -> None:
    """A database with a session of 10 000 messages, and one of 10 000 events."""
    async with open_sqlite(path, server=ServerId(fresh()), now=now, grown=lambda log, events: None) as store:
        await talk(store, LogId("messages"), "Ten thousand messages", MESSAGES)
        await session(store, LogId("events"), "Ten thousand events", events=10_000, deltas=480)


def served(folder: Path, database: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A server over it, and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "agent.yaml").write_text(
        "version: '2'\nagents:\n  root:\n    model: scripted/demo\n    instruction: Answer.\n"
    )
    command = [sys.executable, "-m", "roost", "serve", "api", str(folder / "agent.yaml"), "--no-qr"]
    environment = {**os.environ, "ROOST_HOME": str(folder / "home")}
    process = subprocess.Popen(
        [*command, "--listen", f"127.0.0.1:{port}", "--session-db", str(database)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}/"
    for _ in range(200):
        try:
            urllib.request.urlopen(f"{url}ready", timeout=1).close()
            return process, url
        except OSError:
            time.sleep(0.1)
    process.terminate()
    raise SystemExit("the server did not start")


def opened(page: Any, url: str, name: str) -> float:
    """Milliseconds from a click in the list to the newest message on the screen."""
    page.goto(f"{url}#/")
    page.wait_for_selector(f'a[href="#/s/{name}"]')
    page.wait_for_timeout(1500)
    return float(
        page.evaluate(
            """(name) => new Promise((done) => {
              const begun = performance.now()
              const look = () => {
                const last = [...document.querySelectorAll('.k-answer')].at(-1)
                const box = document.querySelector('.transcript')
                const left = box && box.scrollHeight - box.scrollTop - box.clientHeight
                const seen = last && last.getBoundingClientRect().top < innerHeight && left < 2
                requestAnimationFrame(seen ? () => done(performance.now() - begun) : look)
              }
              location.hash = `#/s/${name}`
              look()
            })""",
            name,
        )
    )


def trimmed(events: list[dict[str, Any]]) -> bytes:
    """A trace without what is short: enough to see each frame that took its time."""
    kept = [ev for ev in events if ev.get("ph") == "M" or ev.get("dur", 0) > 5_000]
    return gzip.compress(json.dumps({"traceEvents": kept}).encode(), mtime=0)


def longest(events: list[dict[str, Any]]) -> list[int]:
    """The longest tasks of the main thread, in milliseconds of its CPU time: a busy machine makes none longer."""
    threads = Counter((ev["pid"], ev["tid"]) for ev in events if ev.get("name") == "Layout")
    main = threads.most_common(1)[0][0]
    tasks = [ev["tdur"] / 1000 for ev in events if (ev.get("pid"), ev.get("tid")) == main and ev.get("tdur")]
    return [round(task) for task in sorted(tasks, reverse=True)[:5]]


def measure(url: str) -> dict[str, Any]:
    """All figures."""
    from playwright.sync_api import sync_playwright

    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    figures: dict[str, Any] = {"cores": os.cpu_count(), "load_before": round(os.getloadavg()[0], 1)}
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name in ("events", "messages"):
            for size in ((1280, 800), (360, 740)):
                page = browser.new_page(viewport={"width": size[0], "height": size[1]})
                figures[f"{name}_{size[0]}_newest_ms"] = round(min(opened(page, url, name) for _ in range(3)))
                browser.start_tracing(page=page, categories=["devtools.timeline", "toplevel"])
                found = page.evaluate(SCROLL, LEAP)
                events = json.loads(browser.stop_tracing())["traceEvents"]
                if name == "messages" and size[0] == 1280:
                    (HERE / "page-trace.json.gz").write_bytes(trimmed(events))
                frames = sorted(found["frames"], reverse=True)
                figures[f"{name}_{size[0]}_scroll"] = {
                    "frames": len(frames),
                    "longest_ms": round(frames[0]),
                    "over_100_ms": sum(frame > FRAME for frame in frames),
                    "longest_tasks_cpu_ms": longest(events),
                    "ended_at": found["first"],
                    "nodes": found["nodes"],
                }
                page.close()
        browser.close()
    figures["load_after"] = round(os.getloadavg()[0], 1)
    return figures


def main(folder: Path) -> None:
    database = folder / "page.db"
    if not database.exists():
        asyncio.run(seeded(database))
    process, url = served(folder, database)
    try:
        figures = measure(url)
    finally:
        process.terminate()
        process.wait(20)
    (HERE / "page.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
