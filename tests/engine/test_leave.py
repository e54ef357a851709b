"""The ten steps of an approval, in a turn that runs: who decides, and who hears of it (agent specification, 3.5.3)."""

import json
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from engine.fakes import ME, FakeTool, Floor, World, answers, make_team, open_world
from engine.hooked import ALLOW, ASK, DENY, Answer, Hooks, rewriting
from roost.core import events as e
from roost.core.agents import Agent, Team, ToolsetSpec
from roost.core.events import Permissions
from roost.core.ids import AnswerId, CallId, TurnId
from roost.core.messages import Annotations, Definition, Message, Result, ToolCall
from roost.ports import Task, Use
from roost.testing.fakes import call

pytestmark = pytest.mark.anyio

TOLD = "on_tool_approval_decision"
SHELL = {"type": "object", "properties": {"cmd": {"type": "string"}}}


@dataclass
class Shell(FakeTool):
    """A tool that rules and labels take for the shell."""

    @property
    def definition(self) -> Definition:
        return Definition("shell", "shell", "runs a command", SHELL, Annotations(), effect="once")


def allow(*patterns: str) -> Permissions:
    return Permissions(allow=patterns)


def ask(*patterns: str) -> Permissions:
    return Permissions(ask=patterns)


def deny(*patterns: str) -> Permissions:
    return Permissions(deny=patterns)


@dataclass
class Case:
    """A call, all that has a say in it, and what comes of it: who decided, and whether it ran.

    `word` is what a person says; without one, nobody may be asked.
    """

    source: str
    runs: bool
    cmd: str = "touch x"
    hooks: dict[str, Answer] = field(default_factory=dict)
    session: Permissions | None = None
    team: Permissions = Permissions()
    user: Permissions = Permissions()
    safety: str = ""
    own: str = ""  # the agent file's mode
    word: str = ""
    ran: str = ""  # the command that ran, where it is another one
    attended: bool = True


