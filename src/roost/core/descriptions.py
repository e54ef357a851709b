"""Tools that tell what they are used for: the extra argument `description` of `add_description_parameter`."""

from typing import Any

from msgspec.structs import replace

from roost.core.messages import Definition

ARGUMENT = "description"
_FLAGGED = frozenset({"edit_file", "write_file", "list_directory", "search_files_content"})


def wants_description(definition: Definition) -> bool:
    """Whether people can't tell from its other arguments what a call of this tool is for."""
    return definition.category == "shell" or (definition.category == "filesystem" and definition.name in _FLAGGED)


def described(definition: Definition) -> Definition:
    """The tool with the extra argument, where it is one that needs it."""
    if not wants_description(definition):
        return definition
    parameters = definition.parameters or {"type": "object", "properties": {}}
    properties = {
        **parameters.get("properties", {}),
        ARGUMENT: {"type": "string", "description": "What this call is for, in a few words that a person can read"},
    }
    return replace(definition, parameters={**parameters, "properties": properties})


def undescribed(definition: Definition, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments for the tool itself, without the extra one."""
    if not wants_description(definition):
        return arguments
    return {name: value for name, value in arguments.items() if name != ARGUMENT}
