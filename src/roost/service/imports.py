"""What agent CLIs remember of sessions that were not Roost's: their own history files become logs, each once."""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
from msgspec import Struct

from roost.core import events as e
from roost.core.errors import BadValue
from roost.core.ids import CallId, LogId, Micros, TurnId
from roost.core.messages import Message, Result, ToolCall
from roost.core.orders import Order
from roost.core.principals import Principal
from roost.service.desk import Desk
from roost.service.search import moment

log = logging.getLogger(__name__)

LARGEST = 64 << 20  # bytes of a history file; larger ones are left out
BACKFILL = "backfill"  # the command that clients are told
TITLE = 60  # characters


class Remembered(Struct, frozen=True):
    """A session out of a history file."""

    provider: str
    id: str
    facts: tuple[e.Fact, ...]  # messages, calls and what they returned
    working_dir: str = ""


Reader = Callable[[Path], Iterator[Remembered]]


class Imports:
    """Reads the histories below the home of whoever runs the server."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._store = desk.store
        self._user = Path(desk.makers.env.get("HOME") or "/nonexistent")

    async def take_over(self, principal: Principal) -> int:
        """Make a log of every session that is not known yet; how many there were.

        Raises:
            Denied: the caller is an account.
        """
        self._desk.policy.admin(principal)
        heads = await self._store.heads()
        known = {head.id for head in heads} | {head.provider_session for head in heads}
        count = 0
        with self._desk.makers.progress.job("import", "histories of agent CLIs", unit="sessions") as effort:
            for provider, reader in READERS.items():
                found = await anyio.to_thread.run_sync(self._read, provider, reader, frozenset(known))
                effort.expect(len(found))
                for remembered in found:
                    known.add(remembered.id)
                    count += await self._keep(principal, remembered)
                    effort.step()
        return count

    def _read(self, provider: str, reader: Reader, known: frozenset[str]) -> list[Remembered]:
        try:
            return [found for found in reader(self._user) if found.id not in known and found.facts]
        except OSError as error:
            log.warning("the history of %s can't be read: %s", provider, error, extra={"action": "import_failed"})
            return []

    async def _keep(self, principal: Principal, found: Remembered) -> bool:
        """Make a log of it; False where one of that id has been there before."""
        turn = TurnId(f"{BACKFILL}-{found.id}")
        said = next((fact.message.content for fact in found.facts if isinstance(fact, e.MessageWritten)), "")
        template = e.Template(
            title=said.strip().splitlines()[0][:TITLE] if said.strip() else "",
            working_dir=found.working_dir,
            attributes={"roost.imported": found.provider},
            owner=self._desk.policy.owner(principal),
        )
        created = e.SessionCreated(template, order=Order(found.provider, said, command=BACKFILL))
        opened = e.TurnOpened(
            turn, found.provider, found.provider, found.working_dir, driver=found.provider, command=BACKFILL
        )
        introduced = e.Introduced(provider_session=found.id, working_dir=found.working_dir)
        ended = e.TurnEnded(turn, "normal", found.provider)
        try:
            name = self._desk.policy.session_id(found.id)
            await self._store.put(LogId(name), [created, opened, introduced, *found.facts, ended])
        except BadValue:  # it can't be an id, or is one that was deleted
            return False
        return True


# -- reading ------------------------------------------------------------------------------------


def claude(home: Path) -> Iterator[Remembered]:
    """Claude Code: one file of lines for each session."""
    for path in sorted((home / ".claude" / "projects").glob("*/*.jsonl")):
        lines = list(_lines(path))
        place = next((line["cwd"] for line in lines if isinstance(line.get("cwd"), str)), "")
        told = (_of_claude(line) for line in lines if not line.get("isSidechain") and not line.get("isMeta"))
        yield Remembered("claude", path.stem, _facts("claude", told), place)


def codex(home: Path) -> Iterator[Remembered]:
    """Codex: what was typed, all sessions in one file."""
    sessions: dict[str, list[Message]] = {}
    for line in _lines(home / ".codex" / "history.jsonl"):
        name, text, at = line.get("session_id"), line.get("text"), line.get("ts")
        if isinstance(name, str) and isinstance(text, str) and text.strip():
            moment_ = Micros(int(at * 1_000_000)) if isinstance(at, int | float) else Micros(0)
            sessions.setdefault(name, []).append(Message("user", text, at=moment_))
    for name, messages in sessions.items():
        yield Remembered("codex", name, tuple(e.MessageWritten(message) for message in messages))


def gemini(home: Path) -> Iterator[Remembered]:
    """Gemini: one JSON file for each chat."""
    for path in sorted((home / ".gemini" / "tmp").glob("*/chats/*.json")):
        whole = _json(path)
        messages = whole.get("messages")
        told = (_of_gemini(line) for line in messages if isinstance(line, dict)) if isinstance(messages, list) else ()
        name = whole.get("sessionId")
        yield Remembered("gemini", name if isinstance(name, str) else path.stem, _facts("gemini", told))


def copilot(home: Path) -> Iterator[Remembered]:
    """Copilot: a folder for each session, with its events as lines."""
    for path in sorted((home / ".copilot" / "session-state").glob("*/events.jsonl")):
        lines = list(_lines(path))
        yield Remembered("copilot", path.parent.name, _facts("copilot", map(_of_copilot, lines)))


READERS: Mapping[str, Reader] = {"claude": claude, "codex": codex, "gemini": gemini, "copilot": copilot}


class _Told(Struct, frozen=True):
    """What one line says."""

    role: str = ""
    text: str = ""
    reasoning: str = ""
    at: Micros = Micros(0)
    calls: tuple[ToolCall, ...] = ()
    results: tuple[tuple[str, Result], ...] = ()


def _facts(agent: str, told: Iterable[_Told]) -> tuple[e.Fact, ...]:
    facts: list[e.Fact] = []
    calls: dict[str, ToolCall] = {}
    for one in told:
        if one.role == "user" and one.text.strip():
            facts.append(e.MessageWritten(Message("user", one.text, at=one.at)))
        elif one.role == "assistant" and (one.text.strip() or one.calls or one.reasoning.strip()):
            calls |= {call.id: call for call in one.calls}
            message = Message("assistant", one.text, agent=agent, calls=one.calls, reasoning=one.reasoning, at=one.at)
            facts.append(e.MessageAdded(message, agent=agent))
            facts += [e.ToolCalled(call, "once", agent) for call in one.calls]
        for name, result in one.results:
            if (call := calls.pop(name, None)) is not None:
                facts += [e.ToolReturned(call, result, agent), e.MessageAdded(call=call.id, agent=agent)]
    for call in calls.values():
        lost = Result("The result of this tool call is not known.", is_error=True)
        facts += [e.ToolReturned(call, lost, agent), e.MessageAdded(call=call.id, agent=agent)]
    return tuple(facts)


def _of_claude(line: Mapping[str, Any]) -> _Told:
    message = line.get("message")
    if line.get("type") not in ("user", "assistant") or not isinstance(message, dict):
        return _Told()
    content = message.get("content")
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    blocks = [block for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []
    return _Told(
        str(line["type"]),
        "\n".join(_text(block.get("text")) for block in blocks if block.get("type") == "text"),
        "\n".join(_text(block.get("thinking")) for block in blocks if block.get("type") == "thinking"),
        _at(line.get("timestamp")),
        tuple(_call(b.get("id"), b.get("name"), b.get("input")) for b in blocks if b.get("type") == "tool_use"),
        tuple(
            (_text(b.get("tool_use_id")), Result(_flat(b.get("content")), is_error=bool(b.get("is_error"))))
            for b in blocks
            if b.get("type") == "tool_result"
        ),
    )


def _of_gemini(line: Mapping[str, Any]) -> _Told:
    role = {"user": "user", "gemini": "assistant"}.get(_text(line.get("type")), "")
    called = line.get("toolCalls")
    tools = [tool for tool in called if isinstance(tool, dict)] if isinstance(called, list) else []
    thoughts = line.get("thoughts")
    said = [_text(t.get("description")) for t in thoughts if isinstance(t, dict)] if isinstance(thoughts, list) else []
    return _Told(
        role,
        _flat(line.get("content")),
        "\n".join(said),
        _at(line.get("timestamp")),
        tuple(_call(tool.get("id"), tool.get("name"), tool.get("args")) for tool in tools),
        tuple(
            (_text(tool.get("id")), Result(_flat(tool.get("result")), is_error=tool.get("status") == "error"))
            for tool in tools
        ),
    )


def _of_copilot(line: Mapping[str, Any]) -> _Told:
    found = line.get("data")
    data: Mapping[str, Any] = found if isinstance(found, dict) else {}
    at = _at(line.get("timestamp"))
    match line.get("type"):
        case "user.message":
            return _Told("user", _text(data.get("content")), at=at)
        case "assistant.message":
            asked = data.get("toolRequests")
            tools = [tool for tool in asked if isinstance(tool, dict)] if isinstance(asked, list) else []
            calls = tuple(_call(tool.get("toolCallId"), tool.get("name"), tool.get("arguments")) for tool in tools)
            return _Told("assistant", _text(data.get("content")), _text(data.get("reasoningText")), at, calls)
        case "tool.execution_complete":
            result = data.get("result")
            text = _flat(result.get("content") if isinstance(result, dict) else data.get("error"))
            returned = Result(text, is_error=data.get("success") is False)
            return _Told(at=at, results=((_text(data.get("toolCallId")), returned),))
        case _:
            return _Told()


def _call(name: Any, tool: Any, given: Any) -> ToolCall:
    arguments = given if isinstance(given, str) else json.dumps(given if given is not None else {})
    return ToolCall(CallId(_text(name)), _text(tool) or "tool", arguments)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _flat(value: Any) -> str:
    """The text of a value that may be a text, a list of blocks, or something else."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(text for text in (_flat(one) for one in value) if text)
    if isinstance(value, dict):
        return _text(value.get("text")) or json.dumps(value, ensure_ascii=False)
    return ""


def _at(value: Any) -> Micros:
    try:
        return (moment(value, Micros(0)) or Micros(0)) if isinstance(value, str) else Micros(0)
    except BadValue:
        return Micros(0)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects that the lines of a file hold; what is none is passed over."""
    if not path.is_file() or path.stat().st_size > LARGEST:
        return
    with path.open("rb") as file:
        for line in file:
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(found, dict):
                yield found


def _json(path: Path) -> dict[str, Any]:
    if path.stat().st_size > LARGEST:
        return {}
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