CASES = {
    # 1: rewriting, before anything else
    "transform denies": Case(
        "pre_tool_use_hook_deny", False, hooks={"tool_input_transform": DENY}, safety="autonomous"
    ),
    "transform into what is denied": Case(
        "team_permissions_deny", False, hooks={"tool_input_transform": rewriting({"cmd": "rm x"})},
        team=deny("shell:cmd=rm*"), safety="autonomous",
    ),
    "transform into what is allowed": Case(
        "session_permissions_allow", True, hooks={"tool_input_transform": rewriting({"cmd": "ls"})},
        session=allow("shell:cmd=ls"), ran="ls",
    ),
    # 2: guards, final
    "guard denies": Case("tool_guard_hook_deny", False, hooks={"tool_guard": DENY}, session=allow("shell")),
    "guard asks": Case("user_approved", True, hooks={"tool_guard": ASK}, session=allow("shell"), word="approve"),
    "guard asks under yolo": Case(
        "user_rejected", False, hooks={"tool_guard": ASK}, safety="autonomous", word="reject"
    ),
    "guard asks for what is denied": Case(
        "user_permissions_deny", False, hooks={"tool_guard": ASK}, user=deny("shell")
    ),
    "guard allows nothing": Case("user_approved", True, hooks={"tool_guard": ALLOW}, word="approve"),
    # 3: before the rules
    "early denies": Case("pre_tool_use_hook_deny", False, hooks={"early": DENY}, session=allow("shell")),
    "early asks": Case("user_approved", True, hooks={"early": ASK}, safety="autonomous", word="approve"),
    "early asks, a grant outweighs": Case(
        "session_permissions_allow", True, hooks={"early": ASK}, session=allow("shell")
    ),
    "early asks, a grant is of other arguments": Case(
        "user_rejected", False, hooks={"early": rewriting({"cmd": "rm x"}, permission_decision="ask")},
        session=allow("shell:cmd=touch*"), safety="autonomous", word="reject",
    ),
    "early allows nothing": Case("user_rejected", False, hooks={"early": ALLOW}, word="reject"),
    "early fails": Case("pre_tool_use_hook_deny", False, hooks={"early": {"decision": 7}}, safety="autonomous"),
    # 4: rules
    "session denies": Case("session_permissions_deny", False, session=deny("shell"), team=allow("shell")),
    "team denies": Case("team_permissions_deny", False, session=allow("shell"), team=deny("shell")),
    "user denies": Case("user_permissions_deny", False, session=allow("shell"), user=deny("shell")),
    "team denies under yolo": Case("team_permissions_deny", False, team=deny("shell"), safety="autonomous"),
    "session allows": Case(
        "session_permissions_allow", True, session=allow("shell"), team=ask("shell"), safety="strict"
    ),
    "team allows": Case("team_permissions_allow", True, team=allow("shell"), user=ask("shell")),
    "user allows": Case("user_permissions_allow", True, user=allow("shell")),
    "session asks": Case("user_approved", True, session=ask("shell"), safety="autonomous", word="approve"),
    "team asks": Case("user_approved", True, team=ask("shell"), word="approve"),
    "team's ask yields to a mode that was chosen": Case("yolo", True, team=ask("shell"), safety="autonomous"),
    "team's ask does not yield to the file's own": Case(
        "user_approved", True, team=ask("shell"), own="autonomous", word="approve"
    ),
    "user asks": Case("user_rejected", False, user=ask("shell"), safety="autonomous", word="reject"),
    # 5: modes
    "autonomous": Case("yolo", True, cmd="rm -rf /", safety="autonomous"),
    "the file's mode": Case("yolo", True, own="autonomous"),
    "balanced, safe": Case("mode_balanced", True, cmd="ls", safety="balanced"),
    "balanced, else": Case("user_approved", True, cmd="rm x", safety="balanced", word="approve"),
    "restricted, safe": Case("mode_restricted", True, cmd="ls", safety="restricted"),
    "restricted, else": Case("mode_restricted", False, cmd="rm x", safety="restricted"),
    "strict": Case("user_rejected", False, cmd="ls", safety="strict", word="reject"),
    # 6: where the mode would ask
    "late allows": Case("pre_tool_use_hook_allow", True, hooks={"pre_tool_use": ALLOW}),
    "late denies": Case("pre_tool_use_hook_deny", False, hooks={"pre_tool_use": DENY}, safety="strict"),
    "late asks": Case("user_approved", True, hooks={"pre_tool_use": ASK}, word="approve"),
    "late is not heard under yolo": Case("yolo", True, hooks={"pre_tool_use": DENY}, safety="autonomous"),
    "late allows what it made of it": Case(
        "pre_tool_use_hook_allow", True, hooks={"pre_tool_use": rewriting({"cmd": "ls"}, permission_decision="allow")},
        ran="ls",
    ),
    "late makes it what is denied": Case(
        "session_permissions_deny", False, session=deny("shell:cmd=rm*"),
        hooks={"pre_tool_use": rewriting({"cmd": "rm x"}, permission_decision="allow")},
    ),
    "late makes it what asks": Case(
        "user_approved", True, session=ask("shell:cmd=rm*"), word="approve", ran="rm x",
        hooks={"pre_tool_use": rewriting({"cmd": "rm x"}, permission_decision="allow")},
    ),
    # 8 to 10: in a person's place, without one, by one
    "request allows": Case("permission_request_hook_allow", True, hooks={"permission_request": ALLOW}),
    "request denies": Case("permission_request_hook_deny", False, hooks={"permission_request": DENY}),
    "request has nothing to say": Case("user_approved", True, hooks={"permission_request": {}}, word="approve"),
    "nobody is there": Case("non_interactive_deny", False, attended=False),
    "nobody is there, but a hook": Case(
        "permission_request_hook_allow", True, hooks={"permission_request": ALLOW}, attended=False
    ),
    "approve-tool": Case("user_approved_tool", True, word="approve-tool"),
    "approve-balanced": Case("user_approved_balanced", True, word="approve-balanced"),
    "approve-safer": Case("user_approved_balanced", True, word="approve-safer"),
    "approve-session": Case("user_approved_autonomous", True, word="approve-session"),
    "approve-autonomous": Case("user_approved_autonomous", True, word="approve-autonomous"),
    "reject": Case("user_rejected", False, word="reject"),
}  # fmt: skip


