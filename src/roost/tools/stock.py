"""The hooks that come with the house: what each answers, as a command would."""

import os
import platform
import pwd
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from anyio import to_thread
from msgspec import Struct

from roost.core.hooks import EVENTS, NOT_BUILT
from roost.core.ids import Micros
from roost.core.redaction import Redactor
from roost.ports import Place, Ran, Surroundings

HARMLESS = ("--no-optional-locks", "--no-pager", "-c", "core.fsmonitor=false", "-c", "color.ui=false")
"""Options of git with which a repository's own settings start no programs, but for filters of files."""

ENTRIES = 200  # names of a listing
DIFF = 64_000  # characters of a diff
COMMITS = 10
RESULT = 200_000  # characters of a tool's result
REPEATED = 200  # characters of a result that is worth being left out


class Failed(Exception):
    """A builtin can't do its work; the text says why."""


class Errand(Struct, frozen=True):
    """One run of a builtin, and what it may use.  `git` runs that program in the working directory."""

    name: str
    args: tuple[str, ...]
    given: Mapping[str, Any]
    place: Place
    git: Callable[..., Awaitable[Ran]]
    surroundings: Surroundings
    now: Micros
    redactor: Redactor

    @property
    def event(self) -> str:
        """What it is run for."""
        return str(self.given.get("hook_event_name", ""))


Answer = dict[str, Any]
Work = Callable[[Errand], Awaitable[Answer]]


def find(name: str) -> Work:
    """The builtin of this name.

    Raises:
        Failed: there is none, or it is not built.
    """
    if name in NOT_BUILT:
        raise Failed(f"the builtin hook {name!r} is not built")
    if name not in BUILTINS:
        raise Failed(f"there is no builtin hook {name!r}; there are: {', '.join(sorted(BUILTINS))}")
    return BUILTINS[name]


def _adds(text: str) -> Answer:
    """An answer that is context; none where there is nothing to say."""
    return {"hook_specific_output": {"additional_context": text}} if text.strip() else {}


def _number(errand: Errand, default: int | None) -> int:
    """The first argument."""
    if not errand.args and default is not None:
        return default
    text = errand.args[0] if errand.args else ""
    if not text.isdecimal() or not 0 < int(text[:10]) < 1_000_000_000:
        raise Failed(f"the builtin hook {errand.name!r} takes a number above 0, not {text!r}")
    return int(text)


# -- the place and the time ---------------------------------------------------------------------


async def _add_date(errand: Errand) -> Answer:
    return _adds(f"Today's date: {datetime.fromtimestamp(errand.now / 1e6, UTC).date().isoformat()}")


async def _add_environment_info(errand: Errand) -> Answer:
    return _adds(await errand.surroundings.describe(errand.place.working_dir))


async def _add_prompt_files(errand: Errand) -> Answer:
    names, depth = [], 0
    for arg in errand.args:
        if not arg.startswith("--depth="):
            names.append(arg)
        elif not arg[8:].isdecimal():
            raise Failed(f"the builtin hook {errand.name!r} takes --depth=N with a number, not {arg!r}")
        else:
            depth = min(int(arg[8:]), 32)
    if not names:
        raise Failed(f"the builtin hook {errand.name!r} needs the names of files in its args")
    place = errand.place
    texts = await errand.surroundings.prompt_files(place.working_dir, names, firm=place.confined, depth=depth)
    return _adds("\n\n".join(text.strip() for text in texts))


async def _add_directory_listing(errand: Errand) -> Answer:
    def listed() -> list[str]:
        with os.scandir(errand.place.working_dir) as entries:
            return sorted(f"{e.name}/" if e.is_dir() else e.name for e in entries if not e.name.startswith("."))

    names = [repr(n) if not n.isprintable() else n for n in await to_thread.run_sync(listed)]
    more = [f"… and {len(names) - ENTRIES} more"] if len(names) > ENTRIES else []
    lines = "\n".join((*names[:ENTRIES], *more)) or "(nothing)"
    return _adds(f"The working directory {errand.place.working_dir} holds:\n{lines}")


async def _add_user_info(errand: Errand) -> Answer:
    place = errand.place
    if place.owner or place.confined:
        return _adds(f"The user is {place.owner}." if place.owner else "")
    home = os.path.expanduser("~")  # noqa: ASYNC240, PTH111  Path.home() raises where a user has none
    return _adds(f"The user is {_user()}, whose home is {home}, on the machine {platform.node()}.")


