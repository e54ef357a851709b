"""Hooks at their moments: they run, the log says so, and what they say together comes back."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from roost.core import events as e
from roost.core import hooks
from roost.core.agents import Hook, Matcher
from roost.core.errors import HookStopped, RoostError
from roost.core.hooks import Output, Verdict
from roost.core.messages import Definition, ToolCall
from roost.core.utf8 import mended
from roost.engine.bulkhead import open_group
from roost.ports import HookRunner, Place

if TYPE_CHECKING:
    from roost.engine.stage import Stage

NOTHING = Verdict()
STOPPED = "a hook ended the run"
NOTICE = "notification"


async def fire(
    stage: "Stage",
    event: str,
    *,
    call: ToolCall | None = None,
    definition: Definition | None = None,
    preempt: bool = False,
    **special: Any,
) -> Verdict:
    """Run the hooks of an event, all at once, and merge what they say; nothing where there are none.

    What they have for people, and what went wrong with them, is shown as warnings.  Once the turn has
    ended nothing is written any more.
    """
    runner = stage.makers.hooks
    if runner is None:
        return NOTHING
    chosen = hooks.chosen(await _known(stage), event, tool=call.name if call else "", preempt=preempt)
    if not chosen:
        return NOTHING
    place, open_ = _place(stage), stage.journal.open is not None
    if open_:
        await stage.journal.write(e.HookStarted(event, place.agent))
    fields = hooks.tool_fields(call, definition) if call is not None else {}
    given = hooks.given(event, session=stage.session, cwd=place.working_dir, agent=place.agent, **fields, **special)
    began = stage.makers.clock.monotonic()
    verdict = hooks.merge(event, await _all(runner, event, chosen, given, place))
    if open_:
        took = stage.makers.clock.monotonic() - began
        error, message = "; ".join(verdict.errors), "\n".join(verdict.messages)
        allowed = verdict.blocked is None and not verdict.stop
        texts = (*verdict.errors, *verdict.messages)
        ended = e.HookEnded(event, took, allowed, mended(error), mended(message), place.agent)
        await stage.journal.write(ended, *warned(texts, place.agent))
        if event != NOTICE:  # else one that fails would hear of that for ever
            await notify(stage, "warning", *texts)
    return verdict


async def notify(stage: "Stage", level: str, *texts: str) -> None:
    """Hooks hear of errors and warnings that people are shown."""
    for text in texts:
        await fire(stage, NOTICE, notification_level=level, notification_message=text)


async def warn(stage: "Stage", *texts: str) -> None:
    """Show warnings, and let hooks hear of them."""
    if texts:
        await stage.journal.write(*warned(texts, stage.turn.agent))
        await notify(stage, "warning", *texts)


def warned(texts: Sequence[str], agent: str) -> list[e.Fact]:
    """The facts that show warnings."""
    return [e.Warned(mended(text), agent) for text in texts]


def listens(stage: "Stage", event: str) -> bool:
    """Whether there are hooks of an event, so that their input is worth the work."""
    runtime = stage.runtime
    return bool(stage.makers.hooks and runtime and (event in runtime.agent.hooks or event in stage.makers.rules))


async def heed(stage: "Stage", event: str, **special: Any) -> Verdict:
    """Run the hooks of an event; what they add for the model stays, and where they say so the run ends.

    Raises:
        HookStopped: it does.
    """
    verdict = await fire(stage, event, **special)
    if verdict.blocked is not None or verdict.stop:
        raise HookStopped(verdict.blocked or verdict.stop_reason or STOPPED)
    await add(stage, event, verdict)
    return verdict


async def add(stage: "Stage", event: str, verdict: Verdict) -> None:
    """Keep what hooks add for the model, unless it knows that already."""
    await stage.catch_up()
    if verdict.context and verdict.context not in stage.history.contexts:
        await stage.journal.write(e.ContextAdded(verdict.context, event, stage.turn.agent))


async def _known(stage: "Stage") -> Mapping[str, Sequence[Matcher]]:
    """The hooks of the agent's file, then those of the server's user; also while the agent is not ready."""
    rules, turn = stage.makers.rules, stage.journal.open
    if stage.runtime is not None:
        return hooks.joined(stage.runtime.agent.hooks, rules)
    if turn is not None and turn.source != turn.driver:
        with suppress(RoostError):  # then that is what the turn will end with
            team = await stage.makers.agents.team(turn.source, turn.source_hash)
            if (agent := team.agent(turn.agent)) is not None:
                return hooks.joined(agent.hooks, rules)
    return rules


def _place(stage: "Stage") -> Place:
    """Where hooks run: where the agent works, or will."""
    if stage.runtime is not None:
        return stage.runtime.place
    head, turn, makers = stage.journal.head, stage.journal.open, stage.makers
    confined = makers.walled or head.confined if turn is None else makers.confines(turn)
    agent, folder = (head.agent, head.working_dir) if turn is None else (turn.agent, turn.working_dir)
    folder = head.worktree_path or folder
    return Place(stage.session, agent, folder, lambda _: None, head.root, confined, owner=head.owner)


async def _all(
    runner: HookRunner, event: str, chosen: tuple[Hook, ...], given: dict[str, Any], place: Place
) -> list[Output]:
    outputs: list[Output | None] = [None] * len(chosen)

    async def run(index: int, hook: Hook) -> None:
        outputs[index] = hooks.read(event, hook, await runner.run(hook, given, place))

    async with open_group() as tasks:
        for index, hook in enumerate(chosen):
            tasks.start_soon(run, index, hook)
    return [output for output in outputs if output is not None]
