"""The toolset `model_picker`: an agent chooses its own model."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from roost.core.agents import ToolsetSpec
from roost.core.messages import Result
from roost.ports import Place, Use
from roost.tools.house import House
from roost.tools.tool import Kit, Native, Refused, reads, schema, string

CATEGORY = "model_picker"

_INSTRUCTIONS = """\
You can go on with another model, from your next answer on: {}.
Choose one when the task asks for it, a strong one for what is hard and a fast one for what is not, and go back with
`revert_model` afterwards.
"""


@asynccontextmanager
async def open_model_picker(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """Two tools; only models of the list can be chosen."""
    models: tuple[str, ...] = tuple(spec.options.get("models", ()))
    known = ", ".join(models)

    async def change(arguments: dict[str, Any], use: Use) -> Result:
        if arguments["model"] not in models:
            raise Refused(f"The model {arguments['model']} can't be chosen. You can choose: {known}")
        await use.choose_model(arguments["model"])
        return Result(f"From your next answer on you use the model {arguments['model']}.")

    async def revert(arguments: dict[str, Any], use: Use) -> Result:
        await use.choose_model("")
        return Result("From your next answer on you use your usual model again.")

    yield Kit(
        (
            Native(
                "change_model",
                CATEGORY,
                "Go on with another model.",
                schema(("model",), model=string(f"One of: {known}")),
                change,
                annotations=reads("Change Model"),
            ),
            Native(
                "revert_model",
                CATEGORY,
                "Go back to the usual model.",
                schema(),
                revert,
                annotations=reads("Revert Model"),
            ),
        ),
        _INSTRUCTIONS.format(known),
    )
