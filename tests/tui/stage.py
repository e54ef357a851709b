"""The conversation alone on a screen, told by hand; and screens that are kept, to be compared with."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from textual.app import App, ComposeResult
from textual.pilot import Pilot

from roost.client import happenings as h
from roost.client.shapes import Call, Chat, Content, Definition, Function, Image, Message, Posted, Result, Snapshot
from roost.tui.rows import Changes
from roost.tui.view import View
from roost.tui.widgets.transcript import Transcript

ROOT, SUB = "root-session", "sub-session"
KEPT = Path(__file__).parent / "screens"
REWRITE = "ROOST_WRITE_SCREENS"
"""Set in the environment, it makes the tests write their screens instead of comparing them."""

T = TypeVar("T", bound=h.Base)


class Stage(App[None]):
    """A view's transcript, and nothing else."""

    CSS = "Screen { background: $background; }"

    def __init__(self, view: View, theme: str = "textual-dark") -> None:
        super().__init__()
        self.view = view
        self.chosen = theme
        self.heard: list[Any] = []
        self.animation_level = "none"

    def compose(self) -> ComposeResult:
        yield Transcript()

    def on_mount(self) -> None:
        self.theme = self.chosen
        self.transcript.load(self.view)
        self.transcript.focus()

    @property
    def transcript(self) -> Transcript:
        return self.query_one(Transcript)

    def on_transcript_selected(self, event: Transcript.Selected) -> None:
        self.heard.append(event)

    def on_transcript_older_wanted(self, event: Transcript.OlderWanted) -> None:
        self.heard.append(event)

    def on_transcript_searched(self, event: Transcript.Searched) -> None:
        self.heard.append(event)

    def on_transcript_linked(self, event: Transcript.Linked) -> None:
        self.heard.append(event)


@asynccontextmanager
async def staged(view: View, size: tuple[int, int] = (80, 24), theme: str = "textual-dark") -> AsyncIterator[Any]:
    app = Stage(view, theme)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield pilot


def drawn(pilot: Pilot[None]) -> list[str]:
    """The lines of the screen."""
    strips = pilot.app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def shown(pilot: Pilot[None]) -> str:
    """The screen without the scrollbar."""
    width = pilot.app.size.width - 1
    return "\n".join(line[:width].rstrip() for line in drawn(pilot))


def kept(name: str, text: str) -> None:
    """Compare a screen with the one that is kept under a name."""
    path = KEPT / f"{name}.txt"
    if os.environ.get(REWRITE):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.rstrip("\n") + "\n")
    assert path.exists(), f"no screen is kept for {name}: set {REWRITE}=1 to write it"
    assert text.rstrip("\n") + "\n" == path.read_text(), f"{name} looks different; {REWRITE}=1 keeps it as it is now"


class Teller:
    """Tells a view what happens, as a server would."""

    def __init__(self, view: View | None = None) -> None:
        self.view = view or View(ROOT)
        self.number = self.view.seq
        self.changes = Changes()

    def tell(self, kind: type[T], *, sub: bool = False, agent: str = "", **fields: Any) -> Changes:
        self.number += 1
        place = {"session_id": SUB, "parent_session_id": ROOT} if sub else {"session_id": ROOT}
        about = {"seq": self.number, "timestamp": "2026-01-01T00:00:00Z", "agent_name": agent, **place}
        changes = self.view.take(kind(**{**about, **fields}))
        self.changes.add(changes)
        return changes

    def said(self, text: str, **more: Any) -> Changes:
        return self.tell(h.UserMessage, message=text, id=self.number + 1, **more)

    def answer(
        self, text: str, *, sub: bool = False, agent: str = "root", reasoning: str = "", whole: bool = True
    ) -> None:
        answer = f"answer-{self.number}"
        if reasoning:
            self.tell(h.AgentChoiceReasoning, content=reasoning, answer=answer, sub=sub, agent=agent)
        for at in range(0, len(text), 40):
            self.tell(h.AgentChoice, content=text[at : at + 40], answer=answer, sub=sub, agent=agent)
        if whole:
            self.tell(h.MessageAdded, answer=answer, sub=sub, agent=agent)

    def call(
        self, name: str, given: Any, result: str | None = None, *, failed: bool = False, sub: bool = False, **more: Any
    ) -> str:
        call = f"call-{self.number}"
        wanted = Call(
            id=call, function=Function(name=name, arguments=given if isinstance(given, str) else json.dumps(given))
        )
        agent = "tester" if sub else "root"
        self.tell(h.ToolCall, tool_call=wanted, tool_definition=Definition(name=name), sub=sub, agent=agent)
        if result is not None:
            self.returned(wanted, result, failed=failed, sub=sub, **more)
        return call

    def returned(self, call: Call, result: str, *, failed: bool = False, sub: bool = False, **more: Any) -> None:
        about = Result(output=result, is_error=failed, **more)
        fields = {"tool_call_id": call.id, "tool_call": call, "response": result, "result": about}
        self.tell(h.ToolCallResponse, sub=sub, agent="tester" if sub else "root", **fields)


