"""Log lines: text on a terminal, JSON elsewhere, and no secret in either."""

import logging
import os
import re
import stat
import sys
import time
from collections.abc import Mapping, MutableMapping
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from structlog.typing import Processor, WrappedLogger

_SECRET_NAMES = re.compile(r"authorization|api[-_]?key|token$|password|secret|cookie", re.IGNORECASE)
_SECRETS = re.compile(
    r"""(?P<before>\bBearer\s+|[?&](?:code|state|token|ticket|key|api_key|access_token)=|\bx-api-key['"]?\s*[:=]\s*['"]?)"""
    r"""(?P<secret>[^\s&'",}]+)|\b(?:sk|ghp|gho|xox[bp])[-_][A-Za-z0-9_-]{12,}""",
    re.IGNORECASE,
)
_NOISY = ("uvicorn", "uvicorn.error", "httpx2", "httpcore2", "mcp", "asyncio")


def set_up(*, debug: bool = False, file: Path | None = None, quiet: bool = False) -> None:
    """Send all log records, ours and libraries', to stderr or to `file`; only warnings where `quiet`."""
    handler = _Stderr() if file is None else logging.StreamHandler(_open(file))
    handler.setFormatter(_Formatter(terminal=handler.stream.isatty(), whole=debug))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else logging.WARNING if quiet else logging.INFO)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.INFO if debug else logging.WARNING)


class _Formatter(logging.Formatter):
    """Loads what makes lines of records with the first of them: most servers start without a word."""

    def __init__(self, *, terminal: bool, whole: bool) -> None:
        super().__init__()
        self._made = cache(partial(_formatter, terminal=terminal, whole=whole))

    def format(self, record: logging.LogRecord) -> str:
        """A line."""
        return self._made().format(record)


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what stderr is at the time: something that moves there makes room for lines."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        """Where lines go."""
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        """It is where it is."""


def hush(name: str) -> None:
    """Let only errors of this logger through."""
    logging.getLogger(name).setLevel(logging.ERROR)


def _open(file: Path) -> TextIO:
    """A file that only its owner reads; what is no file, such as `/dev/null`, is left as it is."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    stream = os.fdopen(
        os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600),
        "a",
        encoding="utf-8",
        errors="backslashreplace",
        buffering=1,
    )
    if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        os.fchmod(stream.fileno(), 0o600)
    return stream


def _formatter(*, terminal: bool, whole: bool) -> logging.Formatter:
    import structlog

    known: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Plain tracebacks: the fancy ones show local variables, and those hold keys.
    last: list[Processor]
    if terminal:
        console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback, pad_event_to=0)
        last = [redact, tame, console] if whole else [redact, tame, brief, console]
    else:
        last = [structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer(default=str)]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=known, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
    )


def brief(_: "WrappedLogger", __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What a person at a terminal reads: the local time of day, and not what is there for machines."""
    line.pop("logger", None)
    line.pop("action", None)
    line["timestamp"] = time.strftime("%H:%M:%S")
    return line


def tame(_: "WrappedLogger", __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Without characters that a terminal would obey: strangers' words are in log lines, too."""
    for name, value in line.items():
        if isinstance(value, str) and not value.isprintable():
            line[name] = "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in value)
    return line


def redact(_: "WrappedLogger", __: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Stars for whatever looks like a key, a token or a password, by its name or by its form."""
    for name, value in line.items():
        if _SECRET_NAMES.search(name) and value:
            line[name] = "***"
        elif isinstance(value, str):
            line[name] = _SECRETS.sub(lambda found: f"{found['before'] or ''}***", value)
    return line