async def begin(world: World, case: Case) -> str:
    """A session in which the call is made; a turn without anybody begins as what a crash has left."""
    if case.attended:
        session = await world.session(permissions=case.session, safety=case.safety)
        await world.ask(session, "go")
        return session
    log = await world.floor.lay(
        [
            e.SessionCreated(e.Template(working_dir="/work")),
            e.TurnOpened(TurnId("t"), "crew", "root", "/work", unattended=True),
            e.MessageWritten(Message("user", "go")),
        ]
    )
    await world.recovery.settle()
    await world.recovery.resume()
    return str(log)


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
async def test_who_decides(floor: Floor, case: Case) -> None:
    hooks, seen = Hooks(**case.hooks), []

    async def work(arguments: dict[str, Any], use: Use) -> str:
        seen.append(arguments["cmd"])
        return "ran"

    team = make_team(hooks.agent(TOLD, safety=case.own), permissions=case.team)
    script = answers([call("shell", json.dumps({"cmd": case.cmd}))], ["done"])
    open_ = open_world(
        floor, script=script, tools=[Shell("shell", work)], team=team, hooks=hooks, more={"permissions": case.user}
    )
    async with open_ as world:
        session = await begin(world, case)
        if case.word:
            await world.waiting(session)
            await world.service.waits.resume(ME, session, confirmation=case.word)
        head = await world.ended(session)
        assert head.outcome == "normal"
        waits = await world.facts(session, e.WaitOpened)
        assert len(waits) == bool(case.word)
        assert seen == ([case.ran or case.cmd] if case.runs else [])
        (told,) = hooks.of(TOLD)
        assert (told["approval_source"], told["approval_decision"]) == (case.source, "allow" if case.runs else "deny")
        assert told["safety_label"] in ("safe", "destructive", "unknown")
        called = [fact.leave for fact in await world.facts(session, e.ToolCalled)]
        returned = [fact.leave for fact in await world.facts(session, e.ToolReturned)]
        assert (called, returned) == (([case.source], [""]) if case.runs else ([], [case.source]))
        blocked = await world.facts(session, e.HookBlocked)
        assert len(blocked) == ("_hook_deny" in case.source)


async def test_the_steps_come_in_their_order(floor: Floor) -> None:
    names = ("tool_input_transform", "tool_guard", "early", "pre_tool_use", "permission_request", "on_user_input", TOLD)
    hooks = Hooks()
    script = answers([call("edit")], ["done"])
    tool = FakeTool("edit", read_only=False)
    async with open_world(
        floor, script=script, tools=[tool], team=make_team(hooks.agent(*names)), hooks=hooks
    ) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        await world.service.waits.resume(ME, session, confirmation="approve")
        await world.ended(session)
        assert hooks.events == [name.replace("early", "pre_tool_use") for name in names]


async def test_a_call_that_is_cancelled_before_it_was_decided_about(floor: Floor) -> None:
    hooks, tool = Hooks(), FakeTool("edit", read_only=False)
    script = answers([call("edit", id="a"), call("edit", index=1, id="b")])
    team = make_team(hooks.agent(TOLD, "session_end"))
    async with open_world(floor, script=script, tools=[tool], team=team, hooks=hooks) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        await world.service.turns.cancel(ME, session)
        await world.ended(session)
        with anyio.fail_after(5):
            while "session_end" not in hooks.events:
                await anyio.sleep(0)
        told = {given["tool_use_id"]: given["approval_source"] for given in hooks.of(TOLD)}
        assert told == {"a": "context_canceled", "b": "context_canceled"}
        assert [fact.leave for fact in await world.facts(session, e.ToolReturned)] == ["context_canceled"] * 2
        assert isinstance((await world.facts(session))[-1], e.TurnEnded)  # the log had its last word before


async def test_a_rule_that_denies_while_a_person_is_asked_wins(floor: Floor) -> None:
    tool = FakeTool("edit", read_only=False)
    async with open_world(floor, script=answers([call("edit")], ["done"]), tools=[tool]) as world:
        session = await world.session()
        await world.ask(session, "go")
        await world.waiting(session)
        await world.service.sessions.set_permissions(ME, session, deny("edit"))
        await world.service.waits.resume(ME, session, confirmation="approve")
        await world.ended(session)
        assert tool.runs == []
        (returned,) = await world.facts(session, e.ToolReturned)
        assert returned.leave == "session_permissions_deny"


