"""What `roost serve` is told besides the settings: where it listens, its token, its certificate."""

import difflib
import re
import secrets
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from roost import private
from roost.config.settings import SERVER, flag_of, home_of
from roost.config.values import Secret, Wrong, as_flag, as_number, as_path, as_seconds, as_secret, as_text
from roost.core.errors import BadValue

FILE = "serve.toml"


class Front(Struct, frozen=True, kw_only=True):
    """What `roost serve` runs with.  `docs/serve.md` has a line for each.

    `zag` is the home of the original, which is only ever read.  A `listen` other than "" takes the place of
    `host` and `port`.  An empty `token` means that one has to be generated.
    """

    home: Path
    zag: Path
    host: str = "0.0.0.0"  # noqa: S104 - what the original listens on
    port: int = 2100
    listen: str = ""
    token: Secret = Secret("")
    tls_cert: Path | None = None
    tls_key: Path | None = None
    own_ca: bool = False
    force_sandbox: bool = False
    insecure_http: bool = False
    insecure_http_anywhere: bool = False
    stop_sessions: bool = False
    idle_exit: float = 0.0  # seconds; 0 is never
    enable_mock: bool = False
    max_sessions: int = 100
    max_sessions_per_account: int = 0
    cors_origins: tuple[str, ...] = ("*",)

    @property
    def file(self) -> Path:
        """Where a generated token is kept."""
        return self.home / FILE

    @property
    def address(self) -> str:
        """Where it listens."""
        return self.listen or (f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}")


# -- values -------------------------------------------------------------------------------------


def as_host(value: Any) -> str:
    """A host name, or an address; IPv6 with brackets or without."""
    text = as_text(value)
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not re.fullmatch(r"[0-9A-Fa-f:.]+(%\w+)?|[^\s:/\[\]@]+", bare):
        raise Wrong("must be a host name or an IP address")
    return bare


def as_port(value: Any) -> int:
    """A port; 0 is any free one."""
    number = as_number(value)
    if not number.is_integer() or not 0 <= number <= 65535:
        raise Wrong("must be a port, 0 to 65535")
    return int(number)


def as_token(value: Any) -> Secret:
    """A token that fits into a header."""
    token = as_secret(value)
    if not token:
        raise Wrong("must not be empty")
    if not re.fullmatch(r"[\x20-\x7e]+", token.reveal()):
        raise Wrong("must consist of printable ASCII characters")
    return token


def as_count(value: Any) -> int:
    """A number of things."""
    number = as_number(value)
    if number < 0 or not number.is_integer():
        raise Wrong("must be a whole number, 0 for no limit")
    return int(number)


def as_origins(value: Any) -> tuple[str, ...]:
    """Origins of pages, or `*`."""
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise Wrong("must be a list of origins")
    found = tuple(as_text(item) for item in items if item != "")
    if not all(item == "*" or re.fullmatch(r"https?://[^\s/]+", item) for item in found):
        raise Wrong("must be origins, as in https://app.example, or *")
    return found


def as_private(value: Any) -> str:
    """An address that is no port."""
    text = as_text(value)
    if not re.fullmatch(r"unix://.+|fd://\d+", text):
        raise Wrong("must be unix://PATH or fd://N; a port is named by --host and --port")
    return text


# -- where they come from -----------------------------------------------------------------------


class _Field(Struct, frozen=True):
    """How it is read, and the original's variable for it."""

    read: Callable[[Any], Any]
    original: str = ""
    secret: bool = False


FIELDS: Final[Mapping[str, _Field]] = {
    "host": _Field(as_host),
    "port": _Field(as_port),
    "listen": _Field(as_private),
    "token": _Field(as_token, "ZAG_SERVE_TOKEN", secret=True),
    "tls_cert": _Field(as_path),
    "tls_key": _Field(as_path),
    "own_ca": _Field(as_flag),
    "force_sandbox": _Field(as_flag),
    "insecure_http": _Field(as_flag),
    "insecure_http_anywhere": _Field(as_flag),
    "stop_sessions": _Field(as_flag),
    "idle_exit": _Field(as_seconds),
    "enable_mock": _Field(as_flag),
    "max_sessions": _Field(as_count),
    "max_sessions_per_account": _Field(as_count),
    "cors_origins": _Field(as_origins),
}
PAIR = ("tls_cert", "tls_key")


def variable_of(name: str) -> str:
    """Our own variable for it."""
    return "ROOST_SERVE_" + name.upper()


class _Source(Struct, frozen=True):
    """One place where values may stand; `where` says which, for a complaint."""

    values: Mapping[str, Any]
    where: Callable[[str], str]
    folder: Path | None = None  # where relative paths begin


