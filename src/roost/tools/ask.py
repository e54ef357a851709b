"""The toolset `user_prompt`: ask the person who uses the agent."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from roost.core.agents import ToolsetSpec
from roost.core.errors import Denied, NothingWaits
from roost.core.messages import Result
from roost.ports import Ask, Place, Use
from roost.tools.house import House
from roost.tools.tool import Kit, Native, Refused, failed, reads, schema, string

CATEGORY = "user_prompt"

_INSTRUCTIONS = """\
Ask the user when you can't go on without something that only the user knows or may decide, and not for more than that.
"""


@asynccontextmanager
async def open_user_prompt(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """One tool."""
    yield Kit(
        (
            Native(
                "user_prompt",
                CATEGORY,
                "Ask the user a question and wait for the answer.",
                schema(
                    ("message",),
                    message=string("The question"),
                    title=string("A title for the question"),
                    schema={"type": "object", "description": "A JSON schema of the answer, for a form"},
                ),
                prompt,
                annotations=reads("User Prompt"),
            ),
        ),
        _INSTRUCTIONS,
    )


async def prompt(arguments: dict[str, Any], use: Use) -> Result:
    """user_prompt.  Run again after a crash, it gets the answer that was given before."""
    form = arguments.get("schema")
    if form is not None:
        _check(form)
    title = arguments.get("title", "")
    meta = {"cagent/title": title, "docker-agent/title": title} if title else {}
    try:
        answer = await use.ask(Ask(arguments["message"], schema=form, meta=meta))
    except (Denied, NothingWaits) as error:
        return failed(f"nobody can answer: {error}")
    content = {} if answer.content is None else {"content": answer.content}
    output = json.dumps({"action": answer.action, **content}, ensure_ascii=False)
    return Result(output, is_error=answer.action != "accept")


def _check(form: Any) -> None:
    # Heavy, and seldom wanted: not loaded at start.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(form)
    except SchemaError as error:
        raise Refused(f"schema is no JSON schema: {error.message[:300]}") from None