def conversation() -> Teller:
    """A bit of everything."""
    told = Teller()
    told.said("Please fix the failing test in `parser.py`, and explain what was wrong.")
    told.answer("I'll look at the test first.", reasoning="**Looking** at the failing test.\nThen at the parser.")
    told.call("read_file", {"path": "src/parser.py"}, "x\n" * 120)
    output = "\x1b[31mF\x1b[0m...\n" + "\n".join(f"line {n}" for n in range(30)) + "\n1 failed, 3 passed in 0.12s"
    told.call("shell", {"cmd": "pytest -q tests/test_parser.py"}, output)
    old = "def parse(text):\n    lines = text.split()\n    return lines[0]\n"
    new = old.replace("    return", "    if not lines:\n        return None\n    return")
    told.call("edit_file", {"path": "src/parser.py", "edits": [{"oldText": old, "newText": new}]}, "edited")
    task = Call(
        id="task", function=Function(name="transfer_task", arguments='{"agent":"tester","task":"Run all tests"}')
    )
    told.tell(h.ToolCall, tool_call=task, tool_definition=Definition(name="transfer_task"), agent="root")
    told.tell(h.SessionCreated, sub=True, tool_call_id="task", title="Transferred task")
    told.answer("Running the suite.", sub=True, agent="tester")
    told.call("shell", {"cmd": "pytest -q"}, "42 passed in 3.1s", sub=True)
    told.answer("All **42** tests pass.", sub=True, agent="tester")
    told.tell(h.StreamStopped, reason="normal", sub=True)
    told.returned(task, "All 42 tests pass.")
    told.call(
        "write_file",
        {"path": "/etc/x", "content": "x"},
        "The user rejected the tool call. Reason: not there",
        failed=True,
    )
    told.call("fetch", {"url": "https://example.com/docs"}, "cannot resolve example.com\nno network", failed=True)
    told.tell(h.Warned, message="the answer was cut off: the connection was closed", agent="root")
    told.answer(
        "## What was wrong\n\nThe parser took the **first** element of an *empty* list; see [the docs]"
        "(https://docs.python.org/3/tutorial) of `list`.\n\n1. `split()` of an empty text is `[]`\n"
        "2. `lines[0]` raises `IndexError`\n   - for empty input\n\n```python\ndef parse(text: str) -> str | None:\n"
        "    lines = text.split()\n    return lines[0] if lines else None  # safe\n```\n\n"
        '| Case | Before | Now |\n|---|---|---|\n| `""` | IndexError | `None` |\n| `"a b"` | `a` | `a` |\n\n'
        "> Tests cover both: 漢字 and 🎉 too.\n"
    )
    told.said(
        "Great. Run it again, please",
        multi_content=(Content(type="image_url", image_url=Image(url="data:image/png;base64,AAAA")),),
    )
    running = told.call("shell", {"cmd": "pytest -v --maxfail=1 " + " ".join(f"tests/test_{n}.py" for n in range(9))})
    told.tell(h.ToolCallOutput, tool_call_id=running, output="tests/test_1.py PASSED\n", agent="root")
    told.tell(h.MessageQueued, id=told.number + 1, queue="steer", messages=(Posted(content="And lint it"),))
    return told


def long(messages: int) -> Snapshot:
    """A session of many messages."""
    said = [
        Message(
            id=number + 1,
            agent_name="root" if number % 2 else "",
            ordinal=None if number % 2 else number // 2,
            message=Chat(role="assistant" if number % 2 else "user", content=f"message {number}\n\nof the session"),
        )
        for number in range(messages)
    ]
    return Snapshot(id=ROOT, messages=tuple(said), last_event_seq=messages, tail_from=messages, agent="root")
