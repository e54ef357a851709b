"""May a call run?  Hooks, rules, the session's mode and people decide, in the order of the specification (3.5.3)."""

from collections.abc import Awaitable, Callable
from functools import partial

import anyio
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from roost.core import approvals, hooks
from roost.core import events as e
from roost.core.events import Permissions
from roost.core.hooks import Verdict
from roost.core.ids import WaitId, fresh
from roost.core.labels import Label
from roost.core.messages import Definition, Result, ToolCall
from roost.core.session import OpenCall
from roost.engine.arguments import read
from roost.engine.codemode import CodeMode, Work
from roost.engine.firing import STOPPED, add
from roost.engine.outcome import covered, transformed
from roost.engine.stage import Stage
from roost.ports import Tool

RUN_AGAIN = "The server stopped while this tool was running, and it may have done its work. Approve to run it again."
WORDS = {
    "approve-tool": "user_approved_tool",
    "approve-balanced": "user_approved_balanced",
    "approve-safe": "user_approved_balanced",
    "approve-safer": "user_approved_balanced",
    "approve-session": "user_approved_autonomous",
    "approve-autonomous": "user_approved_autonomous",
}

NOBODY = "a hook wants a person to be asked, which is not possible inside of a script"

Answering = Callable[[WaitId], Awaitable[e.Answer]]


class Granted(Struct, frozen=True):
    """It runs: the call, perhaps with other arguments than the model's, and by whose leave."""

    call: ToolCall
    source: str


class Refused(Struct, frozen=True):
    """It does not: what the model reads, and by whose word."""

    result: Result
    source: str


Leave = Granted | Refused


class Desk:
    """Decides about the calls of one answer; people are asked one at a time."""

    def __init__(self, stage: Stage, answering: Answering) -> None:
        self._stage = stage
        self._answering = answering
        self._prompt = anyio.Lock()

    async def decide(self, call: ToolCall, tool: Tool, opened: OpenCall) -> Leave:
        """Weigh a call, and ask whoever has to be asked."""
        case = _Case(self._stage, self._prompt, self._answering, call, tool, opened)
        undecided = self._stage.root.undecided
        key = (self._stage.sub, call.id)  # two of a team may give their calls the same names
        undecided[key] = partial(_told, self._stage.root, case)
        leave = await case.decide()
        del undecided[key]
        await _told(self._stage, case, leave)
        return leave

    async def check(self, call: ToolCall, definition: Definition, work: Work) -> Result:
        """Do a call that a script makes, or say why it may not run.

        Its script was approved, so that nobody is asked: denials count, and where a hook wants a person to be
        asked, it is blocked.
        """
        stage = self._stage
        for event, preempt in _GUARDS:
            verdict = await stage.fire(event, call=call, definition=definition, preempt=preempt)
            if (blocked := _blocked(verdict)) is not None:
                return Result(hooks.BLOCKED.format(blocked), is_error=True)
            if verdict.updated_input is not None:
                call = replace(call, arguments=msgspec.json.encode(verdict.updated_input).decode())
        if (denial := approvals.denied(call, _said(stage, call, definition))) is not None:
            return Result(denial.message, is_error=True)
        if isinstance(arguments := read(call), str):
            return Result(f"Error calling tool: {arguments}", is_error=True)
        result = covered(stage, await work(arguments))
        return await self._looked_over(call, definition, await transformed(stage, call, definition, result))

    async def _looked_over(self, call: ToolCall, definition: Definition, result: Result) -> Result:
        """Hooks hear what a call in a script has done; where one ends the run, that is after the script."""
        told = {"tool_response": result.output, "tool_error": result.is_error}
        verdict = await self._stage.fire("post_tool_use", call=call, definition=definition, **told)
        await add(self._stage, "post_tool_use", verdict)
        if verdict.stop:
            self._stage.halted = verdict.stop_reason or STOPPED
        return result


_GUARDS = (("tool_input_transform", False), ("tool_guard", False), ("pre_tool_use", True), ("pre_tool_use", False))


def _blocked(verdict: Verdict) -> str | None:
    """Why a call in a script may not run."""
    if verdict.blocked is not None or verdict.decision != "ask":
        return verdict.blocked
    return f"{NOBODY} ({verdict.reason})" if verdict.reason else NOBODY


async def _told(stage: Stage, case: "_Case", leave: Leave) -> None:
    """Hooks hear what was decided."""
    await stage.fire(
        "on_tool_approval_decision",
        call=case.call,
        definition=case.definition,
        approval_decision="allow" if isinstance(leave, Granted) else "deny",
        approval_source=leave.source,
        safety_label=case.label.label,
    )


