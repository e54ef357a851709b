"""The terminal UI's conversation in a real terminal: opening, scrolling, searching and streaming, with 10 000 messages.

Run: python -m bench.screen [MESSAGES]

A child draws into a pseudo terminal of 200 × 60, which is read as fast as it writes.  A frame is as long as the child's
event loop is held up; the trace in `screen.json` has every one over 5 ms, and how long of it the child was computing:
on a machine that is busy otherwise only that says something.  Beside it the same conversation as most
programs on Textual would show it: a widget for each message, in a container that scrolls.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import pty
import random
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bench.figures import Aim, Table, quantile, verdicts
from bench.processes import ROOT

TRACE = Path(__file__).parent / "screen.json"
SIZE = (60, 200)
RATE = 200  # events a second
STREAMED = 5.0  # seconds
PLAIN = 300  # messages that the widgets are tried with

PROSE = (
    "The parser took the **first** element of a list that was *empty*, see `parse()`.\n\n"
    "1. read the text\n2. split it\n3. take what is there\n\n"
    "```python\ndef parse(text: str) -> str | None:\n    lines = text.split()\n"
    "    return lines[0] if lines else None\n```\n"
)


Held = tuple[str, float, float, float]
"""What went on, when, for how many ms, and for how many of them this program had the processor."""


# -- what is shown --------------------------------------------------------------------------------


def snapshot(messages: int) -> Any:
    """A session of so many messages: of people, of a model, of tools."""
    from roost.client.shapes import Call, Chat, Function, Message, Snapshot

    said, draw = list[Message](), random.Random(1)
    while len(said) < messages:
        number = len(said) + 1
        command = Call(
            id=f"c{number}", function=Function(name="shell", arguments=json.dumps({"cmd": f"make {number}"}))
        )
        output = "\n".join(f"{n}: what it prints" for n in range(draw.randint(1, 40)))
        for chat in (
            Chat(role="user", content=f"Please look at number {number}. " * draw.randint(1, 5)),
            Chat(role="assistant", content=f"I run {number}.", tool_calls=(command,)),
            Chat(role="tool", content=output, tool_call_id=command.id),
            Chat(role="assistant", content=f"## Number {number}\n\n" + PROSE * draw.randint(1, 3)),
        ):
            said.append(Message(message=chat, id=len(said) + 1, agent_name="root"))
    return Snapshot(id="s", messages=tuple(said), last_event_seq=len(said), tail_from=len(said), agent="root")


def events(texts: list[str], start: int) -> list[Any]:
    """An answer that comes piece by piece."""
    from roost.client.happenings import AgentChoice, MessageAdded

    pieces = [AgentChoice(seq=start + at, content=text, answer="z", agent_name="root") for at, text in enumerate(texts)]
    return [*pieces, MessageAdded(seq=start + len(texts), answer="z", agent_name="root")]


# -- the child: draws -----------------------------------------------------------------------------


class Watch:
    """Notices how long the event loop is held up."""

    def __init__(self) -> None:
        self.trace: list[Held] = []
        self.scene = "start"
        self.began = time.perf_counter()

    async def run(self) -> None:
        last, used = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(0.001)
            now, spent = time.perf_counter(), time.thread_time()
            if now - last > 0.005:
                at, held, worked = last - self.began, (now - last) * 1000, (spent - used) * 1000
                self.trace.append((self.scene, round(at, 4), round(held, 2), round(worked, 2)))
            last, used = now, spent


async def play(app: Any, watch: Watch, found: dict[str, Any], messages: int) -> None:
    """Everything, one after the other."""
    from roost.tui.view import View
    from roost.tui.widgets.transcript import Transcript

    transcript = app.query_one(Transcript)
    whole = snapshot(messages)

    async def drawn() -> None:
        done = asyncio.Event()
        transcript.call_after_refresh(done.set)
        await done.wait()

    async def timed(name: str, act: Callable[[], Any]) -> float:
        watch.scene, began = name, time.perf_counter()
        result = act()
        if isinstance(result, Awaitable):
            await result
        await drawn()
        took = time.perf_counter() - began
        found.setdefault(name, []).append(took)
        await asyncio.sleep(0.01)
        return took

    view: Any = None

    def opened() -> None:
        nonlocal view
        view = View.open(whole)
        transcript.load(view)

    await timed("open", opened)
    for _ in range(60):
        await timed("page up", transcript.scroll_page_up)
    for _ in range(150):
        await timed("wheel", lambda: transcript.scroll_relative(y=-3, animate=False))
    draw = random.Random(2)
    for _ in range(30):
        await timed("jump", lambda: transcript.scroll_to(y=draw.randrange(int(transcript.max_scroll_y)), animate=False))
    await timed("home", transcript.go_home)
    await timed("end", transcript.go_end)
    for query in ("n", "nu", "number 77", "number 777"):
        await timed("search", lambda query=query: transcript.search(query))
    for _ in range(20):
        await timed("next match", lambda: transcript.next_match(-1))
    transcript.search("")
    await timed("end", transcript.go_end)
    await timed("open all", lambda: transcript.unfold_all(True))
    await timed("fold all", lambda: transcript.unfold_all(False))
    count = int(RATE * STREAMED)
    prose = [f"word{n} and more of it{'.' if n % 12 else '.' + chr(10) * 2}" for n in range(count)]
    for name, texts in (
        ("stream: paragraphs", prose),
        ("stream: one list", [f"- item {n} of a list that only grows\n" for n in range(count)]),
        ("stream: one block of code", ["```python\n", *[f"value_{n} = {n}\n" for n in range(count)]]),
    ):
        watch.scene = "open again"
        opened()
        await drawn()
        watch.scene, used, began = name, time.process_time(), time.perf_counter()
        for at, event in enumerate(events(texts, messages + 1)):
            transcript.apply(view.take(event))
            wait = began + at / RATE - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
        found[name] = (time.process_time() - used) / (time.perf_counter() - began)
        await drawn()
    watch.scene = "the end"


async def play_widgets(app: Any, watch: Watch, found: dict[str, Any]) -> None:
    """The same with a widget for each message, and fewer of them."""
    from textual.containers import VerticalScroll
    from textual.widgets import Markdown

    texts = [message.content for message in snapshot(PLAIN).messages][:PLAIN]
    scroll = VerticalScroll()
    watch.scene, began = "widgets: open", time.perf_counter()
    await app.mount(scroll)
    await scroll.mount_all([Markdown(text) for text in texts])
    done = asyncio.Event()
    scroll.call_after_refresh(done.set)
    await done.wait()
    found["widgets: open"] = [time.perf_counter() - began]
    scroll.scroll_end(animate=False)
    await asyncio.sleep(0.5)
    for _ in range(20):
        watch.scene, began = "widgets: page up", time.perf_counter()
        scroll.scroll_page_up(animate=False)
        await asyncio.sleep(0.05)
    last = Markdown("")
    await scroll.mount(last)
    watch.scene, used, began, text = "widgets: stream, one list", time.process_time(), time.perf_counter(), ""
    for at in range(int(RATE * STREAMED)):
        text += f"- item {at} of a list that only grows\n"
        await last.append(f"- item {at} of a list that only grows\n")
        wait = began + at / RATE - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        elif time.perf_counter() - began > 2 * STREAMED:
            break
    found["widgets: stream, one list"] = (time.process_time() - used) / (time.perf_counter() - began)
    found["widgets: streamed"] = at + 1


def child(what: str, messages: int, result: Path) -> None:
    from textual.app import App, ComposeResult

    from roost.tui.widgets.transcript import Transcript

    found: dict[str, Any] = {}
    watch = Watch()

    class Screen(App[None]):
        def compose(self) -> ComposeResult:
            if what == "transcript":
                yield Transcript()

        def on_mount(self) -> None:
            self.run_worker(self.play())

        async def play(self) -> None:
            watching = asyncio.create_task(watch.run())
            try:
                await (play(self, watch, found, messages) if what == "transcript" else play_widgets(self, watch, found))
            finally:
                watching.cancel()
                self.exit()

    Screen().run()
    result.write_text(json.dumps({"found": found, "trace": watch.trace}))


# -- the parent: reads ----------------------------------------------------------------------------


def drawn(what: str, messages: int) -> tuple[dict[str, Any], list[Held]]:
    """What a child has found in a terminal of its own."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
    result = TRACE.with_suffix(".part")
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": paths, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    command = [sys.executable, "-m", "bench.screen", "--child", what, str(messages), str(result)]
    with subprocess.Popen(command, stdin=side, stdout=side, stderr=side, env=environment, cwd=ROOT) as process:
        os.close(side)

        newest: list[bytes] = []

        def read() -> None:
            with contextlib.suppress(OSError):
                while text := os.read(main, 1 << 16):
                    newest[:] = [newest[-1] if newest else b"", text]

        reading = threading.Thread(target=read, daemon=True)
        reading.start()
        code = process.wait(600)
    os.close(main)
    assert code == 0, b"".join(newest).decode(errors="replace")
    told = json.loads(result.read_text())
    result.unlink()
    return told["found"], [tuple(row) for row in told["trace"]]