def load(flags: Mapping[str, Any], env: Mapping[str, str], *, generate: bool = False) -> Front:
    """What flags, environment, our `serve.toml` and that of the original say, the former before the latter.

    With `generate`, only a flag can name the token.

    Raises:
        BadValue: it names all that can't be used, one a line.
    """
    home, zag = home_of(flags, env), Path(env.get("ZAG_HOME") or Path(env.get("HOME") or Path.home()) / ".zag")
    errors: list[str] = []
    if generate and flags.get("token") is not None:
        raise BadValue("--token and --generate-token can't be used together: one names the token, the other makes one")
    sources = [
        _Source({name: flags[name] for name in FIELDS if flags.get(name) not in (None, ())}, flag_of),
        _Source({name: text for name, (_, text) in _variables(env).items()}, lambda name: _variables(env)[name][0]),
        _file(home / FILE, errors, strict=True),
        _file(zag / FILE, errors, strict=False),
    ]
    found: dict[str, Any] = {}
    for name in FIELDS:
        if name not in PAIR:
            _take(name, sources[:1] if generate and name == "token" else sources, found, errors)
    _take_pair(sources, found, errors)
    errors += _contradictions(found)
    if errors:
        raise BadValue("\n".join(errors))
    return Front(home=home, zag=zag, **found)


def _contradictions(found: Mapping[str, Any]) -> Iterator[str]:
    if found.get("insecure_http_anywhere") and not found.get("insecure_http"):
        yield "--insecure-http-anywhere goes with --insecure-http"
    if found.get("own_ca") and (found.get("tls_cert") or found.get("insecure_http")):
        yield "--own-ca makes a certificate: it goes neither with one that is given nor with --insecure-http"


def _variables(env: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The variables that are set, by the name of what they say; an empty one is not."""
    names = {name: (variable_of(name), field.original) for name, field in FIELDS.items()}
    found = {name: next((v for v in both if v and env.get(v)), "") for name, both in names.items()}
    return {name: (variable, env[variable]) for name, variable in found.items() if variable}


def _file(path: Path, errors: list[str], *, strict: bool) -> _Source:
    """The `[server]` table of a file; with `strict`, what it does not know there is an error."""
    table: Any = {}
    try:
        table = tomllib.loads(path.read_bytes().decode("utf-8")).get(SERVER, {})
    except FileNotFoundError:
        pass
    except OSError as error:
        errors.append(f"{path}: can't be read: {error.strerror}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        errors.append(misread(path, error))
    if not isinstance(table, dict):
        errors.append(f"{path}: {SERVER}: must be a table, [{SERVER}]")
        table = {}
    values = {key.replace("-", "_"): value for key, value in table.items()}
    for key in values.keys() - FIELDS.keys() if strict else ():
        near = difflib.get_close_matches(key, FIELDS, n=1)
        errors.append(f"{path}: {SERVER}.{key}: unknown key" + (f"; did you mean {near[0]!r}?" if near else ""))
    if not strict:  # another program's: an empty text there is as good as none
        values = {key: value for key, value in values.items() if value != ""}
    return _Source(values, lambda name: f"{path}: {SERVER}.{name}", path.parent)


def misread(path: Path, error: Exception) -> str:
    """What is wrong with a file that is no TOML, with its name and line."""
    reason, _, place = str(error).partition(" (at ")
    line = re.search(r"line (\d+)", place)
    return f"{path}:{line[1]}: {reason}" if line else f"{path}: {error}"


def _take(name: str, sources: list[_Source], found: dict[str, Any], errors: list[str]) -> None:
    """The first value that one of the sources has."""
    source = next((source for source in sources if name in source.values), None)
    if source is None:
        return
    value, field = source.values[name], FIELDS[name]
    try:
        found[name] = field.read(value)
    except Wrong as wrong:
        errors.append(f"{source.where(name)}: {wrong}" + ("" if field.secret else f", is {value!r}"))


def _take_pair(sources: list[_Source], found: dict[str, Any], errors: list[str]) -> None:
    """Certificate and key, both out of the first source that has one of them."""
    source = next((source for source in sources if any(source.values.get(name) for name in PAIR)), None)
    if source is None:
        return
    missing = [name for name in PAIR if not source.values.get(name)]
    if missing:
        errors.append(f"{source.where(missing[0])}: is missing: a TLS certificate and its key go together")
        return
    for name in PAIR:
        _take(name, [source], found, errors)
        if name in found and source.folder is not None:
            found[name] = source.folder / found[name]


# -- the token ----------------------------------------------------------------------------------


def new_token() -> str:
    """A token that nobody can guess."""
    return secrets.token_hex(32)


def save_token(path: Path, token: str) -> None:
    """Write the token into `serve.toml`; all else in it stays as it is, comments too.

    Raises:
        BadValue: it can't be written.
    """
    # Needed at one start of many.
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    path = path.resolve()
    try:
        text = path.read_text("utf-8") if path.exists() else ""
        document = tomlkit.parse(text)
        if SERVER not in document:
            document[SERVER] = tomlkit.table()
        document[SERVER]["token"] = token
        private.write(path, tomlkit.dumps(document).encode())
    except OSError as error:
        raise BadValue(f"the token can't be saved in {path}: {error.strerror or error}") from error
    except TOMLKitError as error:
        raise BadValue(f"the token can't be saved in {path}: {error}") from error
