"""The server's own settings: flag, environment, file, default."""

import difflib
import math
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from msgspec import Struct

from roost.core.errors import BadValue

Resume = Literal["resume", "ask", "fail"]


class Secret:
    """A text that prints as stars."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "***" if self._text else ""

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not written down")


class Settings(Struct, frozen=True, kw_only=True):
    """What `roost serve api` runs with.  `docs/settings.md` has a line for each."""

    home: Path
    agents: tuple[str, ...] = ()
    listen: str = "127.0.0.1:8080"
    auth_token: Secret = Secret("")
    allow_unauthenticated: bool = False
    session_db: Path = Path("session.db")
    working_dir: Path | None = None
    session_workingdir_root: Path | None = None
    max_request_size: int = 1_048_576
    disconnect_grace: float = 10.0
    resume: Resume = "resume"
    pull_interval: float = 0.0
    record: Path | None = None
    fake: Path | None = None
    mcp_oauth_redirect_uri: str = ""
    models_gateway: str = ""
    default_model: str = ""
    env_from_file: tuple[Path, ...] = ()
    code_mode_tools: bool = False
    pprof_addr: str = ""
    data_dir: Path
    cache_dir: Path
    config_dir: Path
    debug: bool = False
    log_file: Path | None = None


class _Wrong(Exception):
    """A value that can't be used; the text says what would do."""


# -- values -------------------------------------------------------------------------------------


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Wrong("must be text")
    return value.strip()


def _secret(value: Any) -> Secret:
    return Secret(_text(value))


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off", ""):
        return False
    raise _Wrong("must be true or false")


def _size(value: Any) -> int:
    number = _number(value)
    if number < 1 or not number.is_integer():
        raise _Wrong("must be a whole number of bytes, at least 1")
    return int(number)


def _minutes(value: Any) -> float:
    number = _number(value)
    if number < 0:
        raise _Wrong("must not be negative")
    return number


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _Wrong("must be a number")
    try:
        number = float(value)
    except ValueError:
        raise _Wrong("must be a number") from None
    if not math.isfinite(number):
        raise _Wrong("must be a number")
    return number


_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")


def _seconds(value: Any) -> float:
    """Seconds, as a number or as `1m30s`."""
    if isinstance(value, str) and re.fullmatch(rf"({_PIECE.pattern})+", value.strip()):
        return sum(float(number) * _UNITS[unit] for number, unit in _PIECE.findall(value))
    try:
        return _minutes(value)
    except _Wrong:
        raise _Wrong("must be seconds, or a duration such as '1m30s'") from None


def _path(value: Any) -> Path:
    text = _text(value)
    if not text or "\0" in text:
        raise _Wrong("must be a path")
    return Path(text).expanduser()


def _folder(value: Any) -> Path:
    path = _path(value)
    if not path.is_dir():
        raise _Wrong("is no folder")
    return path


def _file(value: Any) -> Path:
    path = _path(value)
    if not path.is_file():
        raise _Wrong("is no file")
    return path


def _files(value: Any) -> tuple[Path, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise _Wrong("must be a list of paths")
    return tuple(_file(item) for item in items if item != "")


def _cassette(value: Any) -> Path:
    path = _path(value)
    return path if path.suffix == ".yaml" else path.with_name(path.name + ".yaml")


def _agents(value: Any) -> tuple[str, ...]:
    items = (value,) if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise _Wrong("must be an agent file, a folder or a name")
    return tuple(_text(item) for item in items)


def _address(value: Any) -> str:
    """`host:port`, `[v6]:port`, `unix://PATH` or `fd://N`."""
    text = _text(value)
    if (text.startswith("unix://") and len(text) > len("unix://")) or re.fullmatch(r"fd://\d+", text):
        return text
    if text.startswith("npipe://"):
        raise _Wrong("named pipes exist on Windows alone")
    host, colon, port = text.rpartition(":")
    plain = re.fullmatch(r"\[[0-9A-Fa-f:.%\w]+\]|[^:\s/]*", host)
    if not colon or plain is None or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise _Wrong("must be host:port, unix://PATH or fd://N")
    return text


def _url(value: Any) -> str:
    text = _text(value)
    if text and not re.fullmatch(r"https?://[^\s/]+\S*", text):
        raise _Wrong("must be an http(s) address")
    return text


def _model(value: Any) -> str:
    text = _text(value)
    if text and not re.fullmatch(r"[^\s/]+(/\S+)?", text):
        raise _Wrong("must be provider/model")
    return text


def _resume(value: Any) -> str:
    word = _text(value).lower()
    if word not in ("resume", "ask", "fail"):
        raise _Wrong("must be resume, ask or fail")
    return word


# -- where they come from -----------------------------------------------------------------------


class _Field(Struct, frozen=True):
    """How a setting is read, and the original's variables for it."""

    read: Callable[[Any], Any]
    originals: tuple[str, ...] = ()
    secret: bool = False


FIELDS: Final[Mapping[str, _Field]] = {
    "home": _Field(_path),
    "agents": _Field(_agents),
    "listen": _Field(_address),
    "auth_token": _Field(_secret, secret=True),
    "allow_unauthenticated": _Field(_flag),
    "session_db": _Field(_path),
    "working_dir": _Field(_folder),
    "session_workingdir_root": _Field(_folder),
    "max_request_size": _Field(_size),
    "disconnect_grace": _Field(_seconds),
    "resume": _Field(_resume),
    "pull_interval": _Field(_minutes),
    "record": _Field(_cassette),
    "fake": _Field(_cassette),
    "mcp_oauth_redirect_uri": _Field(_url),
    "models_gateway": _Field(_url, ("DOCKER_AGENT_MODELS_GATEWAY", "CAGENT_MODELS_GATEWAY")),
    "default_model": _Field(_model, ("DOCKER_AGENT_DEFAULT_MODEL", "CAGENT_DEFAULT_MODEL")),
    "env_from_file": _Field(_files),
    "code_mode_tools": _Field(_flag),
    "pprof_addr": _Field(_address, ("DOCKER_AGENT_PPROF_ADDR", "CAGENT_PPROF_ADDR")),
    "data_dir": _Field(_path),
    "cache_dir": _Field(_path),
    "config_dir": _Field(_path),
    "debug": _Field(_flag),
    "log_file": _Field(_path),
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
            except _Wrong as wrong:
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
    table = {key.replace("-", "_"): value for key, value in raw.items()}
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