def main() -> None:
    if "--child" in sys.argv:
        child(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
        return
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    found, trace = drawn("transcript", messages)
    beside, beside_trace = drawn("widgets", messages)

    def longest(rows: list[Held], scene: str, which: int = 3) -> float:
        return max((row[which] for row in rows if row[0] == scene), default=0.0)

    rows = []
    for name, value in found.items():
        took = value if isinstance(value, list) else []
        each = (f"{quantile(took, 0.5) * 1000:.1f}", f"{max(took) * 1000:.1f}") if took else ("", "")
        share = f"{value:.0%}" if not took else ""
        held = (f"{longest(trace, name, 2):.1f}", f"{longest(trace, name):.1f}")
        rows.append((name, str(len(took) or ""), *each, *held, share))
    print(
        Table(
            f"{messages:,} messages", ("", "times", "p50 ms", "slowest ms", "longest frame ms", "of CPU", "CPU"), rows
        ).markdown()
    )
    plain = []
    for name, value in beside.items():
        if name == "widgets: streamed":
            continue
        text = f"{value[0] * 1000:.0f}" if isinstance(value, list) else ""
        share = "" if isinstance(value, list) else f"{value:.0%}"
        plain.append((name, text, f"{longest(beside_trace, name):.1f}", share))
    plain.append(("widgets: page up", "", f"{longest(beside_trace, 'widgets: page up'):.1f}", ""))
    title = (
        f"A widget for each of {PLAIN:,} messages ({beside['widgets: streamed']:,} of {int(RATE * STREAMED):,} items)"
    )
    print(Table(title, ("", "ms", "longest frame ms", "CPU"), plain).markdown())
    moves = ("page up", "wheel", "jump", "home", "end")
    aims = [
        Aim("screen: the newest message", found["open"][0], 1.0, "s"),
        Aim("screen: longest frame while scrolling, CPU", max(longest(trace, name) for name in moves), 100, "ms"),
        Aim(
            "screen: longest frame while streaming, CPU",
            max(longest(trace, n) for n in found if "stream" in n),
            100,
            "ms",
        ),
    ]
    print(verdicts(aims).markdown())
    TRACE.write_text(json.dumps({"messages": messages, "trace": trace, "widgets": beside_trace}, indent=None) + "\n")


if __name__ == "__main__":
    main()
