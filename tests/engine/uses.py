"""A use for tools that are run without an engine."""

from typing import Any

from roost.core.events import Answer
from roost.core.ids import CallId
from roost.ports import Ask


class NoUse:
    """Keeps what is shown and asked; each question is accepted."""

    def __init__(self, call: str = "call-1") -> None:
        self.call = CallId(call)
        self.attempt = 1
        self.shown: list[str] = []
        self.asked: list[Ask] = []

    async def output(self, text: str) -> None:
        self.shown.append(text)

    async def ask(self, question: Ask) -> Answer:
        self.asked.append(question)
        return Answer("accept")

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nobody was to call {name}")
