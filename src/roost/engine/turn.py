"""One turn, from where its log stands to its end.

What comes next is read from the log: calls without a result are played, an answer without calls is
a natural stop, anything else is sent to the model.  A resumed turn therefore takes the same way as
a fresh one.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress

import anyio
from msgspec import structs, to_builtins

from roost.core import events as e
from roost.core import loops, transcript
from roost.core.errors import (
    BadModel,
    BadValue,
    HookStopped,
    LoopDetected,
    MessagesWait,
    ModelFailed,
    NotOwner,
    RoostError,
    StoreFull,
)
from roost.core.ids import WaitId, fresh
from roost.core.messages import Message
from roost.core.orders import Order
from roost.core.session import Head
from roost.core.utf8 import mended
from roost.engine import commission, compaction, mailbox, prompt, slash, structured
from roost.engine.answer import Make
from roost.engine.calls import Calls
from roost.engine.chain import chain
from roost.engine.draft import unasked
from roost.engine.driven import run_inner
from roost.engine.ear import Park
from roost.engine.endings import ending, newest_answer
from roost.engine.firing import heed, listens, notify, warn, warned
from roost.engine.leave import Desk
from roost.engine.runtime import choose, providers, unknown_definitions
from roost.engine.stage import Stage
from roost.ports import ModelRequest, Provider

log = logging.getLogger(__name__)

MORE_ITERATIONS = 10
MOST_PUSHES = 5  # times that hooks may send a model on in one turn, after it has stopped
REFUSED = "[a message that a hook refused: "
KEPT = "cached"  # why an answer that was kept from before has ended
CODES = {"rate_limit": "rate_limited", "overflow": "context_exceeded"}


async def run_turn(stage: Stage) -> None:
    """Play the turn; however it ends, the log says so.

    Raises:
        Park: it goes to sleep until a person answers.
        NotOwner: another server has it.
        StoreFull: its end could not be written.
    """
    with anyio.CancelScope() as canceled:
        async with stage.ear.open(canceled):
            try:
                order = await commission.ordered(stage)
                async with commission.in_time(stage, order):
                    await _play(stage, order)
            except (Park, NotOwner, StoreFull):
                raise
            except Exception as error:
                await _fail(stage, error)
    if canceled.cancelled_caught:
        await _cancel(stage)


async def _play(stage: Stage, order: Order | None) -> None:
    await stage.catch_up()
    if not await _may_go_on(stage):
        return
    await commission.wait(stage, order)
    if not await stage.makers.surroundings.exists(stage.turn.working_dir):
        raise RoostError(f"the working directory {stage.turn.working_dir!r} no longer exists")
    await _enter(stage)
    await commission.tell(stage, order)
    await _rounds(stage)


async def play_inner(stage: Stage) -> None:
    """Play the turn of a sub-session to its end, or until it has to sleep.

    Raises:
        Park, NotOwner, StoreFull: as `run_turn`.
    """
    if stage.turn.driver:
        await run_inner(stage)
        return
    try:
        await _enter(stage)
        await _rounds(stage)
    except (Park, NotOwner, StoreFull):
        raise
    except Exception as error:
        await _fail(stage, error)


async def _enter(stage: Stage) -> None:
    """Make the agent ready, and show who it is where that has not been done."""
    stage.runtime = await stage.prepare(stage)
    stage.runtime.check = Desk(stage, stage.ear.answer).check
    stage.runtime.unsaid(_choose(stage))
    stage.built.set()
    if not stage.turn.started:
        await _begin(stage)
    else:
        stage.shown = (stage.runtime.agent.name, stage.runtime.provider.spec.ref)
        if stage.runtime.fresh:
            failures = stage.runtime.unsaid(stage.runtime.toolbox.failures)
            await warn(stage, *failures, *await stage.runtime.refresh())
        if not stage.turn.under_way:
            await _greeted(stage, ())  # it was cut off there, and nobody has got past the hooks yet


async def _rounds(stage: Stage) -> None:
    """Calls, people's messages and the model's answers, until nothing is left to do."""
    while True:
        await stage.catch_up()
        if stage.ready.agent.name != stage.turn.agent:
            await _change(stage)
        newest = stage.newest()
        if stage.turn.calls:
            if (answer := newest_answer(stage.history)) is None:
                raise RuntimeError("calls are open, but no answer asked for them")
            _circles(stage)
            calls = Calls(stage, answer.calls)
            await calls.play()
            if calls.stop:
                raise HookStopped(calls.stop)
            await _round_over(stage)
            await _handed_in(stage)
        elif newest is not None and newest[1].role == "assistant":
            if not await _goes_on(stage):
                return
        elif newest is None and stage.turn.interactive:
            await _goes_on(stage)  # nobody has said anything yet
        elif _spent(stage):
            if not await _more(stage):
                return
        else:
            await mailbox.take(stage, "steer")
            if not await _ask(stage) and not await _goes_on(stage):
                return


async def _round_over(stage: Stage) -> None:
    await stage.fire("turn_end", iteration=stage.turn.iterations)


def _circles(stage: Stage) -> None:
    """Look whether the model goes round in circles.

    Raises:
        LoopDetected: it does.
    """
    streak = loops.Streak()
    for item in stage.history.items:
        if item.seq <= stage.turn.opened or item.message is None:
            continue
        if item.message.role == "user" and not item.message.implicit:
            streak = loops.Streak()  # a person has had a word
        elif item.message.calls:
            streak = loops.after(streak, item.message.calls)
    limit = stage.journal.head.max_consecutive_tool_calls or stage.ready.agent.max_consecutive_tool_calls
    if complaint := loops.complaint(streak, limit):
        raise LoopDetected(complaint)


async def _handed_in(stage: Stage) -> None:
    """The answer that was handed in through the form's tool is the turn's last message."""
    if structured.handed_in(stage.ready.agent) is None:
        return
    await stage.catch_up()
    if (text := structured.given(_messages(stage))) is not None:
        agent, at = stage.turn.agent, stage.makers.clock.now()
        message = Message("assistant", text, agent=agent, at=at, finish=structured.CATEGORY)
        await stage.journal.write(*unasked(message))


def _messages(stage: Stage) -> Sequence[Message]:
    return [item.message for item in stage.history.items if item.message is not None]


async def _change(stage: Stage) -> None:
    """Another agent has the conversation: make it ready, and show who it is."""
    before = stage.ready.agent.name
    stage.runtime = await stage.prepare(stage)
    stage.runtime.check = Desk(stage, stage.ear.answer).check
    await stage.fire("on_agent_switch", agent_switch_kind="handoff", from_agent=before, to_agent=stage.turn.agent)
    warnings = list(stage.ready.begin(stage.turn.id))
    await stage.journal.write(_shown(stage))
    await warn(stage, *warnings, *(await stage.ready.refresh() if stage.ready.fresh else ()))


async def _may_go_on(stage: Stage) -> bool:
    """Whether the turn goes on.  Where a person was asked that after a restart, the answer is acted on."""
    if stage.turn.canceled or stage.journal.head.deleted:
        await _cancel(stage)
        return False
    asked = [a.answer.action for a in stage.answers if a.about == "resume"]
    if not asked:
        return True
    if asked[-1] == "accept":
        await stage.journal.write(e.TurnResumed(stage.turn.id, stage.turn.resumes + 1))
        return True
    await _cancel(stage)
    return False


# -- the beginning ------------------------------------------------------------------------------


async def _begin(stage: Stage) -> None:
    """Show what clients want to know first; then the turn is under way."""
    await _moded(stage)
    runtime, head = stage.ready, stage.journal.head
    facts: list[e.Fact] = [e.TitleShown(head.title)] if head.title and stage.outer is None else []
    facts.append(_shown(stage))
    cast = providers(stage.makers.models, runtime.team, head) | {runtime.agent.name: runtime.provider}
    facts.append(shown := runtime.team_shown(cast))
    warnings = list(runtime.begin(stage.turn.id))
    facts += warned(warnings, runtime.agent.name)
    if runtime.fresh and runtime.servers:
        await stage.journal.write(*facts, e.McpStarting(runtime.agent.name))
        facts = [e.McpReady(runtime.agent.name)]
    if runtime.fresh:
        warnings += (new := await runtime.refresh())
        facts += warned(new, runtime.agent.name)
        facts += [now] if (now := runtime.team_shown(cast)) != shown else []  # servers have something to say
    facts.append(await _tools_shown(stage))
    if stage.outer is None and (posted := stage.newest()):
        facts.append(_said(*posted))
    facts.append(e.TurnStarted(runtime.agent.name))
    await stage.journal.write(*facts)
    await _greeted(stage, warnings)


async def _moded(stage: Stage) -> None:
    """A new session gets its safety mode, unless it was asked for one: the server's, else the agent file's."""
    if stage.outer is not None or stage.journal.head.turns > 1:
        return
    chosen, ready = stage.makers.safety, stage.ready
    mode = chosen or ready.agent.safety or ready.team.safety

    def facts(head: Head) -> list[e.Fact]:
        return [] if head.safety or not mode else [e.PolicySet(mode, proposed=not chosen)]

    if facts(stage.journal.head):
        await stage.journal.compose(facts)


async def _greeted(stage: Stage, warnings: Sequence[str]) -> None:
    """What hooks have to say to the beginning, and what a slash command stands for.

    Raises:
        HookStopped: a hook refuses the message.
    """
    again = stage.journal.head.turns > 1
    if again:
        await heed(stage, "on_session_resume")
    await heed(stage, "session_start", source="resume" if again else "startup")
    if stage.outer is None:
        await _submitted(stage)
        stage.entitle()
        await slash.settle(stage)
    await notify(stage, "warning", *warnings)


async def _submitted(stage: Stage) -> None:
    """Hooks look at what was posted.

    Raises:
        HookStopped: they refuse it.  No model reads it, in this turn or later.
    """
    await stage.catch_up()
    posted = [item for item in stage.history.items if item.seq > stage.turn.opened and item.message is not None]
    said = [(item.seq, item.message) for item in posted if item.message is not None and item.message.role == "user"]
    if not said:
        return
    if any(item.edited and item.message and item.message.content.startswith(REFUSED) for item in posted):
        raise HookStopped("a hook refused the message")  # and a crash came before the turn's end
    try:
        await heed(stage, "user_prompt_submit", prompt="\n\n".join(message.content for _, message in said))
    except HookStopped as refusal:
        note = f"{REFUSED}{refusal.message}]"
        edits = (structs.replace(message, content=note, parts=()) for _, message in said)
        await stage.journal.write(*(e.MessageEdited(seq, new) for (seq, _), new in zip(said, edits, strict=True)))
        raise


def _shown(stage: Stage) -> e.AgentShown:
    agent, provider = stage.ready.agent, stage.ready.provider
    stage.shown = (agent.name, provider.spec.ref)
    return e.AgentShown(agent.name, provider.spec.ref, agent.description, agent.welcome, provider.context_limit)


def _said(position: int, message: Message) -> e.UserSaid:
    return e.UserSaid(message.content, position, message.parts)


async def _tools_shown(stage: Stage) -> e.ToolsShown:
    new = await unknown_definitions(stage.makers.store, stage.log, stage.ready)
    return e.ToolsShown(stage.ready.agent.name, len(stage.ready.tools), definitions=new)


# -- the model ----------------------------------------------------------------------------------


async def _ask(stage: Stage) -> bool:
    """One answer of the model; whether it is in the history."""
    runtime = stage.ready
    iteration = stage.turn.iterations + 1
    opening = await stage.fire("turn_start", iteration=iteration)
    await warn(stage, *await runtime.refresh())
    await stage.catch_up()
    if iteration == 1 and await _recalled(stage):
        return True
    links, doubts = _links(stage)
    await warn(stage, *runtime.unsaid(doubts))
    before: list[e.Fact] = [await _tools_shown(stage)]
    if stage.shown != (runtime.agent.name, links[0].spec.ref):
        stage.shown = (runtime.agent.name, links[0].spec.ref)
        limit = links[0].context_limit
        before.append(e.AgentShown(runtime.agent.name, links[0].spec.ref, runtime.agent.description, "", limit))
    if stage.stopping:
        await anyio.sleep_forever()  # the server is on its way out; the turn goes on after the restart

    def make(provider: Provider) -> ModelRequest:
        return _request(stage, provider, opening.contexts)

    left = await compaction.ahead(stage, links[0], make, before)
    try:
        said, by = await _answer(stage, links, make, left)
    except ModelFailed as error:
        if error.kind != "overflow" or not await compaction.relieved(stage, links[0], make, error):
            raise
        said, by = await _answer(stage, links, make, ())
    _remember(stage, links, by)
    await _told_of(stage, said, by)
    if said is None or not said.calls:
        await _round_over(stage)
    return said is not None


async def _answer(
    stage: Stage, links: Sequence[Provider], make: Make, before: Sequence[e.Fact]
) -> tuple[Message | None, Provider]:
    """Ask the models, once hooks have looked the messages over."""
    ready = stage.ready
    rewritten = await _looked_over(stage, make(links[0]), stage.turn.iterations + 1, links[0])

    def made(provider: Provider) -> ModelRequest:
        return make(provider) if rewritten is None else structs.replace(make(provider), messages=rewritten)

    stage.asking.threshold = compaction.threshold(ready.agent, links[0])
    tries = max(ready.agent.fallback.retries, 0)
    with stage.ear.at_thought():
        return await stage.asking.ask(links, made, ready.agent.name, ready.digests, *before, tries=tries)


def _request(stage: Stage, provider: Provider, contexts: Sequence[str]) -> ModelRequest:
    ready, spec = stage.ready, provider.spec
    request = prompt.request(
        ready.agent,
        ready.guidance,
        stage.history,
        ready.definitions(),
        images=spec.images is not False,
        pdf=spec.pdf is not False,
        head=stage.journal.head,
        contexts=contexts,
    )
    if not ready.agent.redact_secrets:
        return request
    clean = tuple(prompt.redacted(message, stage.makers.redactor) for message in request.messages)
    return structs.replace(request, messages=clean)


async def _looked_over(
    stage: Stage, request: ModelRequest, iteration: int, provider: Provider
) -> tuple[Message, ...] | None:
    """What hooks make of the messages of a request; None where they leave them alone.

    Raises:
        HookStopped: a hook does not want it sent.
    """
    if not listens(stage, "before_llm_call"):
        return None
    shown = transcript.shown(request.messages)
    verdict = await heed(stage, "before_llm_call", iteration=iteration, model_id=provider.spec.ref, messages=shown)
    if verdict.updated_messages is None:
        return None
    try:
        return transcript.taken(verdict.updated_messages, request.messages)
    except BadValue as error:
        await warn(stage, f"a hook's messages can't be used: {error}")
        return None


async def _told_of(stage: Stage, said: Message | None, provider: Provider) -> None:
    """Hooks hear of an answer."""
    if said is not None and listens(stage, "after_llm_call"):
        usage = to_builtins(said.usage) if said.usage is not None else {}
        response = {"stop_response": said.content} if not said.calls else {}
        await stage.fire("after_llm_call", model_id=provider.spec.ref, usage=usage, cost=said.cost, **response)


async def _recalled(stage: Stage) -> bool:
    """Give the answer that was kept for these very words, where the agent keeps answers; whether there was one."""
    agent, turn, newest = stage.ready.agent, stage.turn, stage.newest()
    if agent.cache is None or newest is None or newest[1].role != "user":
        return False
    text, folder = newest[1].content, turn.working_dir
    answer = await stage.makers.answers.find(agent.cache, turn.source, agent.name, text, folder=folder)
    if answer is None:
        return False
    at = stage.makers.clock.now()
    message = Message("assistant", answer, agent=agent.name, at=at, finish=KEPT)
    await stage.journal.write(*unasked(message))
    return True


async def _kept(stage: Stage) -> None:
    """Keep the turn's answer, where the agent keeps answers and this one was made for a single message."""
    agent, turn = stage.ready.agent, stage.turn
    said = [i.message for i in stage.history.items if i.message is not None and i.seq > turn.opened]
    asked = [message for message in said if message.role == "user"]
    if agent.cache is None or len(asked) != 1 or not said or said[-1].role != "assistant" or said[-1].finish == KEPT:
        return
    answer, folder = said[-1].content, turn.working_dir
    await stage.makers.answers.keep(agent.cache, turn.source, agent.name, asked[0].content, answer, folder=folder)


