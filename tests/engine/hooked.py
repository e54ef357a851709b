"""Hooks that answer as a test wants, and a record of what they were given."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from msgspec.structs import replace

from roost.core.agents import Agent, Hook, Matcher, ToolsetSpec
from roost.ports import Place, Ran

Answer = Mapping[str, Any] | Ran | Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]

DENY = {"decision": "block", "reason": "not here"}
ALLOW = {"hook_specific_output": {"permission_decision": "allow"}}
ASK = {"hook_specific_output": {"permission_decision": "ask", "permission_decision_reason": "sure?"}}


def rewriting(arguments: Mapping[str, Any], **more: str) -> dict[str, Any]:
    """Give the call other arguments, and `more` beside them."""
    return {"hook_specific_output": {"updated_input": arguments, **more}}


class Hooks:
    """Answers each event; `early` is `pre_tool_use` before the permissions.  Nothing to say is an empty object."""

    def __init__(self, **answers: Answer) -> None:
        self.answers = answers
        self.given: list[dict[str, Any]] = []

    async def run(self, hook: Hook, given: Mapping[str, Any], place: Place) -> Ran:
        self.given.append(dict(given))
        answer = self.answers.get(hook.command, {})
        if isinstance(answer, Ran):
            return answer
        said = await answer(given) if callable(answer) else answer
        return Ran(code=0, stdout=json.dumps(said))

    @property
    def events(self) -> list[str]:
        """What has fired, in order."""
        return [given["hook_event_name"] for given in self.given]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [given for given in self.given if given["hook_event_name"] == event]

    def rules(self, *also: str) -> dict[str, tuple[Matcher, ...]]:
        """An entry for each event that is answered, or is to be heard of."""
        found: dict[str, tuple[Matcher, ...]] = {}
        for name in (*self.answers, *also):
            event = "pre_tool_use" if name == "early" else name
            matcher = Matcher((Hook("command", name),), preempt=name == "early")
            found[event] = (*found.get(event, ()), matcher)
        return found

    def agent(self, *also: str, **more: Any) -> Agent:
        """An agent with these hooks."""
        one = Agent("root", model="fake", instruction="Be brief.", toolsets=(ToolsetSpec("fake"),))
        return replace(one, hooks=self.rules(*also), **more)
