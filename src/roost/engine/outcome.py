"""What becomes of a tool's result before anybody sees it: shortened, without secrets, as hooks want it."""

import logging
import math
from typing import Any

import anyio
import msgspec
from msgspec.structs import replace

from roost.core import estimates, toon
from roost.core.errors import NotOwner, StoreFull
from roost.core.messages import Definition, Result, ToolCall
from roost.core.utf8 import mended, mended_data
from roost.engine import structured
from roost.engine.ear import Park
from roost.engine.stage import Stage
from roost.ports import Tool, Use

log = logging.getLogger(__name__)

LARGEST = 2_000_000  # characters of a result that are kept, whatever the agent's file says
LARGEST_MEDIA = 20_000_000  # characters (base64) of all pictures and sounds of a result
LARGEST_DATA = 2_000_000  # bytes of a result's structured content, and of what it has for clients


def sound(result: Result) -> Result:
    """The result so that it can be written down: its texts as UTF-8 has them, its data not too large.

    Raises:
        TypeError, ValueError, RecursionError: it holds what is no data.
    """
    output = mended(result.output)
    structured, meta = mended_data(result.structured), mended_data(result.meta)
    kept = replace(result, output="", structured=None, meta=None)
    msgspec.json.encode(kept)  # media are not mended: those that can't be written down are none
    if len(msgspec.json.encode(structured)) > LARGEST_DATA:
        structured, output = None, f"{output}\n[structured content left out: it is too large]".strip()
    if len(msgspec.json.encode(meta)) > LARGEST_DATA:
        meta, output = None, f"{output}\n[data for clients left out: it is too large]".strip()
    return replace(kept, output=output, structured=structured, meta=meta)


async def attempted(tool: Tool, arguments: dict[str, Any], use: Use) -> Result:
    """What the tool returns; a failure is a result that the model can read."""
    try:
        return sound(await tool.run(arguments, use))
    except (Park, NotOwner, StoreFull):
        raise
    except anyio.get_cancelled_exc_class():
        if anyio.current_effective_deadline() == -math.inf:  # else nobody has asked for it
            raise
        return Result("Error calling tool: it was cancelled by itself", is_error=True)
    except (Exception, SystemExit) as error:
        log.exception("tool %s failed", tool.definition.name, extra={"action": "tool_failed"})
        return sound(Result(f"Error calling tool: {_worded(error)}", is_error=True))


def _worded(error: BaseException) -> str:
    """What went wrong, in words; of several things, the first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}" if isinstance(error, SystemExit) else str(error) or type(error).__name__


async def finished(stage: Stage, call: ToolCall, tool: Tool, result: Result) -> Result:
    """The result as it goes into the log and to the model (3.6)."""
    if isinstance(tool, structured.Form):
        return result
    agent = stage.ready.agent
    output = estimates.shortened(result.output, LARGEST // estimates.CHARACTERS)
    if toon.wants(stage.ready.toon.get(call.name, ()), call.name) and not result.is_error:
        output = toon.toon(output)
    output = estimates.shortened(output, estimates.one_result(agent, stage.journal.head))
    result = covered(stage, _slim(replace(result, output=output)))
    return await transformed(stage, call, tool.definition, result)


def covered(stage: Stage, result: Result) -> Result:
    """The result without secrets, where the agent's file does not say otherwise."""
    if not stage.ready.agent.redact_secrets:
        return result
    redactor = stage.makers.redactor
    data = {"structured": redactor.data(result.structured), "meta": redactor.data(result.meta)}
    return replace(result, output=redactor.text(result.output), **data)


async def transformed(stage: Stage, call: ToolCall, definition: Definition, result: Result) -> Result:
    """The result as hooks want it."""
    verdict = await stage.fire(
        "tool_response_transform",
        call=call,
        definition=definition,
        tool_response=result.output,
        tool_error=result.is_error,
    )
    if verdict.blocked is not None:
        return Result(f"The result was withheld by a hook: {verdict.blocked}", is_error=True)
    if verdict.updated_response is None:
        return result
    return replace(result, output=mended(verdict.updated_response), structured=None)  # which would say the same again


def _slim(result: Result) -> Result:
    """Without media that are more than a log should hold."""
    if sum(len(media.data) for media in (*result.images, *result.audios)) <= LARGEST_MEDIA:
        return result
    note = f"{result.output}\n[pictures and sounds left out: they are too large]"
    return replace(result, output=note.strip(), images=(), audios=())