def _links(stage: Stage) -> tuple[Sequence[Provider], Sequence[str]]:
    """The models for the next answer: what a tool's results want, or the agent's own, as its rules choose."""
    runtime, makers = stage.ready, stage.makers
    warnings = list(_choose(stage))
    if ref := _after_tools(stage):
        try:
            return [makers.models.provider(runtime.team, ref)], warnings
        except BadModel as error:
            warnings.append(f"the model {ref!r} for results of tools can't be used: {error}")
    routed = runtime.provider.route(stage.history.last_said())
    links, doubts = chain(makers.models, runtime.team, runtime.agent, routed, stage.sticky, makers.clock.monotonic())
    return links, [*warnings, *doubts]


def _choose(stage: Stage) -> Sequence[str]:
    """Take the agent's own model, as the session has it now; warnings where that can't be used."""
    ready, warnings = stage.ready, list[str]()
    ready.provider = choose(stage.makers.models, ready.team, stage.journal.head, ready.agent, warnings)
    return warnings


def _after_tools(stage: Stage) -> str:
    """The model that the toolset of the newest answer's calls wants for what follows; "" where none does."""
    newest = stage.newest()
    answer = newest_answer(stage.history)
    if newest is None or newest[1].role != "tool" or answer is None:
        return ""
    wanted = (stage.ready.models.get(call.name, "") for call in answer.calls)
    return next((ref for ref in wanted if ref), "")