@pytest.mark.parametrize(
    ("hooks", "word", "asked"),
    [
        ({"early": ASK}, "approve-tool", 1),  # a grant of the session outweighs it
        ({"early": ASK}, "approve-session", 2),  # a mode does not
        ({"pre_tool_use": ASK}, "approve-tool", 1),
        ({"pre_tool_use": ASK}, "approve-session", 1),  # where the mode allows, it has no say
        ({"tool_guard": ASK}, "approve-tool", 2),
        ({"tool_guard": ASK}, "approve-session", 2),
    ],
)
async def test_grants_while_others_wait(floor: Floor, hooks: dict[str, Any], word: str, asked: int) -> None:
    here, tool = Hooks(**hooks), FakeTool("edit", read_only=False)
    script = answers([call("edit", id="a"), call("edit", index=1, id="b")], ["done"])
    async with open_world(floor, script=script, tools=[tool], team=make_team(here.agent()), hooks=here) as world:
        session = await world.session()
        await world.ask(session, "go")
        for _ in range(asked):
            (wait,) = (await world.waiting(session)).waits
            await world.service.waits.answer(ME, wait.id, confirmation=word)
            await world.until(session, lambda head, wait=wait: wait not in head.waits)
        await world.ended(session)
        assert sorted(tool.runs) == [("a", 1), ("b", 1)]
        assert len(await world.facts(session, e.WaitOpened)) == asked


@pytest.mark.parametrize(
    ("left", "tool", "source"),
    [
        ([], FakeTool("look"), "readonly_hint"),
        (
            [e.ToolCalled(ToolCall(CallId("c"), "look", "{}"), "safe", "root", 1)],
            FakeTool("look", effect="safe"),
            "lost_safe",
        ),
    ],
)
async def test_what_runs_by_what_its_tool_says_of_itself(
    floor: Floor, left: list[e.Fact], tool: FakeTool, source: str
) -> None:
    hooks = Hooks()
    answer = Message("assistant", "", calls=(ToolCall(CallId("c"), "look", "{}"),))
    facts = [
        e.SessionCreated(e.Template(working_dir="/work")),
        e.TurnOpened(TurnId("t"), "crew", "root", "/work"),
        e.MessageWritten(Message("user", "go")),
        e.TurnStarted("root"),
        e.ModelAsked(AnswerId("a"), "root", "fake/one"),
        e.MessageAdded(answer, answer=AnswerId("a"), agent="root"),
        *left,
    ]
    log = await floor.lay(facts)
    team = make_team(hooks.agent(TOLD))
    async with open_world(floor, script=answers(["done"]), tools=[tool], team=team, hooks=hooks) as world:
        await world.recovery.settle()
        await world.recovery.resume()
        await world.ended(log)
        assert [given["approval_source"] for given in hooks.of(TOLD)] == [source]
        assert len(tool.runs) == 1


# -- modes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "server", "own", "runtime", "mode"),
    [
        ("strict", "balanced", "autonomous", "restricted", "strict"),
        ("", "balanced", "autonomous", "restricted", "balanced"),
        ("", "", "autonomous", "restricted", "autonomous"),
        ("", "", "", "restricted", "restricted"),
        ("", "", "", "", ""),
    ],
)
async def test_the_mode_of_a_new_session(
    floor: Floor, asked: str, server: str, own: str, runtime: str, mode: str
) -> None:
    agent = Agent("root", model="fake", toolsets=(ToolsetSpec("fake"),), safety=own)
    async with open_world(floor, team=make_team(agent, safety=runtime), more={"safety": server}) as world:
        session = await world.session(safety=asked)
        await world.play(session, "hi")
        assert (await world.service.sessions.head(ME, session)).safety == mode
        await world.service.sessions.set_safety(ME, session, "")
        await world.play(session, "hi")  # a session that goes on keeps what it has
        assert (await world.service.sessions.head(ME, session)).safety == ""


async def test_the_mode_of_the_file_is_not_that_of_a_fork(floor: Floor) -> None:
    agent = Agent("root", model="fake", toolsets=(ToolsetSpec("fake"),), safety="autonomous")
    async with open_world(floor, team=make_team(agent)) as world:
        session = await world.session()
        await world.play(session, "hi")
        head = await world.service.sessions.head(ME, session)
        assert (head.safety, head.safety_proposed, head.tools_approved) == ("autonomous", True, True)
        toggled = await world.service.sessions.toggle_tools(ME, session)
        assert (toggled.safety, toggled.safety_proposed) == ("", False)


async def _give(arguments: dict[str, Any], use: Use) -> Result:
    return await use.delegate(Task("helper", "<task>go</task>"))


