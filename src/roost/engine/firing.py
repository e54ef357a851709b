"""Hooks at their moments: they run, the log says so, and what they say together comes back."""

from typing import TYPE_CHECKING, Any

from roost.core import events as e
from roost.core import hooks
from roost.core.agents import Hook
from roost.core.errors import HookStopped
from roost.core.hooks import Output, Verdict
from roost.core.messages import Definition, ToolCall
from roost.engine.bulkhead import open_group
from roost.ports import HookRunner, Place

if TYPE_CHECKING:
    from roost.engine.stage import Stage

NOTHING = Verdict()
STOPPED = "a hook ended the run"
AFTER_THE_END = "session_end"  # nothing is written about this one: the log's turn is over


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

    What they have for people, and what went wrong with them, is shown as warnings.
    """
    runner, runtime = stage.makers.hooks, stage.runtime
    if runner is None or runtime is None:
        return NOTHING
    known = hooks.joined(runtime.agent.hooks, stage.makers.rules)
    chosen = hooks.chosen(known, event, tool=call.name if call else "", preempt=preempt)
    if not chosen:
        return NOTHING
    agent, silent = runtime.agent.name, event == AFTER_THE_END
    if not silent:
        await stage.journal.write(e.HookStarted(event, agent))
    fields = hooks.tool_fields(call, definition) if call is not None else {}
    given = hooks.given(event, session=stage.session, cwd=runtime.place.working_dir, agent=agent, **fields, **special)
    began = stage.makers.clock.monotonic()
    verdict = hooks.merge(event, await _all(runner, event, chosen, given, runtime.place))
    if not silent:
        took = stage.makers.clock.monotonic() - began
        error, message = "; ".join(verdict.errors), "\n".join(verdict.messages)
        allowed = verdict.blocked is None and not verdict.stop
        shown = [e.Warned(text, agent) for text in (*verdict.errors, *verdict.messages)]
        await stage.journal.write(e.HookEnded(event, took, allowed, error, message, agent), *shown)
    return verdict


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
    if verdict.context and verdict.context not in stage.history.contexts:
        await stage.journal.write(e.ContextAdded(verdict.context, event, stage.turn.agent))
    return verdict


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