async def give_up(stage: Stage) -> None:
    """The turn has ended before some calls were decided about: hooks hear of these, too."""
    while stage.undecided:
        _, told = stage.undecided.popitem()
        await told(Refused(Result(approvals.CANCELED, is_error=True), "context_canceled"))


def _said(stage: Stage, call: ToolCall, definition: Definition) -> approvals.Said:
    head, ready = stage.root.journal.head, stage.ready
    return approvals.said(
        call, definition, session=head.permissions, team=ready.team.permissions, user=stage.makers.permissions
    )


class _Case:
    """One call on its way through the steps."""

    def __init__(
        self, stage: Stage, prompt: anyio.Lock, answering: Answering, call: ToolCall, tool: Tool, opened: OpenCall
    ) -> None:
        self._stage = stage
        self._prompt = prompt
        self._answering = answering
        self._opened = opened
        self._tool = tool
        self._insisted = False  # hooks wanted a person to be asked, whatever the rules say
        self.definition = _seen(tool, call)
        self.call = replace(call, arguments=opened.changed) if opened.changed else call

    @property
    def label(self) -> Label:
        """How dangerous the call is."""
        return approvals.label(self.call, self.definition)

    async def fire(self, event: str, *, preempt: bool = False, **special: object) -> Verdict:
        """The hooks of an event about this call."""
        return await self._stage.fire(event, call=self.call, definition=self.definition, preempt=preempt, **special)

    async def decide(self) -> Leave:
        """The steps, one after the other."""
        if known := self._asked_before():
            return await self._heard(known)
        verdict = await self._weigh()
        if isinstance(verdict, approvals.Ask):
            verdict = (
                approvals.requested(await self.fire("permission_request", safety_label=self.label.label)) or verdict
            )
        if isinstance(verdict, approvals.Ask) and self._stage.turn.unattended:
            verdict = approvals.unattended(self.call)
        if isinstance(verdict, approvals.Ask):
            return await self._ask(verdict)
        return await self._settled(verdict)

    # -- the steps before a person --------------------------------------------------------------

    async def _weigh(self) -> approvals.Verdict:
        """Steps 1 to 7; an Ask where none of them has the last word."""
        if (blocked := await self._transformed("tool_input_transform")) is not None:
            return approvals.Deny(hooks.BLOCKED.format(blocked), "pre_tool_use_hook_deny")
        if (guarded := approvals.guarded(await self.fire("tool_guard"))) is not None:
            return self._unless_denied(guarded)
        first = await self.fire("pre_tool_use", preempt=True)
        await self._change(first)
        if (preempted := approvals.preempted(first, self._words())) is not None:
            self._insisted = True
            return self._unless_denied(preempted)
        if (decided := self._by_rules()) is not None:
            return self._lost_or(decided)
        judged = approvals.moded(self.call, self._safety, self.label)
        if judged is None or isinstance(judged, approvals.Ask):
            second = await self.fire("pre_tool_use")
            await self._change(second)
            judged = self._again(second) or approvals.hooked(second) or judged
        if judged is None and self._stage.makers.trust_hints:
            judged = approvals.hinted(self.definition)
        return self._unless_denied(self._lost_or(judged or approvals.Ask("mode_legacy", {})))

    def _again(self, verdict: Verdict) -> approvals.Verdict | None:
        """What rules say to the arguments that hooks gave a call they did not block: a permission is no news."""
        if verdict.updated_input is None or verdict.blocked is not None:
            return None
        ruled = self._by_rules()
        return None if isinstance(ruled, approvals.Allow) else ruled

    @property
    def _safety(self) -> str:
        return self._stage.root.journal.head.safety

    def _words(self) -> approvals.Said:
        return _said(self._stage, self.call, self.definition)

    def _by_rules(self) -> approvals.Verdict | None:
        words, head = self._words(), self._stage.root.journal.head
        chosen = bool(head.safety) and not head.safety_proposed
        decided = approvals.denied(self.call, words) or approvals.ruled(words, safety=self._safety, chosen=chosen)
        if isinstance(decided, approvals.Deny) or words.session == "allow" or not isinstance(self._tool, CodeMode):
            return decided
        inside = approvals.wished(self._tool.named(self.call.arguments), head.permissions, *self._lists)
        return approvals.ruled(inside, safety=self._safety, chosen=chosen) or decided

    @property
    def _lists(self) -> tuple[Permissions, Permissions]:
        """The rules of the agent's file, and those of the server's user."""
        return self._stage.ready.team.permissions, self._stage.makers.permissions

    def _unless_denied(self, verdict: approvals.Verdict) -> approvals.Verdict:
        """A denial of the rules outweighs all else, whatever the arguments have become."""
        return approvals.denied(self.call, self._words()) or verdict

    def _lost_or(self, verdict: approvals.Verdict) -> approvals.Verdict:
        """Of a call that a crash cut off: whether running it twice does harm decides, and nothing more."""
        if self._opened.state != "lost" or isinstance(verdict, approvals.Deny):
            return verdict
        if self._opened.effect == "ask":
            return approvals.Ask("lost", {"lost": "true", "reason": RUN_AGAIN})
        return approvals.Allow("lost_safe")

    async def _transformed(self, event: str) -> str | None:
        verdict = await self.fire(event)
        await self._change(verdict)
        return verdict.blocked

    async def _change(self, verdict: Verdict) -> None:
        """Take the arguments that hooks gave the call."""
        if verdict.updated_input is None or verdict.blocked is not None:
            return
        arguments = msgspec.json.encode(verdict.updated_input).decode()
        self.call = replace(self.call, arguments=arguments)
        await self._stage.journal.write(e.CallChanged(self.call.id, arguments, self._stage.turn.agent))

    # -- people ---------------------------------------------------------------------------------

    def _asked_before(self) -> WaitId | None:
        """The wait that a person was shown already: before a restart."""
        stage = self._stage
        answered = [a.id for a in stage.answers if a.call == self.call.id and a.kind == "approval"]
        known = answered + [w.id for w in stage.waits if w.call == self.call.id and w.kind == "approval"]
        return known[0] if known else None

    async def _ask(self, ask: approvals.Ask) -> Leave:
        """Put it to a person, after those who were asked before; a grant may have come meanwhile."""
        async with self._prompt:
            if not isinstance(meanwhile := self._meanwhile(ask), approvals.Ask):
                return await self._settled(meanwhile)
            wait = WaitId(fresh())
            shown = approvals.beside(ask, self.definition, self.label).metadata | _mentioned(self._tool, self.call)
            stage = self._stage
            digest = stage.ready.digests.get(self.call.name, "")
            opened = e.WaitOpened(
                wait, "approval", stage.turn.agent, call=stage.seen(self.call), definition=digest, metadata=shown
            )
            await stage.journal.write(opened)
            await self._stage.fire("on_user_input", reason="tool_approval")
            return await self._heard(wait)

    def _meanwhile(self, ask: approvals.Ask) -> approvals.Verdict:
        """What the rules say by now: they may have changed while others were asked about."""
        if denied := approvals.denied(self.call, self._words()):
            return denied
        if ask.source in ("tool_guard_hook_ask", "lost"):
            return ask
        if self._insisted and self._words().session != "allow":
            return ask
        return self._lost_or(self._by_rules() or approvals.moded(self.call, self._safety, self.label) or ask)

    async def _heard(self, wait: WaitId) -> Leave:
        """What a person says to it.  What is denied by now stays so."""
        answer = await self._answering(wait)
        if answer.action == "approve" and (denied := approvals.denied(self.call, self._words())):
            return await self._settled(denied)
        if answer.action == "approve":
            return Granted(self.call, WORDS.get(answer.word, "user_approved"))
        said = approvals.rejected(answer.reason)
        text = f"{LOST} {said}" if self._opened.state == "lost" else said
        return Refused(Result(text, is_error=True), "user_rejected")

    async def _settled(self, verdict: approvals.Allow | approvals.Deny) -> Leave:
        if isinstance(verdict, approvals.Allow):
            return Granted(self.call, verdict.source)
        if "_hook_" in verdict.source:
            stage = self._stage
            digest = stage.ready.digests.get(self.call.name, "")
            blocked = e.HookBlocked(stage.seen(self.call), verdict.message, stage.turn.agent, digest)
            await stage.journal.write(blocked)
        return Refused(Result(verdict.message, is_error=True), verdict.source)


LOST = (
    "The server stopped while this tool was running. It was not run again, and whether it did its work is not known: "
    "look before you try once more."
)


def _seen(tool: Tool, call: ToolCall) -> Definition:
    """What rules go by; a script that calls only what reads, reads."""
    definition = tool.definition
    if isinstance(tool, CodeMode) and tool.reads(call.arguments):
        return replace(definition, annotations=replace(definition.annotations, read_only=True))
    return definition


def _mentioned(tool: Tool, call: ToolCall) -> dict[str, str]:
    if not isinstance(tool, CodeMode):
        return {}
    return {"tools": ", ".join(tool.named(call.arguments))}
