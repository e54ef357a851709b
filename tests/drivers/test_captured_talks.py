"""Captured conversations in the Agent Client Protocol, played against our half of them."""

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from drivers.rehearsal import CAPTURES, Rehearsal, check, ended, errand, lines, text
from roost.core import events as e
from roost.drivers.catalogue import drivers

CLIS = ("gemini", "copilot", "opencode", "qwen")
TALKS = [(cli, path.name.split(".")[0]) for cli in CLIS for path in sorted((CAPTURES / cli).glob("*.dialog.jsonl"))]
DRIVERS = drivers(mock=False)
CHOICES = {"allow_once": "approve", "allow_always": "approve-tool", "reject_once": "reject"}


@dataclass
class Played:
    """A captured conversation, played: where the host of old spoke, we speak; both must have meant the same."""

    on: Rehearsal
    ids: dict[int, int] = field(default_factory=dict)  # of the capture's requests: ours
    matched: set[int] = field(default_factory=set)
    options: dict[str, dict[str, str]] = field(default_factory=dict)
    said: int = 0

    def play(self, talk: list[dict[str, Any]], directions: list[str]) -> None:
        for direction, message in zip(directions, talk, strict=True):
            if direction == "<":
                self.hear(message)
            else:
                self.speak(message)

    def hear(self, message: dict[str, Any]) -> None:
        if "method" not in message and "id" in message:
            if message["id"] not in self.ids:
                return  # to something that only the host of old has asked
            message = {**message, "id": self.ids[message["id"]]}
        if message.get("method") == "session/request_permission":
            options = message["params"]["options"]
            self.options[json.dumps(message["id"])] = {option["optionId"]: option["kind"] for option in options}
        self.on.feed(json.dumps(message).encode())

    def speak(self, message: dict[str, Any]) -> None:
        if message.get("method") == "session/cancel":
            assert self.on.act(self.on.dialog.interrupt("stop"))
            assert self.on.sent[-1] == message
        elif "method" in message:
            self.request(message)
        elif "result" in message:
            self.reply(message)
        else:
            assert [
                sent["error"]["code"] for sent in self.on.sent if sent.get("id") == message["id"] and "error" in sent
            ]

    def request(self, message: dict[str, Any]) -> None:
        if message["method"] == "session/prompt" and self.ours(message) is None:
            self.said += 1
            assert self.on.dialog.ready
            assert self.on.say(f"{self.said}.0", message["params"]["prompt"][0]["text"])
        if (mine := self.ours(message)) is not None:
            assert mine["params"].get("prompt") == message["params"].get("prompt")
            assert mine["params"].get("sessionId") == message["params"].get("sessionId")
            self.ids[message["id"]] = mine["id"]
            self.matched.add(mine["id"])
        else:
            assert message["method"] == "session/set_mode"

    def ours(self, message: dict[str, Any]) -> dict[str, Any] | None:
        asked = [sent for sent in self.on.sent if sent.get("method") == message["method"] and "id" in sent]
        return next((sent for sent in asked if sent["id"] not in self.matched), None)

    def reply(self, message: dict[str, Any]) -> None:
        outcome = message["result"]["outcome"]
        kind = self.options[json.dumps(message["id"])].get(outcome.get("optionId", ""), "")
        (wait,) = self.on.dialog.pending
        word = CHOICES.get(kind, "reject")
        self.on.answer(wait, e.Answer("reject" if word == "reject" else "approve", word))
        mine = self.on.sent[-1]
        assert mine["id"] == message["id"]
        chosen = self.options[json.dumps(message["id"])][mine["result"]["outcome"]["optionId"]]
        lasting = kind == "allow_always" and self.on.errand.folder.endswith("qwen")
        assert chosen == ("allow_once" if lasting else kind or "reject_once")


def played(cli: str, case: str) -> Played:
    raw = lines(cli, case, "dialog.jsonl")
    directions = [line[:1].decode() for line in raw]
    talk = [json.loads(line[2:]) for line in raw]
    first = next(message["params"] for message in talk if message.get("method") == "session/prompt")
    resume = "" if any(message.get("method") == "session/new" for message in talk) else first["sessionId"]
    given = errand(first["prompt"][0]["text"], resume=resume, folder=f"/tmp/demo/{cli}")
    found = Played(Rehearsal(DRIVERS[cli], given))
    found.play(talk, directions)
    return found


@pytest.mark.parametrize(("cli", "case"), TALKS)
def test_a_captured_talk_plays_to_its_end(cli: str, case: str) -> None:
    on = played(cli, case).on
    assert on.dialog.ready
    assert on.act(on.dialog.close())
    assert on.end(ended(0)) == []
    head = check(on.facts)
    assert head.provider_session
    assert head.turn is not None
    assert head.turn.rounds == len(on.of(e.RoundResult))


@pytest.mark.parametrize(("cli", "case"), TALKS)
def test_a_captured_talk_is_adopted_behind_every_line(cli: str, case: str) -> None:
    on = played(cli, case).on
    on.check_adoption()


@pytest.mark.parametrize(("cli", "case"), TALKS)
def test_a_captured_talk_that_dies_behind_any_line_is_closed(cli: str, case: str) -> None:
    on = played(cli, case).on
    for length, _ in on.marks:
        dialog = on.relive(length)
        facts = [fact for line in on.script[:length] if isinstance(line, bytes) for fact in dialog.feed(line).facts]
        assert facts is not None  # fed twice over: nothing raises
        last = on.relive(length).end(ended(-9)).facts
        waits = [fact.wait for fact in last if isinstance(fact, e.WaitVoided)]
        assert set(on.relive(length).pending) == set(waits)
        assert any(isinstance(fact, e.ErrorMet) for fact in last)


@pytest.mark.parametrize("cli", CLIS)
def test_what_was_asked_refused_and_done_is_in_the_facts(cli: str) -> None:
    on = played(cli, "asks").on
    said = text(on.facts)
    assert [part for part in said if part][:2] == ["one", "try"]
    assert said[-1] == "after cancel"
    rounds = on.of(e.RoundResult)
    assert [result.success for result in rounds] == [True, True, True, False, True, False, True]
    assert "401" in rounds[3].message
    results = on.of(e.ToolReturned)
    assert [result.result.is_error for result in results[:4]] == [True, False, False, False]
    assert [result.call.name for result in results[:2]] == NAMES[cli]
    assert "touch x" in results[0].call.arguments
    assert "n.txt" in results[1].call.arguments
    denied = results[0].call.id
    assert denied not in [fact.call.id for fact in on.of(e.ToolCalled)]
    assert [usage.usage.input for usage in on.of(e.UsageAdded)][:3] == USAGE[cli]


NAMES = {
    "gemini": ["run_shell_command", "write_file"],
    "copilot": ["shell", "edit"],
    "opencode": ["bash", "write"],
    "qwen": ["run_shell_command", "write_file"],
}
USAGE = {"gemini": [11, 22, 22], "copilot": [11, 11, 22], "opencode": [11, 11, 11], "qwen": [11, 11, 22]}


@pytest.mark.parametrize("cli", CLIS)
def test_a_resumed_talk_tells_nothing_of_the_past(cli: str) -> None:
    on = played(cli, "resume").on
    assert text(on.facts) == ["resumed ok"]
    assert on.of(e.ToolReturned) == []
    assert [fact.provider_session for fact in on.of(e.Introduced)] == [on.errand.resume]
