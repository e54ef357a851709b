"""Histories of agent CLIs become logs, each once, and whatever is in their files breaks nothing."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from roost.core import events as e
from roost.core.errors import Denied
from roost.core.orders import Order
from service.fleets import BOSS, FleetWorld, open_fleet

pytestmark = pytest.mark.anyio


def lines(path: Path, *objects: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in objects))


def histories(user: Path) -> None:
    """One session of each CLI."""
    lines(
        user / ".claude/projects/-srv/c1aude.jsonl",
        {"type": "summary", "summary": "x"},
        {"type": "user", "cwd": "/srv", "timestamp": "2026-05-16T09:12:01.402Z", "message": {"content": "Fix it"}},
        {
            "type": "assistant",
            "message": {
                "content": [
                    {"type": "thinking", "thinking": "hm"},
                    {"type": "text", "text": "let me see"},
                    {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls"}},
                ]
            },
        },
        {
            "type": "user",
            "message": {"content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"text": "a.py"}]}]},
        },
        {"type": "assistant", "message": {"content": [{"type": "tool_use", "id": "t2", "name": "Read", "input": {}}]}},
        {"type": "user", "isMeta": True, "message": {"content": "not shown"}},
        "{broken",
        "[]",
    )
    lines(
        user / ".codex/history.jsonl",
        {"session_id": "c0dex", "ts": 1_700_000_000, "text": "one"},
        {"session_id": "other", "ts": "?", "text": "two"},
        {"session_id": "c0dex", "ts": 1_700_000_001, "text": "three"},
        {"session_id": 7, "text": "x"},
    )
    chat = {
        "sessionId": "gem1ni",
        "messages": [
            {"type": "user", "content": "Hello"},
            {
                "type": "gemini",
                "content": "Hi",
                "thoughts": [{"description": "polite"}],
                "toolCalls": [
                    {"id": "g1", "name": "read_file", "args": {"path": "x"}, "status": "error", "result": "no"}
                ],
            },
            7,
        ],
    }
    lines(user / ".gemini/tmp/abc/chats/session.json", chat)
    lines(
        user / ".copilot/session-state/c0pilot/events.jsonl",
        {"type": "user.message", "data": {"content": "Go"}},
        {
            "type": "assistant.message",
            "data": {"content": "Going", "toolRequests": [{"toolCallId": "p1", "name": "bash", "arguments": {"c": 1}}]},
        },
        {"type": "tool.execution_complete", "data": {"toolCallId": "p1", "success": True, "result": {"content": "ok"}}},
        {"type": "session.idle", "data": None},
    )


async def talk(world: FleetWorld, session: str) -> Sequence[tuple[str, str]]:
    history = (await world.service.sessions.show(BOSS, session)).history
    return [(message.role, message.content) for _, message in history.messages()]


async def test_each_session_is_taken_over_once(tmp_path: Path) -> None:
    user = tmp_path / "user"
    histories(user)
    async with open_fleet(tmp_path) as world:
        take_over = world.service.imports.take_over
        assert await take_over(BOSS) == 5
        assert await take_over(BOSS) == 0
        assert {head.id: head.provider for head in await world.store.heads()} == {
            "c1aude": "claude",
            "c0dex": "codex",
            "other": "codex",
            "gem1ni": "gemini",
            "c0pilot": "copilot",
        }
        lines(user / ".copilot/session-state/newer/events.jsonl", {"type": "user.message", "data": {"content": "Go"}})
        assert await take_over(BOSS) == 1
        await world.service.fleet.delete(BOSS, "newer")
        assert await take_over(BOSS) == 0  # what was deleted does not come back


async def test_what_was_said_is_in_the_log(tmp_path: Path) -> None:
    histories(tmp_path / "user")
    async with open_fleet(tmp_path) as world:
        await world.service.imports.take_over(BOSS)
        lost = "The result of this tool call is not known."
        assert await talk(world, "c1aude") == [
            ("user", "Fix it"),
            ("assistant", "let me see"),
            ("tool", "a.py"),
            ("assistant", ""),
            ("tool", lost),
        ]
        assert await talk(world, "c0dex") == [("user", "one"), ("user", "three")]
        assert await talk(world, "gem1ni") == [("user", "Hello"), ("assistant", "Hi"), ("tool", "no")]
        assert await talk(world, "c0pilot") == [("user", "Go"), ("assistant", "Going"), ("tool", "ok")]
        head = await world.service.fleet.find(BOSS, "c1aude")
        assert (head.title, head.working_dir, head.provider_session) == ("Fix it", "/srv", "c1aude")
        assert (head.outcome, head.turn, head.attributes) == ("normal", None, {"roost.imported": "claude"})
        (opened,) = await world.facts("c1aude", e.TurnOpened)
        assert opened.command == "backfill"
        assert await world.service.results.output(BOSS, "c1aude") == "let me see"


async def test_a_session_that_was_ours_is_left_alone(tmp_path: Path) -> None:
    histories(tmp_path / "user")
    async with open_fleet(tmp_path) as world:
        await world.lay(e.Introduced("c1aude"), session="our-own", order=Order("claude", "x"))
        assert await world.service.imports.take_over(BOSS) == 4


async def test_names_that_can_not_be_ids_are_passed_over(tmp_path: Path) -> None:
    line = {"session_id": "../../etc/passwd", "ts": 1, "text": "x"}
    lines(tmp_path / "user/.codex/history.jsonl", line, {"session_id": "fine", "text": "x"})
    async with open_fleet(tmp_path) as world:
        assert await world.service.imports.take_over(BOSS) == 1


async def test_only_the_servers_own_token_may(tmp_path: Path) -> None:
    async with open_fleet(tmp_path) as world:
        with pytest.raises(Denied):
            await world.service.imports.take_over(world.account("ann"))
        assert await world.service.imports.take_over(BOSS) == 0  # there is no history at all
