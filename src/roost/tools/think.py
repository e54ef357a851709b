"""The toolset `think`: room for a model to think in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from roost.core.agents import ToolsetSpec
from roost.core.messages import Result
from roost.ports import Place, Use
from roost.tools.house import Board, House
from roost.tools.tool import Kit, Native, reads, schema, string

CATEGORY = "think"
MOST = 32_000  # characters of thoughts that are kept; the oldest go first

_INSTRUCTIONS = """\
Before you act on what a tool has told you, think: which rules apply, what is still unknown, whether the plan holds.
"""


@asynccontextmanager
async def open_think(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """One tool."""
    with house.board(CATEGORY, place) as board:
        yield Kit(
            (
                Native(
                    "think",
                    CATEGORY,
                    "Think about something. It changes nothing and finds nothing out; all thoughts so far come back.",
                    schema(("thought",), thought=string("What to think about")),
                    _Thinking(board, place.agent).think,
                    annotations=reads("Think"),
                ),
            ),
            _INSTRUCTIONS,
        )


class _Thinking:
    def __init__(self, board: Board, agent: str) -> None:
        self._board = board
        self._agent = agent

    async def think(self, arguments: dict[str, Any], use: Use) -> Result:
        thoughts = [*(self._board.of(self._agent) or []), arguments["thought"]]
        while len(thoughts) > 1 and sum(map(len, thoughts)) > MOST:
            del thoughts[0]
        return Result("Thoughts:\n" + "\n".join(thoughts), meta=self._board.put(self._agent, thoughts))