def _remember(stage: Stage, links: Sequence[Provider], by: Provider) -> None:
    """Which model has helped stays the first for a while."""
    agent, names = stage.ready.agent, stage.ready.agent.fallback.models
    for ref in names:
        with suppress(BadModel):
            if by is not links[0] and stage.makers.models.provider(stage.ready.team, ref) is by:
                until = stage.makers.clock.monotonic() + agent.fallback.cooldown
                stage.sticky.stay(agent.name, ref, until)


# -- natural stops ------------------------------------------------------------------------------


async def _goes_on(stage: Stage) -> bool:
    """At a natural stop: take what people have sent meanwhile, else end the turn (or, interactive, wait for more)."""
    while True:
        changed = stage.ear.changed
        if await mailbox.take(stage, "steer") or await _passed_on(stage) or await mailbox.take(stage, "followup"):
            return True
        if stage.turn.interactive:
            await changed.wait()
            continue
        if await _reminded(stage) or await _sent_on(stage):
            return True
        await _kept(stage)
        try:
            end = e.TurnEnded(stage.turn.id, "normal", stage.turn.agent)
            await stage.journal.write(end, only_if=mailbox.empty)
        except MessagesWait:
            await stage.journal.refresh()
        else:
            return False


async def _reminded(stage: Stage) -> bool:
    """Remind a model that stops without the answer that it is to hand in; whether it was.

    Raises:
        NotInForm: it was reminded often enough.
    """
    newest = stage.newest()
    formed = newest is not None and newest[1].finish == structured.CATEGORY
    if structured.handed_in(stage.ready.agent) is None or formed:
        return False
    note = structured.reminder(_messages(stage), at=stage.makers.clock.now())
    await stage.journal.write(e.MessageWritten(note))
    return True


