"""The toolset `git`: questions to a repository that change nothing, and run nothing that it brings along."""

import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio import to_thread

from roost import process
from roost.core.agents import ToolsetSpec
from roost.core.messages import Result
from roost.ports import Place, Use
from roost.process import Output
from roost.tools.cell import outward
from roost.tools.house import House
from roost.tools.paths import Paths
from roost.tools.tool import SHOWN, Kit, Native, Refused, Work, failed, reads, schema, string

CATEGORY = "git"
PATIENCE = 30.0
MOST = 200  # commits of a log

_INSTRUCTIONS = """\
Look at a git repository: its state, its history, who wrote a line. These tools change nothing. Narrow a question to a
path or a range of revisions where an answer would be long.
"""

_QUIET = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_PAGER": "cat",
    "GIT_ALLOW_PROTOCOL": "none",  # nothing is fetched to complete a partial clone
    "GIT_NO_LAZY_FETCH": "1",
    "LC_ALL": "C.UTF-8",
}
_ALWAYS = ("core.fsmonitor=false", "safe.bareRepository=explicit", "log.showSignature=false", "color.ui=false")
_PROGRAMS = re.compile(
    r"filter\..*\.(clean|smudge|process)|diff\..*\.(command|textconv)|diff\.external|merge\..*\.driver|gpg\.(.*\.)?program"
    r"|core\.(fsmonitor|sshcommand|gitproxy|pager|editor|askpass|hookspath|alternaterefscommand)|credential\.(.*\.)?helper"
    r"|pager\..*|trailer\..*\.(cmd|command)|remote\..*\.(uploadpack|receivepack|vcs)|interactive\.difffilter"
)
_REQUIRED = re.compile(r"filter\..*\.required")


@asynccontextmanager
async def open_git(spec: ToolsetSpec, place: Place, house: House) -> AsyncIterator[Kit]:
    """Six tools, all read-only."""
    git = _Git(place, house)
    try:
        yield Kit(_tools(git), _INSTRUCTIONS)
    finally:
        if git.marks:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(process.sweep, *git.marks)


def _tools(git: "_Git") -> tuple[Native, ...]:
    at = {"repository": string("A directory in the repository; the working directory where it is left out")}
    path = {"path": string("Only this file or directory, as seen from there")}
    revision = string("A commit, branch or tag; for `git_show` also `REVISION:FILE`")
    since = {"revision": string("Revisions, such as `main`, `v1..v2` or `HEAD~3`")}
    staged = {"type": "boolean", "description": "What is staged, in place of what is not"}
    limit = {"type": "integer", "minimum": 1, "maximum": MOST, "description": "How many commits; 20 where left out"}
    author = {"author": string("Only commits whose author holds this text")}
    line = {"type": "integer", "minimum": 1}
    lines = {
        "start_line": {**line, "description": "The first line to look at"},
        "end_line": {**line, "description": "The last one"},
    }
    return (
        _native(
            "git_status", "Show the branch and what has changed in the working copy.", schema((), **at), git.status
        ),
        _native(
            "git_log",
            "List commits, the newest first.",
            schema((), **at, **since, **path, **author, limit=limit),
            git.log,
        ),
        _native(
            "git_diff",
            "Show changes: of the working copy, of what is staged, or between revisions.",
            schema((), **at, **since, **path, staged=staged, stat={"type": "boolean", "description": "Only how much"}),
            git.diff,
        ),
        _native(
            "git_show",
            "Show a commit and its changes, or a file as it was.",
            schema(("revision",), **at, revision=revision, **path),
            git.show,
        ),
        _native(
            "git_blame",
            "Show who last changed each line of a file, and when.",
            schema(("path",), **at, path=string("The file"), revision=revision, **lines),
            git.blame,
        ),
        _native("git_branches", "List the branches, and the newest commit of each.", schema((), **at), git.branches),
    )


def _native(name: str, description: str, parameters: dict[str, Any], work: Work) -> Native:
    title = name.replace("_", " ").title()
    return Native(name, CATEGORY, description, parameters, work, annotations=reads(title))


