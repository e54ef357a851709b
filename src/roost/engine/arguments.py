"""The arguments of a call, read."""

from typing import Any

import msgspec

from roost.core.messages import ToolCall

SHOWN = 200  # characters of arguments that can't be read


def read(call: ToolCall) -> dict[str, Any] | str:
    """The arguments as data, or what is wrong with them."""
    if not call.arguments.strip():
        return {}
    try:
        arguments = msgspec.json.decode(call.arguments)
    except (msgspec.DecodeError, RecursionError) as error:
        return f"the arguments are not valid JSON ({error}): {call.arguments[:SHOWN]}"
    if not isinstance(arguments, dict):
        return f"the arguments must be a JSON object, not: {call.arguments[:SHOWN]}"
    return arguments