async def _sent_on(stage: Stage) -> bool:
    """Hooks may have something to add when the model stops; whether they had, so that it goes on."""
    if not listens(stage, "stop") or stage.pushes >= MOST_PUSHES:
        return False
    await stage.catch_up()
    answer, said = stage.history.last_words(), stage.history.last_said()
    verdict = await stage.fire("stop", stop_response=answer, last_user_message=said)
    if not verdict.context or verdict.stop:
        return False
    stage.pushes += 1
    told = Message("user", verdict.context, at=stage.makers.clock.now(), implicit=True)
    await stage.journal.write(e.MessageWritten(told))
    return True


async def _passed_on(stage: Stage) -> bool:
    """Hand the conversation over where the agent's file says so; whether it was."""
    agent, to = stage.turn.agent, stage.ready.agent.force_handoff
    if not to or stage.ready.agent.name != agent:
        return False
    text = f"The agent {agent} has finished its part and hands this conversation over to you. Go on with it."
    told = Message("user", text, at=stage.makers.clock.now(), implicit=True)
    await stage.journal.write(e.HandedOver(to, agent, "force_handoff"), e.MessageWritten(told))
    return True


# -- the iteration limit ------------------------------------------------------------------------


def _spent(stage: Stage) -> bool:
    return 0 < stage.turn.max_iterations <= stage.turn.iterations


