"""The server's own settings: flag, environment, file, default."""

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct

from roost.config import notify, values
from roost.config.notify import Notify
from roost.config.values import Secret, Wrong
from roost.core.errors import BadValue

Resume = Literal["resume", "ask", "fail"]


class Settings(Struct, frozen=True, kw_only=True):
    """What `roost serve api` runs with.  `docs/settings.md` has a line for each."""

    home: Path
    agents: tuple[str, ...] = ()
    aliases: dict[str, str] = {}
    listen: str = "127.0.0.1:8080"
    auth_token: Secret = Secret("")
    allow_unauthenticated: bool = False
    session_db: Path = Path("session.db")
    working_dir: Path | None = None
    session_workingdir_root: Path | None = None
    max_request_size: int = 1_048_576
    disconnect_grace: float = 10.0
    resume: Resume = "resume"
    sandbox: str = "auto"
    sandbox_image: str = ""
    drivers: dict[str, Any] = {}
    safety: str = ""
    permissions: dict[str, Any] = {}
    hooks: dict[str, Any] = {}
    allow_unknown_models: bool = False
    pull_interval: float = 0.0
    record: Path | None = None
    fake: Path | None = None
    mcp_oauth_redirect_uri: str = ""
    models_gateway: str = ""
    default_model: str = ""
    env_from_file: tuple[Path, ...] = ()
    code_mode_tools: bool = False
    pprof_addr: str = ""
    public_url: str = ""
    no_qr: bool = False
    notify: Notify = Notify()
    data_dir: Path
    cache_dir: Path
    config_dir: Path
    debug: bool = False
    log_file: Path | None = None


# -- where they come from -----------------------------------------------------------------------


class _Field(Struct, frozen=True):
    """How a setting is read, and the original's variables for it."""

    read: Callable[[Any], Any]
    originals: tuple[str, ...] = ()
    secret: bool = False


SERVER = "server"
"""The table of `serve.toml` that is about `roost serve` alone; `front.py` reads it."""

FIELDS: Final[Mapping[str, _Field]] = {
    "home": _Field(values.as_path),
    "agents": _Field(values.as_agents),
    "aliases": _Field(values.as_aliases),
    "listen": _Field(values.as_address),
    "auth_token": _Field(values.as_secret, secret=True),
    "allow_unauthenticated": _Field(values.as_flag),
    "session_db": _Field(values.as_path),
    "working_dir": _Field(values.as_folder),
    "session_workingdir_root": _Field(values.as_folder),
    "max_request_size": _Field(values.as_size),
    "disconnect_grace": _Field(values.as_seconds),
    "resume": _Field(values.as_resume),
    "sandbox": _Field(values.as_sandbox),
    "sandbox_image": _Field(values.as_text),
    "drivers": _Field(values.as_tables),
    "safety": _Field(values.as_safety),
    "permissions": _Field(values.as_table),
    "hooks": _Field(values.as_table),
    "allow_unknown_models": _Field(values.as_flag),
    "pull_interval": _Field(values.as_minutes),
    "record": _Field(values.as_cassette),
    "fake": _Field(values.as_cassette),
    "mcp_oauth_redirect_uri": _Field(values.as_url),
    "models_gateway": _Field(values.as_url, ("DOCKER_AGENT_MODELS_GATEWAY", "CAGENT_MODELS_GATEWAY")),
    "default_model": _Field(values.as_model, ("DOCKER_AGENT_DEFAULT_MODEL", "CAGENT_DEFAULT_MODEL")),
    "env_from_file": _Field(values.as_files),
    "code_mode_tools": _Field(values.as_flag),
    "pprof_addr": _Field(values.as_address, ("DOCKER_AGENT_PPROF_ADDR", "CAGENT_PPROF_ADDR")),
    "public_url": _Field(notify.as_public_url),
    "no_qr": _Field(values.as_flag),
    "notify": _Field(notify.as_notify, secret=True),
    "data_dir": _Field(values.as_path),
    "cache_dir": _Field(values.as_path),
    "config_dir": _Field(values.as_path),
    "debug": _Field(values.as_flag),
    "log_file": _Field(values.as_path),
}


def flag_of(name: str) -> str:
    """The flag of a setting."""
    return "--" + name.replace("_", "-")


def variable_of(name: str) -> str:
    """Our own variable for a setting."""
    return "ROOST_" + name.upper()


