"""A turn's beginning: the agent is made ready, clients are shown who it is, hooks have their say."""

from collections.abc import Sequence

from msgspec import structs

from roost.core import events as e
from roost.core.errors import (
    HookStopped,
)
from roost.core.messages import Message
from roost.core.session import Head
from roost.engine import slash
from roost.engine.cast import agent_shown, choose_model, tools_shown
from roost.engine.firing import heed, notify, warn, warned
from roost.engine.leave import Desk
from roost.engine.runtime import SERVERS, providers
from roost.engine.stage import Stage
from roost.engine.toolbox import Opened

REFUSED = "[a message that a hook refused: "


async def enter(stage: Stage) -> None:
    """Make the agent ready, and show who it is where that has not been done."""
    stage.runtime = await stage.prepare(stage)
    stage.runtime.check = Desk(stage, stage.ear.answer).check
    stage.runtime.unsaid(choose_model(stage))
    stage.built.set()
    if not stage.turn.started:
        await _begin(stage)
    else:
        stage.shown = (stage.runtime.agent.name, stage.runtime.provider.spec.ref)
        if stage.runtime.fresh:
            failures = stage.runtime.unsaid(stage.runtime.toolbox.failures)
            await warn(stage, *failures, *await _asked(stage))
        if not stage.turn.under_way:
            await _greeted(stage, ())  # it was cut off there, and nobody has got past the hooks yet


async def _begin(stage: Stage) -> None:
    """Show what clients want to know first; then the turn is under way."""
    await _moded(stage)
    runtime, head = stage.ready, stage.journal.head
    facts: list[e.Fact] = [e.TitleShown(head.title)] if head.title and stage.outer is None else []
    facts.append(agent_shown(stage))
    cast = providers(stage.makers.models, runtime.team, head) | {runtime.agent.name: runtime.provider}
    facts.append(shown := runtime.team_shown(cast))
    warnings = list(runtime.begin(stage.turn.id))
    facts += warned(warnings, runtime.agent.name)
    if runtime.fresh and runtime.servers:
        await stage.journal.write(*facts, e.McpStarting(runtime.agent.name))
        facts = [e.McpReady(runtime.agent.name)]
    if runtime.fresh:
        warnings += (new := await _asked(stage))
        facts += warned(new, runtime.agent.name)
        facts += [now] if (now := runtime.team_shown(cast)) != shown else []  # servers have something to say
    facts.append(await tools_shown(stage))
    if stage.outer is None and (posted := stage.newest()):
        facts.append(_said(*posted))
    facts.append(e.TurnStarted(runtime.agent.name))
    await stage.journal.write(*facts)
    await _greeted(stage, warnings)


async def _asked(stage: Stage) -> Sequence[str]:
    """Ask the toolsets what they have; that tool servers start meanwhile can be seen."""
    runtime, head = stage.ready, stage.journal.head
    if not runtime.servers:
        return await runtime.refresh()
    title = f"tool servers of {runtime.agent.name}"
    unit, owner = "servers", head.owner
    with stage.makers.progress.job("tools", title, total=runtime.starting, unit=unit, owner=owner) as effort:

        def told(one: Opened) -> None:
            if one.spec.type in SERVERS:
                effort.step()

        return await runtime.refresh(told)


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


def _said(position: int, message: Message) -> e.UserSaid:
    return e.UserSaid(message.content, position, message.parts)


async def change(stage: Stage) -> None:
    """Another agent has the conversation: make it ready, and show who it is."""
    before = stage.ready.agent.name
    stage.runtime = await stage.prepare(stage)
    stage.runtime.check = Desk(stage, stage.ear.answer).check
    await stage.fire("on_agent_switch", agent_switch_kind="handoff", from_agent=before, to_agent=stage.turn.agent)
    warnings = list(stage.ready.begin(stage.turn.id))
    await stage.journal.write(agent_shown(stage))
    await warn(stage, *warnings, *(await _asked(stage) if stage.ready.fresh else ()))