async def _more(stage: Stage) -> bool:
    """Ask a person for more iterations; without them the turn has ended."""
    turn, limit = stage.turn, stage.turn.max_iterations
    known = [w.id for w in stage.waits if w.kind == "limit"]
    known += [a.id for a in stage.answers if a.kind == "limit"]
    wait = known[0] if known else WaitId(fresh())
    if not known:
        more = 0 if turn.unattended else MORE_ITERATIONS
        asked = () if turn.unattended else (e.WaitOpened(wait, "limit", turn.agent, max_iterations=limit),)
        await stage.journal.write(await _tools_shown(stage), *asked)
        await stage.fire("on_max_iterations", previous_max_iterations=limit, new_max_iterations=limit + more)
        if asked:
            await stage.fire("on_user_input", reason="max_iterations")
    approved = not turn.unattended and (await stage.ear.answer(wait)).action == "approve"
    if approved:
        await stage.journal.write(e.LimitRaised(limit + MORE_ITERATIONS))
        return True
    text = f"Execution stopped after reaching the configured max_iterations limit ({limit})."
    message = Message("assistant", text, agent=turn.agent, at=stage.makers.clock.now())
    await stage.journal.write(e.MessageAdded(message, agent=turn.agent), e.TurnEnded(turn.id, "normal", turn.agent))
    return False