def resolve(flags: Mapping[str, Any], env: Mapping[str, str], file: bytes | None) -> Settings:
    """The settings: a flag wins over the environment, which wins over the file, which wins over the default.

    `flags` has those that were given, by the name of the setting; None counts as not given.  Empty
    variables count as not set.  `file` is `serve.toml`.

    Raises:
        BadValue: it names every flag, variable and key that can't be used, one a line.
    """
    errors: list[str] = []
    table = _table(file, errors)
    errors += [f"{flag_of(name)}: unknown flag" for name in flags if name not in FIELDS]
    found: dict[str, Any] = {}
    for name, field in FIELDS.items():
        place, value = _given(name, field, flags, env, table)
        if place:
            try:
                found[name] = field.read(value)
            except Wrong as wrong:
                shown = "" if field.secret else f", is {value!r}"
                errors.append(f"{place}: {wrong}{shown}")
    if found.get("record") and found.get("fake"):
        errors.append("--record and --fake exclude each other")
    if errors:
        raise BadValue("\n".join(errors))
    return Settings(**_with_folders(found, env))


def load(flags: Mapping[str, Any], env: Mapping[str, str]) -> Settings:
    """`resolve`, with the `serve.toml` of the home that flags and environment name.

    Raises:
        BadValue: as `resolve` does, and where the file can't be read.
    """
    path = home_of(flags, env) / "serve.toml"
    try:
        file = path.read_bytes()
    except FileNotFoundError:
        file = None
    except OSError as error:
        raise BadValue(f"{path}: {error.strerror}") from None
    return resolve(flags, env, file)


def _given(
    name: str, field: _Field, flags: Mapping[str, Any], env: Mapping[str, str], table: Mapping[str, Any]
) -> tuple[str, Any]:
    """Where a setting is given, and what; "" where it is not."""
    value = flags.get(name)
    if value is not None and value != ():
        return flag_of(name), value
    for variable in (variable_of(name), *field.originals):
        if env.get(variable):
            return variable, env[variable]
    if name in table:
        return f"serve.toml: {name}", table[name]
    return "", None


def _table(file: bytes | None, errors: list[str]) -> dict[str, Any]:
    """The keys of `serve.toml`, which may be spelled with `-` as well."""
    if file is None:
        return {}
    try:
        raw = tomllib.loads(file.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        errors.append(f"serve.toml: {error}")
        return {}
    table = {key.replace("-", "_"): value for key, value in raw.items() if key != SERVER}
    for key in table.keys() - FIELDS.keys():
        near = difflib.get_close_matches(key, FIELDS, n=1)
        errors.append(f"serve.toml: {key}: unknown key" + (f"; did you mean {near[0]!r}?" if near else ""))
    if "home" in table:  # the file lies in it
        errors.append("serve.toml: home: set ROOST_HOME instead")
    return table


def home_of(flags: Mapping[str, Any], env: Mapping[str, str]) -> Path:
    """Where state lives, and `serve.toml` is looked for."""
    given = flags.get("home") or env.get("ROOST_HOME")
    return Path(given).expanduser() if given else Path(env.get("HOME") or Path.home()) / ".roost"


def _with_folders(found: dict[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    home = found.get("home") or home_of({}, env)
    folders = {"home": home, "data_dir": home, "cache_dir": home / "cache", "config_dir": home}
    return folders | found


# -- env files ----------------------------------------------------------------------------------

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.-]*)\s*=\s*(.*)", re.DOTALL)


def env_files(paths: Sequence[str | Path]) -> dict[str, str]:
    """The variables of some files of `KEY=VALUE` lines; a later file wins.

    Raises:
        BadValue: it names every file and line that can't be read.
    """
    found: dict[str, str] = {}
    errors: list[str] = []
    for path in paths:
        try:
            text = Path(path).expanduser().read_text("utf-8-sig")
        except (OSError, ValueError) as error:
            errors.append(f"{path}: can't be read: {getattr(error, 'strerror', None) or 'not UTF-8'}")
        else:
            found |= _variables(text, str(path), errors)
    if errors:
        raise BadValue("\n".join(errors))
    return found


def _variables(text: str, name: str, errors: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.fullmatch(stripped)
        if match is None:
            errors.append(f"{name}:{number}: expected KEY=VALUE")
        else:
            found[match[1]] = _unquoted(match[2].strip())
    return found


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return value