class _Git:
    """The work of these tools.  `marks` are those of what it has started."""

    def __init__(self, place: Place, house: House) -> None:
        self.marks: set[str] = set()
        self._place = place
        self._house = house
        self._paths = Paths(place.working_dir, house.env, confined=place.confined)
        clean = {name: value for name, value in outward(house.env, place).items() if not name.startswith("GIT_")}
        self._env = {**clean, **_QUIET}

    async def status(self, arguments: dict[str, Any], use: Use) -> Result:
        return await self._run(arguments, use, ("status", "--short", "--branch", "--ignore-submodules=dirty"))

    async def log(self, arguments: dict[str, Any], use: Use) -> Result:
        form = "--format=%h %ad %an%d%n    %s"
        words = ["log", "--no-show-signature", "--date=iso", form, f"--max-count={arguments.get('limit', 20)}"]
        if author := arguments.get("author"):
            words += ["--fixed-strings", f"--author={author}"]
        return await self._run(arguments, use, (*words, *_revisions(arguments)), paths=True)

    async def diff(self, arguments: dict[str, Any], use: Use) -> Result:
        words = ["diff", "--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty", "--submodule=short"]
        words += ["--cached"] if arguments.get("staged") else []
        words += ["--stat"] if arguments.get("stat") else []
        return await self._run(arguments, use, (*words, *_revisions(arguments)), paths=True)

    async def show(self, arguments: dict[str, Any], use: Use) -> Result:
        words = ("show", "--no-ext-diff", "--no-textconv", "--no-show-signature", "--date=iso", "--submodule=short")
        return await self._run(arguments, use, (*words, *_revisions(arguments)), paths=True)

    async def blame(self, arguments: dict[str, Any], use: Use) -> Result:
        first, last = arguments.get("start_line", 1), arguments.get("end_line", "")
        words = ("blame", "--no-textconv", "--date=short", "-L", f"{first},{last}", *_revisions(arguments))
        return await self._run(arguments, use, words, paths=True)

    async def branches(self, arguments: dict[str, Any], use: Use) -> Result:
        form = "--format=%(HEAD) %(refname:short) %(objectname:short) %(committerdate:short) %(contents:subject)"
        return await self._run(arguments, use, ("branch", "--all", "--sort=-committerdate", form))

    async def _run(self, arguments: dict[str, Any], use: Use, words: Sequence[str], *, paths: bool = False) -> Result:
        """Run git, once what the repository would have it run has been taken out of its settings."""
        folder = self._paths.find(arguments.get("repository") or ".").real
        listed = Output(8 * 1024 * 1024)
        listing = ("config", "--list", "--name-only", "--show-scope", "-z")
        code = await self._git(listing, folder, use, listed)
        if code == 0:
            words = (*_settings(listed.text()), "--literal-pathspecs", *words)
            words += ("--", arguments["path"]) if paths and arguments.get("path") else ("--",) if paths else ()
            listed = Output()
            code = await self._git(("--no-pager", *words), folder, use, listed)
        text = listed.text(SHOWN).rstrip()
        if code is None:
            return failed(f"git took longer than {PATIENCE:g} seconds: ask for less")
        return Result(text or "(nothing)") if code == 0 else failed(f"git failed (exit status {code}): {text[:2000]}")

    async def _git(self, words: Sequence[str], folder: str, use: Use, output: Output) -> int | None:
        if shutil.which("git", path=self._env.get("PATH")) is None:
            raise Refused("there is no git on this server")
        mark = process.mark(self._place.session, use.call)
        self.marks.add(mark)
        argv = ("git", *(word for setting in _ALWAYS for word in ("-c", setting)), *words)
        async with self._house.cells.open(self._place, use.call, argv, cwd=folder, env=self._env) as launch:
            ended = await process.run(
                launch.argv, cwd=launch.cwd, env=launch.env, mark=mark, output=output, timeout=PATIENCE
            )
        return ended.code


def _settings(listed: str) -> tuple[str, ...]:
    """Settings that take the place of those by which a repository names programs."""
    words: list[str] = []
    parts = listed.split("\0")
    for scope, name in zip(parts[::2], parts[1::2], strict=False):
        if scope not in ("local", "worktree") or "=" in name:
            continue
        if _PROGRAMS.fullmatch(name.lower()):
            words += ("-c", f"{name}=")
        elif _REQUIRED.fullmatch(name.lower()):
            words += ("-c", f"{name}=false")
    return tuple(words)


def _revisions(arguments: dict[str, Any]) -> tuple[str, ...]:
    """The revisions of a call: words, none of which git could take for an option."""
    words = arguments.get("revision", "").split()
    if any(word.startswith("-") or "\0" in word for word in words):
        raise Refused("a revision can't begin with a dash")
    return tuple(words)
