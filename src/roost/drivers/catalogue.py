"""All agent CLIs by name: those we know, and those that the settings add."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from roost.core.capabilities import Capability
from roost.core.errors import BadValue
from roost.drivers import models
from roost.drivers.acp import ROWS, Acp, Row
from roost.drivers.claude import Claude
from roost.drivers.codex import Codex
from roost.drivers.copilot import Copilot
from roost.drivers.gemini import Gemini
from roost.drivers.mock import Mock
from roost.drivers.ollama import Ollama
from roost.drivers.updates import Manners
from roost.ports import Driver

Maker = Callable[..., Driver]

BUILT_IN: Mapping[str, Maker] = {
    "claude": Claude,
    "codex": Codex,
    "gemini": Gemini,
    "copilot": Copilot,
    "ollama": Ollama,
}


class Setting(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename=None):
    """`[drivers.NAME]` in the settings: a CLI that speaks the Agent Client Protocol."""

    command: tuple[str, ...] = ()
    env: dict[str, str] = {}
    models: tuple[str, ...] = ()
    default_model: str = ""
    sizes: dict[str, str] = {}  # small, medium, large
    model_flag: str = ""
    dirs_flag: str = ""
    keeps: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    endpoints: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    hint: str = ""


def drivers(
    *,
    mock: bool,
    rows: Mapping[str, Any] | None = None,
    open_models: bool = False,
    patterns: Mapping[str, Sequence[str]] | None = None,
    env: Mapping[str, str] | None = None,
) -> dict[str, Driver]:
    """The drivers by name.

    `rows` is the table `[drivers]` of the settings, `patterns` further texts that mean a usage limit, `env` the
    server's environment, by which the CLIs' own settings are found.

    Raises:
        BadValue: a row of the settings can't be used; the message says which and why.
    """
    known = patterns or {}
    table = {**ROWS, **{name: row(name, given) for name, given in (rows or {}).items()}}
    made: dict[str, Driver] = {
        name: maker(open_models=open_models, patterns=known.get(name, ())) for name, maker in BUILT_IN.items()
    }
    made["codex"] = Codex(open_models=open_models, patterns=known.get("codex", ()), env=env)
    for name, entry in table.items():
        made[name] = Acp(entry, open_models=open_models, patterns=known.get(name, ()))
    if mock:
        made["mock"] = Mock(open_models=open_models, patterns=known.get("mock", ()))
    return made


def row(name: str, given: Any) -> Row:
    """A row of the settings, on top of the one we have under this name.

    Raises:
        BadValue: it can't be used.
    """
    where = f"[drivers.{name}]"
    if name in BUILT_IN or name == "mock":
        raise BadValue(f"{where}: {name} has a driver of its own; give this one another name")
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        raise BadValue(f"{where}: a name is made of letters, digits, - and _")
    try:
        setting = msgspec.convert(given, Setting)
    except msgspec.ValidationError as error:
        raise BadValue(f"{where}: {error}") from None
    if name in ROWS:
        return _changed(ROWS[name], setting)
    if not setting.command or not setting.command[0].strip():
        raise BadValue(f'{where}: command is missing: the program and its arguments, like ["goose", "acp"]')
    return Row(
        capability=_capability(name, setting, models.CUSTOM),
        program=setting.command[0],
        arguments=setting.command[1:],
        hint=setting.hint or f"its command stands under {where} in the settings",
        env=setting.env,
        model_flag=setting.model_flag,
        dirs_flag=setting.dirs_flag,
        keeps=setting.keeps,
        needs=setting.needs,
        endpoints=setting.endpoints,
        manners=Manners(deaf=("effort", "agent") if setting.dirs_flag else ("effort", "agent", "add_dirs")),
    )


def _changed(known: Row, setting: Setting) -> Row:
    """A row of ours with what the settings say otherwise; lists of theirs are added to ours."""
    program, arguments = known.program, known.arguments
    if setting.command:
        program, arguments = setting.command[0], setting.command[1:]
    return replace(
        known,
        capability=_capability(known.capability.provider, setting, known.capability),
        program=program,
        arguments=arguments,
        env={**known.env, **setting.env},
        model_flag=setting.model_flag or known.model_flag,
        dirs_flag=setting.dirs_flag or known.dirs_flag,
        keeps=(*known.keeps, *setting.keeps),
        needs=(*known.needs, *setting.needs),
        endpoints=setting.endpoints or known.endpoints,
        limits=(*known.limits, *setting.limits),
        hint=setting.hint or known.hint,
    )


def _capability(name: str, setting: Setting, base: Capability) -> Capability:
    listed = setting.models or base.available_models
    default = setting.default_model or (setting.models[0] if setting.models else base.default_model)
    sizes = {size: setting.sizes.get(size, base.size_mappings.get(size) or default) for size in models.SIZES}
    return replace(
        base, provider=name, default_model=default, available_models=listed, size_mappings=sizes, open_models=True
    )