# -- ends before their time ---------------------------------------------------------------------


async def _fail(stage: Stage, error: Exception) -> None:
    """Write what went wrong, and end the turn."""
    head = await stage.journal.refresh()
    turn = stage.journal.open
    if turn is None:
        log.error("%s failed after its turn", stage.log, exc_info=error, extra={"action": "turn_failed"})
        return
    if turn.canceled or head.deleted:
        await _cancel(stage)
        return
    if isinstance(error, ModelFailed):
        met = e.ErrorMet(str(error), CODES.get(error.kind, "model_error"), turn.agent)
    elif isinstance(error, RoostError):
        met = e.ErrorMet(str(error), error.code, turn.agent)
    else:
        log.error("turn of %s failed", stage.log, exc_info=error, extra={"action": "turn_failed"})
        met = e.ErrorMet("internal error; the server's log has the details", "internal", turn.agent)
    met = structs.replace(met, message=mended(met.message))
    await stage.catch_up()
    if isinstance(error, ModelFailed | BadModel):
        await stage.fire("on_error", error=met.message)
    await notify(stage, "error", met.message)
    draft = stage.asking.draft
    shown = draft is not None and draft.posted
    left = [e.WaitVoided(w.id, e.TURN_ENDED) for w in stage.waits if stage.outer is not None]  # its log has those
    await stage.journal.write(*left, *ending(stage.journal.head, stage.history, "error", error=met, shown=shown))


async def _cancel(stage: Stage) -> None:
    """End the turn because somebody asked for it; what the model has said so far is kept."""
    with anyio.CancelScope(shield=True):
        await stage.journal.refresh()
        await stage.catch_up()
        if stage.journal.open is None:
            return
        draft, at = stage.asking.draft, stage.makers.clock.now()
        model = stage.runtime.provider.spec.ref if stage.runtime else ""
        partial = draft.message(at=at, model=model, partial=True) if draft else None
        shown = draft is not None and draft.posted
        inner = {sub: one.asking.draft for sub, one in stage.inners.items()}
        partials = {
            sub: draft.message(at=at, model=stage.inners[sub].ready.provider.spec.ref, partial=True)
            for sub, draft in inner.items()
            if draft is not None and draft.posted
        }
        head = stage.journal.head
        end = ending(head, stage.history, "canceled", partial=partial, shown=shown, partials=partials)
        await stage.journal.write(*end)
