"""Hooks at their moments: what comes of their answers, and what no hook can hold up."""

from collections.abc import Mapping
from typing import Any

import anyio
import pytest

from engine.fakes import ME, FakeTool, Floor, World, answers, make_team, open_world, said
from engine.hooked import DENY, Hooks
from roost.core import events as e
from roost.core.agents import Agent, Team, ToolsetSpec
from roost.core.errors import ModelFailed
from roost.core.messages import Message, Result
from roost.engine import supervisor
from roost.ports import Ask, ModelRequest, Ran, Task, Use
from roost.testing.fakes import call

pytestmark = pytest.mark.anyio

CONTEXT = {"hook_specific_output": {"additional_context": "it rains"}}


async def heard(hooks: Hooks, event: str, times: int = 1) -> None:
    with anyio.fail_after(5):
        while len(hooks.of(event)) < times:
            await anyio.sleep(0)


class Held:
    """An answer that waits, and says when it does."""

    def __init__(self) -> None:
        self.waits = anyio.Event()
        self.go = anyio.Event()

    async def __call__(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        self.waits.set()
        await self.go.wait()
        return {}


# -- what people are shown ------------------------------------------------------------------------


async def test_hooks_hear_of_warnings_whoever_gives_them(floor: Floor) -> None:
    hooks = Hooks(turn_start=Ran(code=3, stderr="broken"), session_start={"system_message": "good morning"})
    team = make_team(hooks.agent("notification"), warnings=("an old key",))
    async with open_world(floor, team=team, hooks=hooks) as world:
        world.toolset.failure = "it is gone"
        facts = await world.play(await world.session(), "hi")
        told = [given["notification_message"] for given in hooks.of("notification")]
        assert told == [
            "good morning",
            "an old key",
            "tools are missing: it is gone",
            "the hook 'turn_start' failed: exit status 3: broken",
        ]
        assert {given["notification_level"] for given in hooks.of("notification")} == {"warning"}
        assert {fact.message for fact in facts if isinstance(fact, e.Warned)} == set(told)


async def test_a_notification_that_fails_is_no_news(floor: Floor) -> None:
    hooks = Hooks(notification=Ran(code=3, stderr="broken"))
    async with open_world(floor, team=make_team(hooks.agent(), warnings=("old",)), hooks=hooks) as world:
        await world.play(await world.session(), "hi")
        assert len(hooks.of("notification")) == 1


async def test_errors_before_the_agent_is_ready_are_told_too(floor: Floor) -> None:
    hooks = Hooks()
    broken = make_team(hooks.agent("on_error", "notification", model="bad"))
    fine = make_team(hooks.agent("on_error", "notification"))
    async with open_world(floor, team=fine, hooks=hooks, more={"rules": hooks.rules("session_end")}) as world:
        session = await world.session()
        run = world.service.turns.run
        world.makers.agents.one = fine
        await run(ME, session, "crew", [Message("user", "hi")])
        world.makers.agents.one = broken  # between the request and the turn
        await world.ended(session)
        assert [given["error"] for given in hooks.of("on_error")] == ["no model 'bad'"]
        assert [given["notification_level"] for given in hooks.of("notification")] == ["error"]
        await heard(hooks, "session_end")
        assert hooks.of("session_end")[0]["reason"] == "error"


# -- what is said ---------------------------------------------------------------------------------


async def test_a_message_that_is_refused_reaches_no_model(each_floor: Floor) -> None:
    async def refuse(given: Mapping[str, Any]) -> Mapping[str, Any]:
        return DENY if "secret" in given["prompt"] else {}

    hooks = Hooks(user_prompt_submit=refuse)
    async with open_world(each_floor, team=make_team(hooks.agent()), hooks=hooks, titles=True) as world:
        session = await world.session()
        facts = await world.play(session, "one", "a secret")
        assert [fact.code for fact in facts if isinstance(fact, e.ErrorMet)] == ["hook_blocked"]
        assert hooks.of("user_prompt_submit")[0]["prompt"] == "one\n\na secret"
        assert world.provider.requests == []  # not for a title either
        assert await world.talk(session) == [("user", "[a message that a hook refused: not here]")] * 2
        await world.play(session, "hi")
        assert all("secret" not in str(request.messages) for request in world.provider.requests)


async def test_steering_and_follow_ups_can_be_refused(floor: Floor) -> None:
    held = Held()
    hooks = Hooks(turn_start=held, user_steering_messages_submit=DENY, user_followup_submit=DENY)
    async with open_world(floor, team=make_team(hooks.agent()), hooks=hooks) as world:
        session = await world.session()
        await world.ask(session, "go")
        await held.waits.wait()
        await world.service.queues.steer(ME, session, [Message("user", "left"), Message("user", "right")])
        await world.service.queues.followup(ME, session, [Message("user", "later")])
        held.go.set()
        await world.ended(session)
        assert [given["steering_messages"] for given in hooks.of("user_steering_messages_submit")] == [
            ["left", "right"]
        ]
        assert [text for role, text in await world.talk(session) if role == "user"] == ["go"]
        assert len(await world.facts(session, e.MessageDropped)) == 3


async def test_contexts_stay_or_go_and_none_is_said_twice(floor: Floor) -> None:
    fleeting = {"hook_specific_output": {"additional_context": "for now"}}
    hooks = Hooks(
        session_start=CONTEXT,
        turn_start=fleeting,
        post_tool_use={"hook_specific_output": {"additional_context": "linted"}},
    )
    script = answers([call("t", '{"n": 1}')], [call("t", '{"n": 2}')], ["done"], ["again"])
    async with open_world(
        floor, script=script, tools=[FakeTool("t")], team=make_team(hooks.agent()), hooks=hooks
    ) as world:
        session = await world.session()
        await world.play(session, "go")
        await world.play(session, "go")
        system = [[m.content for m in r.messages if m.role == "system"] for r in world.provider.requests]
        assert system[0] == ["Be brief.", "it rains", "for now"]
        assert system[3] == ["Be brief.", "it rains", "linted", "for now"]


async def test_hooks_can_send_a_model_on_only_so_often(floor: Floor) -> None:
    hooks = Hooks(stop={"decision": "block", "reason": "you forgot the tests"})
    async with open_world(floor, team=make_team(hooks.agent()), hooks=hooks) as world:
        facts = await world.play(await world.session(), "go")
        assert facts[-1].outcome == "normal"
        assert len(hooks.of("stop")) == 5
        assert said(world.provider.requests[1])[-1] == ("user", "you forgot the tests")


@pytest.mark.parametrize("event", ["session_start", "user_prompt_submit", "before_llm_call", "post_tool_use"])
async def test_a_hook_ends_the_run(floor: Floor, event: str) -> None:
    hooks = Hooks(**{event: {"continue": False, "stop_reason": "enough"}})
    script, team = answers([call("t")], ["done"]), make_team(hooks.agent("session_end"))
    async with open_world(floor, script=script, tools=[FakeTool("t")], team=team, hooks=hooks) as world:
        facts = await world.play(await world.session(), "go")
        (met,) = [fact for fact in facts if isinstance(fact, e.ErrorMet)]
        assert (met.code, met.message) == ("hook_blocked", "enough")
        await heard(hooks, "session_end")


async def test_every_iteration_begins_and_ends(floor: Floor) -> None:
    hooks = Hooks()
    script = answers([call("t")], ["done"])
    team = make_team(hooks.agent("turn_start", "turn_end"))
    async with open_world(floor, script=script, tools=[FakeTool("t")], team=team, hooks=hooks) as world:
        await world.play(await world.session(), "go")
        told = [(given["hook_event_name"], given["iteration"]) for given in hooks.given]
        assert told == [("turn_start", 1), ("turn_end", 1), ("turn_start", 2), ("turn_end", 2)]


# -- the end --------------------------------------------------------------------------------------


async def test_nobody_waits_for_hooks_of_the_end(each_floor: Floor) -> None:
    held = Held()
    hooks = Hooks(session_end=held)
    async with open_world(each_floor, team=make_team(hooks.agent()), hooks=hooks) as world:
        session = await world.session()
        for times in (1, 2):
            await world.play(session, "hi")
            await heard(hooks, "session_end", times)
        await world.service.sessions.delete(ME, session)
        await world.until(session, lambda head: head.exited)
        held.go.set()


async def test_a_server_that_stops_gives_them_a_little_time(floor: Floor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "GRACE", 0.2)
    held = Held()
    hooks = Hooks(session_end=held)
    async with open_world(floor, team=make_team(hooks.agent()), hooks=hooks) as world:
        await world.play(await world.session(), "hi")
        await heard(hooks, "session_end")
        with anyio.fail_after(5):
            await world.stop()
        assert held.waits.is_set()


@pytest.mark.parametrize("outcome", ["normal", "error", "canceled"])
async def test_the_end_says_how_it_came(floor: Floor, outcome: str) -> None:
    hooks, gate = Hooks(), anyio.Event()
    script = {"normal": ["hi"], "error": [ModelFailed("no", kind="client")], "canceled": ["hi", gate]}[outcome]
    async with open_world(
        floor, script=lambda _: script, team=make_team(hooks.agent("session_end")), hooks=hooks
    ) as world:
        session = await world.session()
        await world.ask(session, "go")
        if outcome == "canceled":
            await world.until_fact(session, e.TextAdded)
            await world.service.turns.cancel(ME, session)
        await world.ended(session)
        await heard(hooks, "session_end")
        assert [given["reason"] for given in hooks.of("session_end")] == [outcome]


# -- cancelling, whatever it waits for --------------------------------------------------------------


async def _question(arguments: dict[str, Any], use: Use) -> str:
    return (await use.ask(Ask("Which?", durable=True))).action


async def _forever(arguments: dict[str, Any], use: Use) -> str:
    await anyio.sleep_forever()
    return ""


TOOLS = {
    "edit": FakeTool("edit", read_only=False),
    "asks": FakeTool("asks", _question),
    "hangs": FakeTool("hangs", _forever),
}


async def at(world: World, session: str, where: str, held: Held, *, inside: bool) -> None:
    """Return when the turn waits there, or the sub-agent's `inside` of it."""

    def own(kind: type) -> Any:
        return lambda fact: isinstance(fact, kind) and bool(fact.sub) == inside

    match where:
        case "edit" | "asks" | "limit":
            await world.waiting(session)
        case "hangs":
            await world.until_fact(session, own(e.ToolCalled))
        case "model":
            await world.until_fact(session, own(e.ModelAsked))
        case "backoff":
            await world.until_fact(session, e.AnswerDropped)
        case _:
            with anyio.fail_after(5):
                await held.waits.wait()


WHERE = [
        "edit", "asks", "hangs", "limit", "model", "backoff", "session_start", "user_prompt_submit", "turn_start",
        "before_llm_call", "after_llm_call", "tool_guard", "pre_tool_use", "permission_request", "on_user_input",
        "tool_response_transform", "post_tool_use", "stop", "notification", "turn_end",
]  # fmt: skip
POSTED = {"user_prompt_submit"}  # nobody posts anything to a sub-agent


@pytest.mark.parametrize(
    ("where", "inside"),
    [(where, inside) for where in WHERE for inside in (False, True) if not inside or where not in POSTED],
)
async def test_a_cancel_is_heard_wherever_the_turn_waits(floor: Floor, where: str, inside: bool) -> None:
    held, gate = Held(), anyio.Event()
    hooks = Hooks(**({where: held} if "_" in where or where in ("stop", "notification") else {}))
    tool = {"tool_response_transform": "look", "post_tool_use": "look", "turn_end": "look"}.get(where, "edit")
    agent = hooks.agent(name="helper" if inside else "root", max_iterations=1 if where == "limit" else 0)
    first = where if where in TOOLS else "look" if where == "limit" else tool
    script: Any = {
        "model": lambda _: [gate],
        "backoff": lambda _: ["half", ModelFailed("again", kind="retryable")],
        "stop": lambda _: ["done"],
    }.get(where, answers([call(first)], ["done"]))
    team = make_team(agent, warnings=("old",) if where == "notification" else ())
    if inside:
        boss = Agent("root", model="fake", instruction="boss", toolsets=(ToolsetSpec("fake"),))
        team, inner = Team("crew", "h", (boss, agent), warnings=team.warnings), script

        def script(request: ModelRequest) -> Any:
            return [call("give")] if request.messages[0].content == "boss" else inner(request)

    tools = [*TOOLS.values(), FakeTool("look"), FakeTool("give", _give)]
    async with open_world(floor, script=script, tools=tools, team=team, hooks=hooks) as world:
        session = await world.session()
        await world.ask(session, "go")
        await at(world, session, where, held, inside=inside)
        subs = (await world.service.sessions.head(ME, session)).subs
        assert len(subs) == inside
        await world.service.turns.cancel(ME, session)
        head = await world.ended(session)
        assert (head.outcome, head.waits, head.subs) == ("canceled", (), ())


# -- limits, steering and follow-ups of sub-agents --------------------------------------------------


def crew(**helper: Any) -> Team:
    tools = (ToolsetSpec("fake"),)
    root = Agent("root", model="fake", instruction="root", toolsets=tools, max_iterations=3)
    return Team("crew", "h", (root, Agent("helper", model="fake", instruction="helper", toolsets=tools, **helper)))


async def _give(arguments: dict[str, Any], use: Use) -> Result:
    return await use.delegate(Task("helper", "<task>go</task>"))


def by(request: ModelRequest, *, root: Any, helper: Any) -> Any:
    """Scripts by agent, by how many results it has."""
    mine = root if request.messages[0].content == "root" else helper
    results = sum(1 for message in request.messages if message.role == "tool")
    return mine[min(results, len(mine) - 1)]


@pytest.mark.parametrize("word", ["approve", "reject"])
async def test_a_sub_agent_has_its_own_limit(floor: Floor, word: str) -> None:
    looks = [[call("look", f'{{"n": {n}}}', id=f"c{n}")] for n in range(4)]

    def script(request: ModelRequest) -> Any:
        return by(request, root=[[call("give")], ["over"]], helper=[*looks, ["helped"]])

    tools = [FakeTool("look"), FakeTool("give", _give)]
    async with open_world(floor, script=script, tools=tools, team=crew(max_iterations=2)) as world:
        session = await world.session(max_iterations=20)  # of the session, not of those below it
        await world.ask(session, "go")
        (wait,) = (await world.waiting(session)).waits
        assert (wait.kind, bool(wait.sub)) == ("limit", True)
        await world.service.waits.resume(ME, session, confirmation=word)
        head = await world.ended(session)
        assert head.outcome == "normal"
        (result,) = [f.result for f in await world.facts(session, e.ToolReturned) if not f.sub]
        stopped = "Execution stopped after reaching the configured max_iterations limit (2)."
        assert result.output == ("helped" if word == "approve" else stopped)


async def test_steering_waits_for_its_own_agent_and_follow_ups_for_the_end(floor: Floor) -> None:
    gate = anyio.Event()

    def script(request: ModelRequest) -> Any:
        helper = [[gate, "helped"]]
        if request.messages[0].content == "root" and request.messages[-1].content == "later":
            return ["at last"]
        return by(request, root=[[call("give")], ["over"]], helper=helper)

    async with open_world(floor, script=script, tools=[FakeTool("give", _give)], team=crew()) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.until_fact(session, lambda fact: isinstance(fact, e.ModelAsked) and bool(fact.sub))
        await world.service.queues.steer(ME, session, [Message("user", "mind the gap")])
        await world.service.queues.followup(ME, session, [Message("user", "later")])
        gate.set()
        await world.ended(session)
        taken = await world.facts(session, e.MessageTaken)
        assert [(fact.queue, fact.sub) for fact in taken] == [("steer", ""), ("followup", "")]
        helper = [r for r in world.provider.requests if r.messages[0].content == "helper"]
        assert all("gap" not in str(request.messages) for request in helper)
        own = [said(r) for r in world.provider.requests if r.messages[0].content == "root"]
        assert own[1][-2:] == [("tool", "helped"), ("user", "mind the gap")]
        assert own[2][-1] == ("user", "later")


async def test_hooks_are_told_whose_moment_it_is(floor: Floor) -> None:
    hooks = Hooks()
    rules = hooks.rules("session_start", "session_end", "subagent_stop", "on_agent_switch")

    def script(request: ModelRequest) -> Any:
        return by(request, root=[[call("give")], ["over"]], helper=[["helped"]])

    open_ = open_world(
        floor, script=script, tools=[FakeTool("give", _give)], team=crew(), hooks=hooks, more={"rules": rules}
    )
    async with open_ as world:
        session = await world.session()
        await world.play(session, "go")
        await heard(hooks, "session_end", 2)
        told = [(given["hook_event_name"], given["agent_name"]) for given in hooks.given]
        assert told == [
            ("session_start", "root"),
            ("on_agent_switch", "root"),
            ("session_start", "helper"),
            ("session_end", "helper"),
            ("subagent_stop", "root"),
            ("on_agent_switch", "root"),
            ("session_end", "root"),
        ]
