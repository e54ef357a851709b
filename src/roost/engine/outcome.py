"""What becomes of a tool's result before anybody sees it: shortened, without secrets, as hooks want it."""

from msgspec.structs import replace

from roost.core import estimates, toon
from roost.core.messages import Result, ToolCall
from roost.engine import structured
from roost.engine.stage import Stage
from roost.ports import Tool

LARGEST = 2_000_000  # characters of a result that are kept, whatever the agent's file says
LARGEST_MEDIA = 20_000_000  # characters (base64) of all pictures and sounds of a result


async def finished(stage: Stage, call: ToolCall, tool: Tool, result: Result) -> Result:
    """The result as it goes into the log and to the model (3.6)."""
    if call.name == structured.NAME:
        return result
    agent = stage.ready.agent
    output = result.output
    if toon.wants(stage.ready.toon.get(call.name, ()), call.name) and not result.is_error:
        output = toon.toon(output)
    output = estimates.shortened(output, estimates.one_result(agent, stage.journal.head))
    output = estimates.shortened(output, LARGEST // estimates.CHARACTERS)
    result = _slim(replace(result, output=output))
    if agent.redact_secrets:
        redactor = stage.makers.redactor
        result = replace(result, output=redactor.text(result.output), structured=redactor.data(result.structured))
    verdict = await stage.fire(
        "tool_response_transform",
        call=call,
        definition=tool.definition,
        tool_response=result.output,
        tool_error=result.is_error,
    )
    if verdict.blocked is not None:
        return Result(f"The result was withheld by a hook: {verdict.blocked}", is_error=True)
    return result if verdict.updated_response is None else replace(result, output=verdict.updated_response)


def _slim(result: Result) -> Result:
    """Without media that are more than a log should hold."""
    if sum(len(media.data) for media in (*result.images, *result.audios)) <= LARGEST_MEDIA:
        return result
    note = f"{result.output}\n[pictures and sounds left out: they are too large]"
    return replace(result, output=note.strip(), images=(), audios=())