@pytest.mark.parametrize("change", ["mode", "toggle", "grant", "deny"])
async def test_a_sub_agent_heeds_what_changes_at_its_root(floor: Floor, change: str) -> None:
    """What is set while the sub-agent runs holds for its next call; its own mode in the file does not."""
    tool, gate = FakeTool("edit", read_only=False), anyio.Event()
    agents = tuple(
        Agent(name, model="fake", instruction=name, toolsets=(ToolsetSpec("fake"),), safety=safety)
        for name, safety in (("root", ""), ("helper", "autonomous"))
    )

    def script(request: Any) -> list[Any]:
        if request.messages[0].content == "root":
            return ["over"] if request.messages[-1].role == "tool" else [call("give")]
        results = sum(1 for message in request.messages if message.role == "tool")
        return [[call("edit", id="first")], [gate, call("edit", id="second")], ["done"]][results]

    tools = [tool, FakeTool("give", _give)]
    async with open_world(floor, script=script, tools=tools, team=Team("crew", "h", agents)) as world:
        session = await world.session()
        await world.ask(session, "go")
        (wait,) = (await world.waiting(session)).waits
        assert wait.sub
        await world.service.waits.answer(ME, wait.id, confirmation="approve")
        await world.until_fact(session, lambda fact: isinstance(fact, e.ToolReturned) and bool(fact.sub))
        sessions = world.service.sessions
        match change:
            case "mode":
                await sessions.set_safety(ME, session, "autonomous")
            case "toggle":
                await sessions.toggle_tools(ME, session)
            case "grant":
                await sessions.set_permissions(ME, session, allow("edit"))
            case "deny":
                await sessions.set_permissions(ME, session, deny("edit"))
        gate.set()
        await world.ended(session)
        ran = [name for name, _ in tool.runs]
        assert ran == (["first"] if change == "deny" else ["first", "second"])
        assert len(await world.facts(session, e.WaitOpened)) == 1


# -- scripts --------------------------------------------------------------------------------------


class Player:
    """In place of JavaScript: calls `edit` with what it was told to."""

    def __init__(self, *cmds: str) -> None:
        self.cmds = cmds
        self.results: list[Result] = []

    async def run(self, script: str, tools: Any) -> Result:
        (function,) = [tool for tool in tools if tool.definition.name == "shell"]
        self.results = [await function.call({"cmd": cmd}) for cmd in self.cmds]
        return Result("played")


@pytest.mark.parametrize(
    ("hooks", "team", "says"),
    [
        ({}, Permissions(), "ran"),
        ({}, deny("shell:cmd=rm*"), "Tool 'shell' is denied by permissions configuration."),
        ({"tool_guard": DENY}, Permissions(), "Tool call blocked by hook: not here"),
        ({"pre_tool_use": DENY}, Permissions(), "Tool call blocked by hook: not here"),
        ({"early": DENY}, Permissions(), "Tool call blocked by hook: not here"),
        ({"tool_guard": ASK}, Permissions(), "Tool call blocked by hook: a hook wants a person to be asked"),
        ({"tool_input_transform": rewriting({"cmd": "ls"})}, Permissions(), "ran"),
        ({"tool_input_transform": rewriting({"cmd": "rm x"})}, deny("shell:cmd=rm*"), "Tool 'shell' is denied by"),
    ],
)
async def test_denials_inside_of_a_script(floor: Floor, hooks: Any, team: Permissions, says: str) -> None:
    def only_inside(answer: Any) -> Answer:
        async def said(given: Any) -> Any:
            return answer if given["tool_name"] == "shell" else {}

        return said

    here, player = Hooks(**{name: only_inside(answer) for name, answer in hooks.items()}), Player("rm x")

    async def work(arguments: dict[str, Any], use: Use) -> str:
        return "ran"

    file = make_team(here.agent(code_mode=True), permissions=team)
    script = answers([call("run_tools_with_javascript", '{"script": "shell({cmd: \'rm x\'})"}')], ["done"])
    open_ = open_world(
        floor, script=script, tools=[Shell("shell", work)], team=file, hooks=here, more={"scripts": player}
    )
    async with open_ as world:
        session = await world.session()
        await world.ask(session, "go")
        (wait,) = await world.facts(session, e.WaitOpened) if (await world.waiting(session)) else ()
        assert "shell" in str(wait.metadata)  # what a person is shown has the tools of the script
        await world.service.waits.resume(ME, session, confirmation="approve")
        await world.ended(session)
        (result,) = player.results
        assert result.output.startswith(says)