def _user() -> str:
    """The name of whoever runs this server; in a container there may be none."""
    try:
        user = pwd.getpwuid(os.getuid())
    except KeyError:
        return f"number {os.getuid()}"
    full = user.pw_gecos.split(",")[0].strip()
    return f"{user.pw_name} ({full})" if full else user.pw_name


# -- the repository -----------------------------------------------------------------------------


async def _asked(errand: Errand, *args: str) -> str:
    """What git says; nothing where there is no repository, no commit or no git."""
    ran = await errand.git(*args)
    if ran.error:
        raise Failed(ran.error)
    text = ran.stdout.strip() if ran.code == 0 else ""
    return text if len(text) <= DIFF else text[:DIFF] + "\n… [cut off]"


async def _add_git_status(errand: Errand) -> Answer:
    status = await _asked(errand, "status", "--short", "--branch")
    return _adds(f"Git status of the working directory:\n{status}" if status else "")


async def _add_git_diff(errand: Errand) -> Answer:
    form = ("--patch",) if "full" in errand.args else ("--stat",)
    diff = await _asked(errand, "diff", "HEAD", "--no-ext-diff", "--no-textconv", *form)
    return _adds(f"Changes that are not committed:\n{diff}" if diff else "")


async def _add_recent_commits(errand: Errand) -> Answer:
    log = await _asked(errand, "log", "--oneline", "--no-decorate", "-n", str(_number(errand, COMMITS)))
    return _adds(f"The newest commits:\n{log}" if log else "")


# -- bounds and secrets -------------------------------------------------------------------------


async def _max_iterations(errand: Errand) -> Answer:
    limit, iteration = _number(errand, None), errand.given.get("iteration")
    if not isinstance(iteration, int):
        raise Failed(f"the builtin hook {errand.name!r} belongs to before_llm_call, not to {errand.event}")
    if iteration <= limit:
        return {}
    return {"continue": False, "stop_reason": f"Execution stopped by a hook after {limit} iterations."}


async def _redact_secrets(errand: Errand) -> Answer:
    field, key = {
        "input": ("tool_input", "updated_input"),
        "response": ("tool_response", "updated_tool_response"),
        "messages": ("messages", "updated_messages"),
    }.get(EVENTS[errand.event].rewrites, ("", ""))
    if not field:
        raise Failed(f"the builtin hook {errand.name!r} has nothing to rewrite at {errand.event}")
    before = errand.given.get(field)
    after = await to_thread.run_sync(errand.redactor.data, before)
    return {} if after == before else {"hook_specific_output": {key: after}}


async def _limit_large_tool_results(errand: Errand) -> Answer:
    limit, text = _number(errand, RESULT), errand.given.get("tool_response")
    if not isinstance(text, str) or len(text) <= limit:
        return {}
    half = limit // 2
    cut = f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[-half:] if half else ''}"
    return {"hook_specific_output": {"updated_tool_response": cut}}


async def _elide_repeated_tool_results(errand: Errand) -> Answer:
    messages = errand.given.get("messages")
    if not isinstance(messages, list):
        raise Failed(f"the builtin hook {errand.name!r} belongs to before_llm_call, not to {errand.event}")
    seen: set[str] = set()
    after: list[Any] = []
    for message in reversed(messages):
        text = message.get("content") if message.get("role") == "tool" else None
        if not isinstance(text, str) or len(text) < REPEATED or text not in seen:
            after.append(message)
        else:
            after.append({**message, "content": "[the same result as that of a later call]"})
        if isinstance(text, str):
            seen.add(text)
    after.reverse()
    return {} if after == messages else {"hook_specific_output": {"updated_messages": after}}


async def _nothing(errand: Errand) -> Answer:
    return {}


BUILTINS: Mapping[str, Work] = {
    "add_date": _add_date,
    "add_environment_info": _add_environment_info,
    "add_prompt_files": _add_prompt_files,
    "add_directory_listing": _add_directory_listing,
    "add_user_info": _add_user_info,
    "add_git_status": _add_git_status,
    "add_git_diff": _add_git_diff,
    "add_recent_commits": _add_recent_commits,
    "max_iterations": _max_iterations,
    "redact_secrets": _redact_secrets,
    "elide_repeated_tool_results": _elide_repeated_tool_results,
    "limit_large_tool_results": _limit_large_tool_results,
    "safer_shell": _nothing,  # it only judged commands, which the safety modes do today
}
