"""Questions that are put to people: into the log they go."""

from roost.core import events as e
from roost.core.ids import WaitId, fresh
from roost.core.messages import ToolCall
from roost.engine.stage import Stage
from roost.ports import Ask


async def put(stage: Stage, question: Ask, call: ToolCall | None = None, digest: str = "") -> WaitId:
    """Open a wait for the answer to a question; one of a call that does not last is lost with it."""
    wait = WaitId(fresh())
    opened = e.WaitOpened(
        wait,
        "question",
        stage.turn.agent,
        call=call,
        definition=digest,
        message=question.message,
        mode=question.mode,
        schema=question.schema,
        url=question.url,
        server_id=question.server_id,
        meta=question.meta,
        durable=question.durable and call is not None,
    )
    await stage.journal.write(opened)
    await stage.fire("on_user_input", reason="elicitation")
    return wait
